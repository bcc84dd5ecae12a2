//! The shapes of requests, as schemas.
#![allow(dead_code, reason = "only their schemas are used: the parser tells every problem at once")]

use serde::Serialize;
use utoipa::ToSchema;

/// A request in the dialect of the hosted API, to a model of either task.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Request)]
pub(super) enum HubRequest {
    Token(TokenRequest),
    Text(TextRequest),
}

/// A request to a model of token classification.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenRequest {
    /// What is to be answered.
    inputs: TokenInputs,
    /// How. Where there are none, the URL's query is read as such: `?stride=16`.
    parameters: Option<TokenOptions>,
    #[serde(flatten)]
    #[schema(inline)]
    delivery: Delivery,
}

/// A request to a model of text classification.
#[derive(Serialize, ToSchema)]
pub(super) struct TextRequest {
    /// What is to be answered.
    inputs: TextInputs,
    /// How. Where there are none, the URL's query is read as such: `?top_k=2`.
    parameters: Option<TextOptions>,
    #[serde(flatten)]
    #[schema(inline)]
    delivery: Delivery,
}

/// How an answer gets to its client.
#[derive(Serialize, ToSchema)]
struct Delivery {
    /// Whether the answer is wanted as server-sent events, with `[DONE]` at the end: one for each entity or label, of a
    /// text that is read in windows (`stride`) as soon as no later window can change it; of a list, one for each input
    /// as it is answered.
    #[schema(default = false)]
    stream: Option<bool>,
    /// What does not change the answer.
    options: Option<ServiceOptions>,
}

/// One text, or at least one in a list; with `is_split_into_words`, the words of a text, or lists of those of several.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum TokenInputs {
    Text(String),
    Texts(Vec<String>),
    Words(Vec<Vec<String>>),
}

/// One text or pair, or at least one in a list.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum TextInputs {
    Text(String),
    Pair(Pair),
    List(Vec<Item>),
}

/// One of several.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Item {
    Text(String),
    Pair(Pair),
}

/// A text, perhaps with a second one.
#[derive(Serialize, ToSchema)]
pub(super) struct Pair {
    /// The first one, or the only one.
    text: String,
    /// What it is compared with.
    text_pair: Option<String>,
}

/// Parameters of token classification. A name that is not among them is an error.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenOptions {
    /// How tokens become entities; the server's default (`simple`) if absent or null.
    aggregation_strategy: Option<Strategy>,
    /// Labels to leave out; `["O"]` if absent.
    ignore_labels: Option<Vec<String>>,
    /// Tokens that the windows of a long text share, fewer than a window has for text; not together with the strategy
    /// `none`. Without it, a long text is cut, and a header says so.
    #[schema(minimum = 0)]
    stride: Option<u32>,
    /// Whether an input is a list of words.
    #[schema(default = false)]
    is_split_into_words: Option<bool>,
    /// What stands between those words.
    #[schema(default = " ")]
    delimiter: Option<String>,
    /// The same as beside `parameters`.
    stream: Option<bool>,
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
    #[schema(minimum = 1, maximum = 4_294_967_295_u32)]
    top_k: Option<u32>,
    /// How logits become scores; what the model's configuration says if absent or `default`.
    function_to_apply: Option<Function>,
    /// The old name of a `top_k` of all.
    return_all_scores: Option<bool>,
    /// Whether a text that is too long is cut, or how.
    truncation: Option<Truncation>,
    /// A limit below the model's own, in tokens, special ones included.
    #[schema(minimum = 1)]
    max_length: Option<u32>,
    /// The same as beside `parameters`.
    stream: Option<bool>,
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

/// Whether a long text is cut (`true`, which is also what happens if it is absent) or refused (`false`), or how it is
/// cut.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Truncation {
    Whether(bool),
    How(Cut),
}

/// Which text of a pair is cut.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Cut {
    LongestFirst,
    OnlyFirst,
    OnlySecond,
    DoNotTruncate,
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
