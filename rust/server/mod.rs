//! The Inference API: what a request body asks, and how its answer is written.
//!
//! Pure functions, which `pipeline.query` of the Python package calls, and in `http` the server around them.

mod answer;
#[cfg(feature = "server")]
pub mod http;
mod parameters;
mod request;

use crate::error::Result;
use crate::pipeline::{Answer, Pipeline};
use crate::types::{AggregationStrategy, ListOutput, TopK};

pub use answer::Answers;
pub use parameters::Parameters;
pub use request::{Body, Request};

/// What the model and the operator of a server decide about requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Longest input in tokens, special ones included.
    pub max_tokens: usize,
    /// How many of them are special.
    pub special_tokens: usize,
    /// How many labels a text classification answers that names no `top_k`.
    pub default_top_k: TopK,
    /// Whether an unknown parameter of text classification is an error and not only a warning, as it always is for
    /// token classification.
    pub strict_parameters: bool,
    /// How tokens become entities where a request does not say.
    pub default_aggregation_strategy: AggregationStrategy,
    /// How a list for text classification is answered that names no `top_k`.
    pub list_output: ListOutput,
}

/// Answers a request body with a response body and the warnings that belong to it; `watch` as for
/// [`Stream::next_watched`](crate::pipeline::Stream::next_watched).
///
/// ```
/// use candlewick::{TextClassificationPipeline, server};
/// # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/python/candlewick/demo/sentiment");
/// let sentiment = TextClassificationPipeline::load(folder, &Default::default())?;
/// let body = br#"{"inputs": "What a wonderful evening!", "parameters": {"top_k": 1}}"#;
/// let (answer, warnings) = server::query(&sentiment, body, &mut || false)?;
/// assert!(answer.starts_with(r#"[[{"label":"positive","score":0."#) && warnings.is_empty());
/// # Ok::<(), candlewick::Error>(())
/// ```
///
/// # Errors
/// [`Error::Parameter`](crate::Error::Parameter) for a body that is no request or parameters that are not allowed,
/// [`Error::Input`](crate::Error::Input) for inputs that can't be answered,
/// [`Error::Several`](crate::Error::Several) for more than one of these, [`Error::Backend`](crate::Error::Backend) when
/// the computation fails.
pub fn query<T: Parameters<Output: Answers>>(
    pipeline: &Pipeline<T>,
    body: &[u8],
    watch: &mut dyn FnMut() -> bool,
) -> Result<(String, Vec<String>)> {
    let settings = Settings {
        max_tokens: pipeline.max_tokens(),
        special_tokens: pipeline.special_tokens(),
        default_top_k: TopK::All,
        strict_parameters: false,
        default_aggregation_strategy: AggregationStrategy::Simple,
        list_output: ListOutput::Nested,
    };
    let request = Request::<T::Options>::parse::<T>(body, &settings)?;
    let answers = pipeline.stream(request.inputs, &request.options)?.into_answers(watch)?;
    let mut warnings = request.warnings;
    let cut = answers.iter().enumerate().find_map(|(index, answer)| Some((index, answer.cut?)));
    warnings.extend(cut.map(|(index, cut)| {
        format!("truncation; input {index} was truncated from {} to {} tokens", cut.total, cut.kept)
    }));
    let outputs: Vec<T::Output> = answers.into_iter().map(|answer: Answer<T::Output>| answer.output).collect();
    Ok((answer::body(&outputs, request.single)?, warnings))
}
