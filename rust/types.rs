//! What travels between the rooms: inputs, encodings, batches, logits, answers and options.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// One item to be classified.
///
/// ```
/// use candlewick::Input;
/// let text = Input::from("Ada lives in London");
/// let pair = Input::from(("What is Paris?", "Paris is the capital of France"));
/// let words = Input::words(["Ada", "lives", "in", "London"], " ");
/// assert_eq!(words.text(), text.text());
/// assert_ne!(pair, text);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Input {
    /// A text, and the offsets to report instead of the tokenizer's own (one per token, special tokens included).
    Text(String, Option<Vec<Offset>>),
    /// Two texts that are read together (`text`, `text_pair`). The first one of several pairs may be shared.
    Pair(Arc<str>, String),
    /// A sentence whose words are known; offsets refer to the words joined by `delimiter`.
    Words {
        /// The words in order; a word may be empty or hold spaces.
        words: Vec<String>,
        /// What stands between two words of the sentence.
        delimiter: String,
    },
}

impl Input {
    /// A sentence whose words are known.
    pub fn words<W: Into<String>>(words: impl IntoIterator<Item = W>, delimiter: impl Into<String>) -> Self {
        Self::Words { words: words.into_iter().map(Into::into).collect(), delimiter: delimiter.into() }
    }

    /// The text that offsets refer to; of a pair, the first one.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text, _) => Cow::Borrowed(text),
            Self::Pair(text, _) => Cow::Borrowed(text),
            Self::Words { words, delimiter } => Cow::Owned(words.join(delimiter)),
        }
    }

    /// The first text of a pair.
    pub fn first(&self) -> Option<&Arc<str>> {
        if let Self::Pair(text, _) = self { Some(text) } else { None }
    }

    /// Bytes of all that there is to read, for who has to guess how much work it is.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text(text, _) => text.len(),
            Self::Pair(text, pair) => text.len() + pair.len(),
            Self::Words { words, delimiter } => words.iter().map(|word| word.len() + delimiter.len()).sum(),
        }
    }
}

impl From<&str> for Input {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned(), None)
    }
}

impl From<String> for Input {
    fn from(text: String) -> Self {
        Self::Text(text, None)
    }
}

impl<A: Into<Arc<str>>, B: Into<String>> From<(A, B)> for Input {
    fn from((text, pair): (A, B)) -> Self {
        Self::Pair(text.into(), pair.into())
    }
}

/// Where a token or an entity stands in its text: half-open, in code points unless an [`OffsetUnit`] says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Offset {
    /// First position.
    pub start: u32,
    /// Position after the last one.
    pub end: u32,
}

/// What the network reads of one text, or of one window of a long text. All vectors have one item per token.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Encoding {
    /// Rows of the embedding table.
    pub ids: Vec<u32>,
    /// Segment of each token (0 unless the model knows segments and the input is a pair).
    pub type_ids: Vec<u32>,
    /// Where the token stands in the text, in code points; `(0, 0)` for special tokens.
    pub offsets: Vec<Offset>,
    /// Whether the tokenizer's template added the token (`special_tokens_mask`).
    pub special: Vec<bool>,
    /// The pre-tokenizer's word that the token belongs to, counted from 0.
    pub word_ids: Vec<Option<u32>>,
    /// What a tagger reads; nothing for other networks.
    pub sentence: Sentence,
}

/// Whole words, as taggers read them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sentence {
    /// The words, which are the tokens.
    pub words: Vec<Word>,
    /// What each embedding of the tagger reads.
    pub tracks: Vec<Track>,
}

/// A word of a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Word {
    /// Its characters, without those that are invisible.
    pub text: String,
    /// Where it stands in the caller's text, in code points.
    pub offset: Offset,
    /// White space between it and the next word; none behind the last one.
    pub gap: u32,
}

/// What one embedding of a tagger reads of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Track {
    /// A row of its table for each word.
    Rows(Vec<u32>),
    /// Characters.
    Characters {
        /// One step each.
        ids: Vec<u32>,
        /// For each word the step whose state stands for it.
        ends: Vec<u32>,
    },
}

impl Encoding {
    /// Number of tokens, special ones included.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no token at all.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// One tokenized input: its text and the windows that the network reads one by one (one window unless a stride is
/// used).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The text that the offsets refer to.
    pub text: Arc<str>,
    /// At least one window, in the order of the text (from its end with left truncation).
    pub windows: Vec<Encoding>,
    /// Set when a part of the text is in no window.
    pub cut: Option<Cut>,
}

