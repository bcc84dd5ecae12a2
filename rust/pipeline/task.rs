//! What the two tasks do differently: how inputs are made to fit, and how logits become answers.

use std::marker::PhantomData;

use super::core::Core;
use crate::config::Task as TaskName;
use crate::error::{Error, Result};
use crate::postprocess::draft::{Draft, Source};
use crate::postprocess::{tagging, text_classification, token_classification};
use crate::tokenizer::{Fit, Overlong};
use crate::types::{
    Encoded, Encoding, Entity, Input, Label, Logits, LongText, RunOptions, TextClassificationOptions,
    TokenClassificationOptions, Truncation,
};

/// One of the tasks that a [`super::Pipeline`] can have. It can't be implemented elsewhere: its stages speak of the
/// pipeline's inside.
pub trait Task: private::Sealed + Send + Sync + 'static {
    /// The task's name.
    const NAME: TaskName;
    /// Options of a call.
    type Options: std::fmt::Debug + Clone + Default + Send + Sync;
    /// The answer to one input.
    type Output: std::fmt::Debug + Send + Sync;

    /// Options without influence on the result.
    #[doc(hidden)]
    fn run_options(options: &Self::Options) -> RunOptions;

    /// Checks options against the model, before any work.
    #[doc(hidden)]
    fn fit(core: &Core, options: &Self::Options) -> Result<Fit>;

    /// Refuses kinds of input that the task does not know.
    #[doc(hidden)]
    fn check(index: usize, input: &Input) -> Result<()>;

    /// Logits to the answer of one input.
    #[doc(hidden)]
    fn decode(core: &Core, encoded: &Encoded, logits: Vec<Logits>, options: &Self::Options) -> Self::Output;
}

/// A task whose answer grows while the windows of an input are being computed.
pub trait Growing: Task {
    /// What is known so far.
    #[doc(hidden)]
    type Draft: std::fmt::Debug + Send;

    /// Before the first window.
    #[doc(hidden)]
    fn draft(core: &Core, encoded: &Encoded, options: &Self::Options) -> Self::Draft;

    /// Takes in the logits of the next window; the parts of the answer that are final by now and were not before.
    #[doc(hidden)]
    fn add(
        core: &Core,
        encoded: &Encoded,
        logits: Logits,
        options: &Self::Options,
        draft: &mut Self::Draft,
    ) -> Self::Output;
}

mod private {
    pub trait Sealed {}
    impl Sealed for super::TokenClassification {}
    impl Sealed for super::TextClassification {}
    impl<T> Sealed for super::Raw<T> {}
}

/// Names, places, parts of speech: a label per stretch of text.
#[derive(Debug)]
pub struct TokenClassification;

impl Task for TokenClassification {
    const NAME: TaskName = TaskName::TokenClassification;
    type Options = TokenClassificationOptions;
    type Output = Vec<Entity>;

    fn run_options(options: &TokenClassificationOptions) -> RunOptions {
        options.run
    }

    fn fit(core: &Core, options: &TokenClassificationOptions) -> Result<Fit> {
        let capacity = core.max_tokens - core.reader.added_tokens(false);
        if core.reads_words() {
            return whole_sentences(core, options);
        }
        let overlong = match (options.stride, options.long_text) {
            (Some(stride), _) if stride >= capacity => {
                let last = capacity - 1;
                let expected = format!("a whole number from 0 to {last} (window without special tokens, less one)");
                return Err(Error::parameter("stride", expected, &stride));
            }
            (Some(stride), _) => Overlong::Windows(stride),
            (None, LongText::Windows) => Overlong::Windows(capacity / 4),
            (None, LongText::Truncate) => Overlong::Cut(Truncation::LongestFirst),
            (None, LongText::Error) => Overlong::Refuse,
        };
        Ok(Fit { max_length: core.max_tokens, overlong, side: None })
    }

    fn check(index: usize, input: &Input) -> Result<()> {
        match input {
            Input::Pair(..) => Err(Error::input(index, "expected one text or a list of words, got a pair of texts")),
            _ => Ok(()),
        }
    }

    fn decode(
        core: &Core,
        encoded: &Encoded,
        logits: Vec<Logits>,
        options: &TokenClassificationOptions,
    ) -> Vec<Entity> {
        if core.reads_words() {
            return tagging::entities(encoded, &logits, &core.config.labels, core.model.field(), options);
        }
        token_classification::entities(encoded, &logits, &core.config.labels, &core.reader, options)
    }
}

/// A sentence has no windows: language models read it from end to end.
fn whole_sentences(core: &Core, options: &TokenClassificationOptions) -> Result<Fit> {
    if let Some(stride) = options.stride {
        return Err(Error::parameter("stride", "none for this model, which reads texts as a whole", &stride));
    }
    let overlong = match options.long_text {
        LongText::Truncate => Overlong::Cut(Truncation::LongestFirst),
        LongText::Error => Overlong::Refuse,
        LongText::Windows => {
            let expected = "truncate or error for this model, which reads texts as a whole";
            return Err(Error::parameter("long_text", expected, &options.long_text));
        }
    };
    Ok(Fit { max_length: core.max_tokens, overlong, side: None })
}

