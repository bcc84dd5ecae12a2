//! The shapes of requests, as schemas.
#![allow(dead_code, reason = "only their schemas are used: the parser tells every problem at once")]

use serde::Serialize;
use utoipa::ToSchema;

/// A request in the dialect of the hosted API.
#[derive(Serialize, ToSchema)]
#[schema(as = Request)]
pub(super) struct HubRequest {
    /// What is to be answered.
    inputs: Inputs,
    /// Options of the model's task; those of the other task are unknown. Where there are none, the URL's query is read
    /// as such: `?top_k=2`.
    parameters: Option<Options>,
    /// Whether the answer is wanted as server-sent events, with `[DONE]` at the end: one for each entity or label, of a
    /// text that is read in windows (`stride`) as soon as no later window can change it; of a list, one for each input
    /// as it is answered.
    #[schema(default = false)]
    stream: Option<bool>,
    /// What does not change the answer.
    options: Option<ServiceOptions>,
}

/// One text, or several at once.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Inputs {
    Text(String),
    Pair(Pair),
    /// At least one.
    List(Vec<Item>),
}

/// One of several.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Item {
    Text(String),
    Pair(Pair),
}

/// For text classification: a text, perhaps with a second one.
#[derive(Serialize, ToSchema)]
pub(super) struct Pair {
    /// The first one, or the only one.
    text: String,
    /// What it is compared with.
    text_pair: Option<String>,
}

/// Parameters of the model's task.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Options {
    Token(TokenOptions),
    Text(TextOptions),
}

/// Parameters of token classification. A name that is not among them is an error.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenOptions {
    /// How tokens become entities; the server's default (`simple`) if absent or null.
    aggregation_strategy: Option<Strategy>,
    /// Labels to leave out; `["O"]` if absent.
    ignore_labels: Option<Vec<String>>,
    /// Tokens that the windows of a long text share; without it, a long text is cut, and a header says so.
    #[schema(minimum = 0)]
    stride: Option<u32>,
    /// Whether an input is a list of words.
    #[schema(default = false)]
    is_split_into_words: Option<bool>,
    /// What stands between those words.
    #[schema(default = " ")]
    delimiter: Option<String>,
}

/// Every token by itself (`none`), neighbours of one kind together (`simple`), or whole words, each with the label of its
/// first token (`first`), of all its tokens (`average`) or of the surest one (`max`).
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Strategy {
    None,
    Simple,
    First,
    Average,
    Max,
}

/// Parameters of text classification. A name that is not among them is left aside with a warning.
#[derive(Serialize, ToSchema)]
pub(super) struct TextOptions {
    /// How many labels, best first; all of them if null, and also if absent unless the server has another default.
    #[schema(minimum = 1)]
    top_k: Option<u32>,
    /// How logits become scores; what the model's configuration says if absent or `default`.
    function_to_apply: Option<Function>,
    /// The old name of a `top_k` of all.
    return_all_scores: Option<bool>,
    /// Whether a long text is cut (true) or refused (false), or how it is cut: `longest_first`, `only_first`,
    /// `only_second`.
    #[schema(value_type = Option<Truncation>, default = true)]
    truncation: Option<Truncation>,
    /// A limit below the model's own, in tokens.
    #[schema(minimum = 1)]
    max_length: Option<u32>,
}

/// The logistic function for each label by itself, the softmax over all of them, the logits as they are, or what the
/// model's configuration says.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Function {
    Sigmoid,
    Softmax,
    None,
    Default,
}

/// Whether a long text is cut, or how.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Truncation {
    Whether(bool),
    How(String),
}

/// What changes how long an answer takes, and not the answer.
#[derive(Serialize, ToSchema)]
pub(super) struct ServiceOptions {
    /// As the header `x-use-cache`, which wins.
    #[schema(default = true)]
    use_cache: Option<bool>,
    /// As the header `x-wait-for-model`, which wins.
    #[schema(default = false)]
    wait_for_model: Option<bool>,
}
