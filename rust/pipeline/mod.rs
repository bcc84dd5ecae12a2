//! The one place that knows all stages: encode, forward, decode.

mod core;
mod network;
mod stages;
mod stream;
mod task;

use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::kernels::{Isa, Pool};
use crate::layers::{Profile, Stage};
pub use crate::models::Work;
use crate::quality::Report;
pub use crate::tokenizer::Lead;
use crate::types::{Cut, Dtype, Input, Precision, QualityGate};

pub use self::core::threads_from_environment;
pub use network::PackedCache;

use self::core::Core;

pub use stream::Stream;
pub use task::{Growing, Raw, Task, TextClassification, TokenClassification, TokenLogits};

/// Answers one label per stretch of text.
pub type TokenClassificationPipeline = Pipeline<TokenClassification>;
/// Answers labels for a whole text or pair.
pub type TextClassificationPipeline = Pipeline<TextClassification>;

/// A model, ready to be asked. Any number of threads may use one at once.
///
/// ```
/// use candlewick::{AggregationStrategy, TokenClassificationOptions, TokenClassificationPipeline};
/// # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/python/candlewick/demo/ner");
/// let ner = TokenClassificationPipeline::load(folder, &Default::default())?;
/// let options = TokenClassificationOptions {
///     aggregation_strategy: AggregationStrategy::Simple,
///     ..Default::default()
/// };
/// let answers = ner.run(["My name is Sarah Jessica Parker"], &options)?;
/// assert_eq!(answers[0].output[0].word, "Sarah Jessica Parker");
/// # Ok::<(), candlewick::Error>(())
/// ```
#[derive(Debug)]
pub struct Pipeline<T> {
    core: Arc<Core>,
    task: PhantomData<T>,
}

/// How a model is loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Threads of a call that names none; `None` = `CANDLEWICK_NUM_THREADS`, else what cgroup and affinity allow.
    pub threads: Option<NonZeroUsize>,
    /// A limit below the model's own, in tokens with special tokens.
    pub max_tokens: Option<NonZeroUsize>,
    /// What the network computes with.
    pub dtype: Precision,
    /// What happens when int8 misses its gate.
    pub quality: QualityGate,
    /// What int8 is judged on; none = the built-in texts.
    pub calibration: Vec<Input>,
    /// The folder where packed weights are kept; `None` = nowhere.
    pub packed_cache: Option<PathBuf>,
}

/// One input's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<O> {
    /// The entities or labels.
    pub output: O,
    /// Set when the input was cut at the limit.
    pub cut: Option<Cut>,
}

/// What runs, for people who want to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Info {
    /// `architectures[0]`, or `model_type` where the configuration names none.
    pub architecture: String,
    /// What the dense layers are held in, but for those that `quality` names.
    pub dtype: Dtype,
    /// What int8 was measured to change, where that was measured.
    pub quality: Option<Report>,
    /// What became of the packed cache.
    pub packed_cache: PackedCache,
    /// The instruction set of the kernels.
    pub isa: Isa,
    /// Threads of a call that names none.
    pub threads: NonZeroUsize,
    /// Longest input in tokens, special ones included.
    pub max_tokens: usize,
    /// Weights outside of the embedding tables.
    pub linear_parameters: usize,
}

impl<T: Task> Pipeline<T> {
    /// Loads the model of a folder with `config.json`, weights and tokenizer files as they lie in a Hub repository.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`], [`Error::ModelFormat`] and [`Error::Unsupported`] for what is in the folder;
    /// [`Error::Parameter`] when an option does not fit the model, or the model has another task.
    pub fn load(folder: impl AsRef<Path>, options: &LoadOptions) -> Result<Self> {
        let threads = options.threads.map_or_else(threads_from_environment, |threads| Ok(Some(threads)))?;
        Self::load_on(folder, options, Arc::new(Pool::new(threads)))
    }

    /// The same on threads that several models share, so that they do not take each other's processors.
    ///
    /// # Errors
    /// As for [`Pipeline::load`].
    pub fn load_on(folder: impl AsRef<Path>, options: &LoadOptions, pool: Arc<Pool>) -> Result<Self> {
        let core = Core::load(folder.as_ref(), T::NAME, options, pool)?;
        Ok(Self { core: Arc::new(core), task: PhantomData })
    }