/// How much of a text was left out, in tokens with special tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Tokens of the whole text.
    pub total: usize,
    /// Tokens that were read.
    pub kept: usize,
}

/// Row bounds of a ragged batch: sequence `i` owns the rows `bounds[i]..bounds[i + 1]` of a `[tokens, …]` array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds(Vec<usize>);

/// Which rows of a sequence are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// All of them.
    All,
    /// The first one, which sequence heads read.
    First,
    /// The last one, which those behind a decoder read.
    Last,
}

impl Rows {
    /// Those that are wanted of a sequence with so many.
    pub(crate) fn of(self, length: usize) -> std::ops::Range<usize> {
        match self {
            Self::All => 0..length,
            Self::First => 0..length.min(1),
            Self::Last => length.saturating_sub(1)..length,
        }
    }

    /// How many are wanted of all sequences.
    pub(crate) fn count(self, bounds: &Bounds) -> usize {
        if self == Self::All { bounds.tokens() } else { bounds.sequences() }
    }
}

impl Bounds {
    /// From the lengths of the sequences.
    pub fn from_lengths(lengths: impl IntoIterator<Item = usize>) -> Self {
        let mut bounds = vec![0];
        let mut end = 0;
        for length in lengths {
            end += length;
            bounds.push(end);
        }
        Self(bounds)
    }

    /// Number of sequences.
    pub fn sequences(&self) -> usize {
        self.0.len() - 1
    }

    /// Number of rows of all sequences together.
    pub fn tokens(&self) -> usize {
        self.0[self.0.len() - 1]
    }

    /// The rows of each sequence.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = std::ops::Range<usize>> + '_ {
        self.0.windows(2).map(|pair| pair[0]..pair[1])
    }
}

/// What one forward pass reads: sequences one after the other, without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Token ids, `[tokens]`.
    pub ids: Vec<u32>,
    /// Segment ids, `[tokens]`.
    pub type_ids: Vec<u32>,
    /// Which rows belong to which sequence.
    pub bounds: Bounds,
    /// For each sequence what the embeddings of a tagger read.
    pub tracks: Vec<Vec<Track>>,
}

/// How the tags of a sentence depend on each other: a conditional random field.
#[derive(Debug, Clone, PartialEq)]
pub struct RandomField {
    /// `[to, from]`.
    pub transitions: Vec<f32>,
    /// The tag before the first word.
    pub start: usize,
    /// The tag behind the last one.
    pub stop: usize,
}

/// The network's output for one sequence, `[rows, columns]` in row-major order: a row per token for token
/// classification, one row for text classification.
#[derive(Debug, Clone, PartialEq)]
pub struct Logits {
    /// The values.
    pub values: Vec<f32>,
    /// Number of labels.
    pub columns: usize,
}

impl Logits {
    /// The rows in order.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f32> {
        self.values.chunks_exact(self.columns)
    }
}

/// What post-processing asks of a tokenizer: the strings behind the ids, and how they become text again.
pub trait Vocabulary {
    /// The vocabulary's string for an id, raw (`##zo`, `▁Groen`, `ĠParis`); empty for an id it does not have.
    fn token(&self, id: u32) -> Cow<'_, str>;

    /// The id of unknown tokens, if the tokenizer has one.
    fn unk_id(&self) -> Option<u32>;

    /// Whether the vocabulary itself marks tokens that continue a word (WordPiece's `##`).
    fn marks_continuations(&self) -> bool;

    /// The text that a run of tokens stands for, by the tokenizer's decoder (`convert_tokens_to_string`).
    fn decode(&self, tokens: &[Cow<'_, str>]) -> String;
}

/// A labelled stretch of text: a token with [`AggregationStrategy::None`], else a group of tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    /// The token's label, or the group's label without its `B-`/`I-` prefix.
    pub label: Arc<str>,
    /// Probability in 0..=1.
    pub score: f32,
    /// Position of the token in its window, special tokens counted; only with [`AggregationStrategy::None`].
    pub index: Option<usize>,
    /// The text as the tokenizer's decoder or the source gives it ([`WordSource`]).
    pub word: String,
    /// Where it stands, in the unit that was asked for.
    pub offset: Offset,
}

/// A label and its score.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// The label's name in the model's configuration.
    pub label: Arc<str>,
    /// Probability in 0..=1, or the raw logit where no function is applied.
    pub score: f32,
}