impl Growing for TokenClassification {
    /// None of a sentence, which has one window.
    type Draft = Option<Draft>;

    fn draft(core: &Core, encoded: &Encoded, options: &TokenClassificationOptions) -> Option<Draft> {
        (!core.reads_words()).then(|| Draft::new(&source(core, encoded, options)))
    }

    fn add(
        core: &Core,
        encoded: &Encoded,
        logits: Logits,
        options: &TokenClassificationOptions,
        draft: &mut Option<Draft>,
    ) -> Vec<Entity> {
        match draft {
            Some(draft) => draft.add(&source(core, encoded, options), &logits),
            None => Self::decode(core, encoded, vec![logits], options),
        }
    }
}

fn source<'a>(core: &'a Core, encoded: &'a Encoded, options: &'a TokenClassificationOptions) -> Source<'a> {
    Source { encoded, labels: &core.config.labels, vocabulary: &core.reader, options }
}

/// Sentiment, moderation, relevance: labels for a whole text or pair.
#[derive(Debug)]
pub struct TextClassification;

impl Task for TextClassification {
    const NAME: TaskName = TaskName::TextClassification;
    type Options = TextClassificationOptions;
    type Output = Vec<Label>;

    fn run_options(options: &TextClassificationOptions) -> RunOptions {
        options.run
    }

    fn fit(core: &Core, options: &TextClassificationOptions) -> Result<Fit> {
        let strategy = match (options.truncation, options.max_length) {
            // Without truncation only the network's own limit counts, not `model_max_length`.
            (Truncation::DoNotTruncate, None) => {
                return Ok(Fit { max_length: core.positions, overlong: Overlong::Refuse, side: None });
            }
            (Truncation::DoNotTruncate, Some(_)) => Truncation::LongestFirst,
            (strategy, _) => strategy,
        };
        let max_length = options.max_length.map_or(core.max_tokens, std::num::NonZeroUsize::get);
        let least = core.reader.added_tokens(false);
        if max_length < least || max_length > core.max_tokens {
            let expected = format!("a whole number from {least} to {}", core.max_tokens);
            return Err(Error::parameter("max_length", expected, &max_length));
        }
        Ok(Fit { max_length, overlong: Overlong::Cut(strategy), side: options.truncation_side })
    }

    fn check(index: usize, input: &Input) -> Result<()> {
        match input {
            Input::Words { .. } => Err(Error::input(index, "expected a text or a pair of texts, got a list of words")),
            _ => Ok(()),
        }
    }

    fn decode(core: &Core, _: &Encoded, logits: Vec<Logits>, options: &TextClassificationOptions) -> Vec<Label> {
        let config = &core.config;
        let values = logits.first().map_or(&[][..], |logits| &logits.values);
        text_classification::labels_of(
            values,
            &config.labels,
            options.function_to_apply,
            config.problem_type,
            options.top_k,
        )
    }
}

/// The only window is the whole answer.
impl Growing for TextClassification {
    type Draft = ();

    fn draft(_: &Core, _: &Encoded, _: &TextClassificationOptions) {}

    fn add(
        core: &Core,
        encoded: &Encoded,
        logits: Logits,
        options: &TextClassificationOptions,
        (): &mut (),
    ) -> Vec<Label> {
        Self::decode(core, encoded, vec![logits], options)
    }
}

/// A task without its post-processing.
#[derive(Debug)]
pub struct Raw<T>(PhantomData<T>);

/// What post-processing starts from: the first window of an input.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogits {
    /// The vocabulary's string of each token.
    pub tokens: Vec<String>,
    /// Ids, offsets in code points and the special tokens' mask.
    pub encoding: Encoding,
    /// `[tokens, labels]` for token classification, `[1, labels]` for text classification.
    pub logits: Logits,
}

impl<T: Task> Task for Raw<T> {
    const NAME: TaskName = T::NAME;
    type Options = T::Options;
    type Output = TokenLogits;

    fn run_options(options: &T::Options) -> RunOptions {
        T::run_options(options)
    }

    fn fit(core: &Core, options: &T::Options) -> Result<Fit> {
        T::fit(core, options)
    }

    fn check(index: usize, input: &Input) -> Result<()> {
        T::check(index, input)
    }

    fn decode(core: &Core, encoded: &Encoded, mut logits: Vec<Logits>, _: &T::Options) -> TokenLogits {
        let encoding = encoded.windows[0].clone();
        let tokens = core.reader.tokens(&encoding);
        TokenLogits { tokens, encoding, logits: logits.swap_remove(0) }
    }
}