    /// Answers all inputs, in their order.
    ///
    /// # Errors
    /// [`Error::Parameter`] for options that do not fit the model and [`Error::Input`] for the first bad input, before
    /// anything is computed (for more than 4 MiB of text: before its part of the list is); [`Error::Backend`] when the
    /// computation fails.
    pub fn run<I: Into<Input>>(
        &self,
        inputs: impl IntoIterator<Item = I>,
        options: &T::Options,
    ) -> Result<Vec<Answer<T::Output>>> {
        self.stream(inputs, options)?.into_answers(&mut || false)
    }

    /// Answers inputs as they finish, each with its position. Work is done while the iterator is asked.
    ///
    /// # Errors
    /// As for [`Pipeline::run`]; errors of inputs and of the computation come out of the iterator and end it.
    pub fn stream<I: Into<Input>>(
        &self,
        inputs: impl IntoIterator<Item = I>,
        options: &T::Options,
    ) -> Result<Stream<T>> {
        let inputs = inputs.into_iter().map(Into::into).collect();
        Stream::new(Arc::clone(&self.core), inputs, options.clone())
    }

    /// What post-processing starts from: tokens, offsets and raw logits.
    ///
    /// # Errors
    /// As for [`Pipeline::stream`].
    pub fn logits<I: Into<Input>>(
        &self,
        inputs: impl IntoIterator<Item = I>,
        options: &T::Options,
    ) -> Result<Stream<Raw<T>>> {
        let inputs = inputs.into_iter().map(Into::into).collect();
        Stream::new(Arc::clone(&self.core), inputs, options.clone())
    }

    /// Answers one input and adds the time of each stage to `profile`, on the pipeline's threads.
    ///
    /// # Errors
    /// As for [`Pipeline::run`].
    pub fn profile(&self, input: &Input, options: &T::Options, profile: &Profile) -> Result<T::Output> {
        let core = &self.core;
        let fit = T::fit(core, options)?;
        T::check(0, input)?;
        core.pool.run(T::run_options(options).threads, &mut || false, |_| {
            let encoded = profile.time(Stage::Tokenization, || core.encode(0, input, fit, None))?;
            let windows: Vec<_> = encoded.windows.iter().filter(|window| !window.is_empty()).collect();
            let logits = core.forward(&windows, &|| false, Some(profile))?;
            Ok(profile.time(Stage::Decoding, || T::decode(core, &encoded, logits, options)))
        })?
    }

    /// What one input of so many tokens asks of the machine.
    pub fn work(&self, tokens: usize) -> Work {
        self.core.model.work(tokens)
    }

    /// The model's labels, by id.
    pub fn labels(&self) -> &[Arc<str>] {
        &self.core.config.labels
    }

    /// Longest input in tokens, special ones included.
    pub fn max_tokens(&self) -> usize {
        self.core.max_tokens
    }

    /// Number of special tokens around one text.
    pub fn special_tokens(&self) -> usize {
        self.core.reader.added_tokens(false)
    }

    /// The network's family.
    pub fn model_type(&self) -> &str {
        &self.core.config.model_type
    }

    /// Tokens that all calls together have put through the network so far.
    pub fn computed_tokens(&self) -> usize {
        self.core.computed.load(Ordering::Relaxed)
    }

    /// Texts that all calls together have tokenized so far, a pair's two counting each.
    pub fn tokenized_texts(&self) -> usize {
        self.core.reader.tokenized()
    }

    /// What runs, for people who want to know.
    pub fn info(&self) -> Info {
        let core = &self.core;
        Info {
            architecture: core.config.architecture.clone().unwrap_or_else(|| core.config.model_type.clone()),
            dtype: core.dtype,
            quality: core.report.clone(),
            packed_cache: core.cache.clone(),
            isa: core.isa,
            threads: core.pool.threads(),
            max_tokens: core.max_tokens,
            linear_parameters: core.model.linear_parameters(),
        }
    }
}