/// Options of every call that have no influence on its results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct RunOptions {
    /// Upper limit of texts (or windows) per forward pass.
    pub batch_size: Option<NonZeroUsize>,
    /// Threads of this call; `None` = the pipeline's budget.
    pub threads: Option<NonZeroUsize>,
}

/// Options of a token classification call. The defaults are those of the transformers pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenClassificationOptions {
    /// How tokens become entities.
    pub aggregation_strategy: AggregationStrategy,
    /// Labels that are left out of the answer; `None` stands for the key that an entity does not have, and so drops
    /// everything.
    pub ignore_labels: Vec<Option<String>>,
    /// Overlap in tokens between the windows of a long text; `None` = no windows.
    pub stride: Option<usize>,
    /// What happens to a text beyond the limit when no `stride` is given.
    pub long_text: LongText,
    /// The unit of offsets in the answer.
    pub offset_unit: OffsetUnit,
    /// Where [`Entity::word`] comes from.
    pub word: WordSource,
    /// What a word is, for the strategies that work on words.
    pub word_boundary: WordBoundary,
    /// How label prefixes are read.
    pub scheme: Scheme,
    /// Options without influence on the result.
    pub run: RunOptions,
}

impl Default for TokenClassificationOptions {
    fn default() -> Self {
        Self {
            aggregation_strategy: AggregationStrategy::None,
            ignore_labels: vec![Some("O".to_owned())],
            stride: None,
            long_text: LongText::Truncate,
            offset_unit: OffsetUnit::Char,
            word: WordSource::Decoded,
            word_boundary: WordBoundary::Compat,
            scheme: Scheme::Compat,
            run: RunOptions::default(),
        }
    }
}

/// Options of a text classification call. The defaults are those of the transformers pipeline.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TextClassificationOptions {
    /// How many labels are answered, best first.
    pub top_k: TopK,
    /// What turns logits into scores.
    pub function_to_apply: Function,
    /// What happens to an input beyond the limit.
    pub truncation: Truncation,
    /// A limit below the model's own; implies truncation.
    pub max_length: Option<NonZeroUsize>,
    /// Which end of a text is cut; `None` = what the tokenizer's settings say.
    pub truncation_side: Option<TruncationSide>,
    /// Options without influence on the result.
    pub run: RunOptions,
}

/// How many labels a text classification answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum TopK {
    /// All of them.
    #[default]
    All,
    /// The first `k` when `k >= 0`, else all but the last `-k`, as a Python slice.
    Count(i64),
}

/// Defines an option's enum with the names that users write, compared without regard to case.
macro_rules! named {
    ($(#[$meta:meta])* $option:literal $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every allowed name.
            pub const NAMES: &[&str] = &[$($text),+];
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $text,)+ })
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(name: &str) -> Result<Self> {
                $(if name.eq_ignore_ascii_case($text) { return Ok(Self::$variant); })+
                Err(Error::parameter($option, one_of(Self::NAMES), &format_args!("{name:?}")))
            }
        }
    };
}

/// The names of a list, for messages that say what is allowed.
pub(crate) fn one_of(names: &[&str]) -> String {
    format!("one of {}", names.join(", "))
}

named! {
    /// The numbers that a network computes with; between the products everything is float32 in any case.
    "dtype" Dtype {
        /// The reference's.
        #[default]
        Float32 = "float32",
        /// Weights and what they are multiplied with have 8 bits of precision, sums are float32.
        Bfloat16 = "bfloat16",
        /// Weights and what they are multiplied with are integers from -127 to 127 with a factor for each output and for
        /// each row, sums are exact.
        Int8 = "int8",
    }
}

/// What a model is asked to be computed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// These numbers.
    Fixed(Dtype),
    /// The fastest that passes the quality gate on this machine.
    Auto,
}

impl Default for Precision {
    fn default() -> Self {
        Self::Fixed(Dtype::default())
    }
}

impl From<Dtype> for Precision {
    fn from(dtype: Dtype) -> Self {
        Self::Fixed(dtype)
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        if name.eq_ignore_ascii_case("auto") {
            return Ok(Self::Auto);
        }
        let names = [Dtype::NAMES, &["auto"]].concat();
        name.parse().map(Self::Fixed).map_err(|_| Error::parameter("dtype", one_of(&names), &format_args!("{name:?}")))
    }
}

named! {
    /// What happens when int8 misses the quality gate.
    "quality" QualityGate {
        /// The model is loaded; what was measured is in its report.
        #[default]
        Warn = "warn",
        /// It is refused.
        Strict = "strict",
        /// Nothing is measured.
        Skip = "skip",
    }
}

named! {
    /// How tokens become entities.
    "aggregation_strategy" AggregationStrategy {
        /// One entity per token.
        #[default]
        None = "none",
        /// Neighbouring tokens of one type are grouped.
        Simple = "simple",
        /// Words take their first token's label, then are grouped.
        First = "first",
        /// Words take the label with the highest mean probability, then are grouped.
        Average = "average",
        /// Words take the label of their most certain token, then are grouped.
        Max = "max",
    }
}

named! {
    /// What happens to a text that is longer than the model reads.
    "long_text" LongText {
        /// It is cut; the caller learns where.
        #[default]
        Truncate = "truncate",
        /// It is read in windows that overlap by a quarter.
        Windows = "windows",
        /// It is refused.
        Error = "error",
    }
}

named! {
    /// The unit of offsets.
    "offset_unit" OffsetUnit {
        /// Unicode code points, as Python counts.
        #[default]
        Char = "char",
        /// UTF-16 code units, as JavaScript and Java count.
        Utf16 = "utf16",
        /// Bytes of the UTF-8 text, as Rust and Go count.
        Byte = "byte",
    }
}

named! {
    /// Where an entity's `word` comes from.
    "word" WordSource {
        /// The tokenizer's decoder, with its spaces and lower-casing.
        #[default]
        Decoded = "decoded",
        /// The exact slice of the text.
        Source = "source",
    }
}

named! {
    /// What counts as a word for the strategies `first`, `average` and `max`.
    "word_boundary" WordBoundary {
        /// The reference's rule: the vocabulary's continuation mark, else a space before the token.
        #[default]
        Compat = "compat",
        /// The pre-tokenizer's words.
        Tokenizer = "tokenizer",
        /// The words of Unicode's UAX #29, punctuation apart.
        Unicode = "unicode",
    }
}

named! {
    /// How label prefixes are read.
    "scheme" Scheme {
        /// The reference's rule: `B-` opens, everything else continues its own kind.
        #[default]
        Compat = "compat",
        /// `B-` opens, `I-` continues.
        Iob2 = "IOB2",
        /// `B-` opens, `I-` continues, `E-` closes, `S-` stands alone.
        Bioes = "BIOES",
        /// `B-` opens, `I-` continues, `L-` closes, `U-` stands alone.
        Bilou = "BILOU",
    }
}

named! {
    /// What turns logits into scores.
    "function_to_apply" Function {
        /// What the model's configuration says.
        #[default]
        Default = "default",
        /// Each label on its own.
        Sigmoid = "sigmoid",
        /// All labels together sum to 1.
        Softmax = "softmax",
        /// The logits themselves.
        None = "none",
    }
}

named! {
    /// What happens to a text or a pair that is longer than the model reads.
    "truncation" Truncation {
        /// It is refused.
        #[default]
        DoNotTruncate = "do_not_truncate",
        /// Tokens are taken from the longer text until the pair fits.
        LongestFirst = "longest_first",
        /// Only the first text is cut.
        OnlyFirst = "only_first",
        /// Only the second text is cut.
        OnlySecond = "only_second",
    }
}

named! {
    /// Which end of a text that is too long is cut.
    "truncation_side" TruncationSide {
        /// The end: its beginning is read.
        #[default]
        Right = "right",
        /// The beginning: its end is read.
        Left = "left",
    }
}

named! {
    /// How a server answers a list for text classification that names no `top_k`.
    "list_output" ListOutput {
        /// With a list for each input.
        #[default]
        Nested = "nested",
        /// As the hosted API: with one list, of the best label of each input.
        Hosted = "hosted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case_and_listed_in_the_error() {
        assert_eq!("FIRST".parse::<AggregationStrategy>().unwrap(), AggregationStrategy::First);
        assert_eq!("iob2".parse::<Scheme>().unwrap().to_string(), "IOB2");
        let error = "FOO".parse::<AggregationStrategy>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "aggregation_strategy: expected one of none, simple, first, average, max, got \"FOO\""
        );
    }

    #[test]
    fn bounds_count_rows() {
        let bounds = Bounds::from_lengths([3, 0, 2]);
        assert_eq!((bounds.sequences(), bounds.tokens()), (3, 5));
        assert_eq!(bounds.rows().collect::<Vec<_>>(), [0..3, 3..3, 3..5]);
    }
}
