//! The shapes of answers, as schemas.
#![allow(dead_code, reason = "only their schemas are used")]

use serde::Serialize;
use utoipa::ToSchema;

/// A stretch of text; with the strategy `none` a token, which has `entity` and `index` in place of `entity_group`.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names of the wire")]
pub(super) struct Entity {
    /// The label, without `B-` and `I-`.
    entity_group: Option<String>,
    /// The label as the model has it.
    entity: Option<String>,
    /// The label's probability; of an entity, as the strategy takes it together.
    score: f64,
    /// Which token of the text it is; the first one is 1.
    index: Option<u32>,
    /// The tokens, joined and decoded.
    word: String,
    /// Where it begins, in code points.
    start: u32,
    /// Where it ends, in code points: the first one that does not belong to it.
    end: u32,
}

/// A label and how sure it is.
#[derive(Serialize, ToSchema)]
pub(super) struct Label {
    /// Its name in the model's configuration.
    label: String,
    /// What the function makes of its logit: usually a probability.
    score: f64,
}

/// Entities of a text; labels of a text, in a list of one; or of several texts, a list of either.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Answer {
    Entities(Vec<Entity>),
    EntitiesOfEach(Vec<Vec<Entity>>),
    LabelsOfEach(Vec<Vec<Label>>),
}

/// Labels of a text or pair, or of each of several.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Prediction {
    One(Vec<Label>),
    Each(Vec<Vec<Label>>),
}

/// A place of a ranking.
#[derive(Serialize, ToSchema)]
pub(super) struct Place {
    /// Which of the texts, counted from 0.
    index: u32,
    /// The text, where `return_text` asks for it.
    text: Option<String>,
    /// How well it answers the query, from 0 to 1; with `raw_scores`, the logit.
    score: f32,
}

/// All texts, best first.
#[derive(Serialize, ToSchema)]
pub(super) struct Ranking(Vec<Place>);

/// What went wrong.
#[derive(Serialize, ToSchema)]
pub(super) struct Problem {
    /// A sentence, also in the header `x-error-message`.
    error: String,
    /// Its kind, for programs.
    error_type: String,
    /// Seconds until the model is loaded.
    estimated_time: Option<f64>,
}

/// What is known about a model and its server; more of it once the model is loaded.
#[derive(Serialize, ToSchema)]
pub(super) struct Info {
    /// Its name in URLs.
    model_id: String,
    /// The same.
    served_model_name: String,
    /// Whether it answers.
    state: State,
    /// All models of the server.
    models: Vec<Served>,
    /// The server's.
    version: String,
    /// Most requests at a time.
    max_concurrent_requests: u32,
    /// Most tokens that are computed together.
    max_batch_tokens: u32,
    /// Most inputs that are computed together; null for as many as fit.
    max_batch_requests: Option<u32>,
    /// Most inputs of a request.
    max_client_batch_size: u32,
    /// Whether `/predict` cuts long texts where a request does not say.
    auto_truncate: bool,
    /// Threads that read texts.
    tokenization_workers: u32,
    /// `token-classification` or `text-classification`.
    task: Option<String>,
    /// The commit that it is of, where that is known.
    model_sha: Option<String>,
    /// The numbers that it is computed in.
    model_dtype: Option<String>,
    /// `token_classifier` or `classifier`, with `id2label` and `label2id`.
    #[schema(value_type = Option<Object>)]
    model_type: Option<serde_json::Value>,
    /// Most tokens of a text, special ones included.
    max_input_length: Option<u32>,
    /// The class in its configuration.
    architecture: Option<String>,
    /// What the processor is made use of with.
    instruction_set: Option<String>,
    /// Threads that compute.
    threads: Option<u32>,
}

/// A model of the server.
#[derive(Serialize, ToSchema)]
pub(super) struct Served {
    /// Its name in URLs.
    id: String,
    /// Whether it answers.
    state: State,
    /// Its task, once it is loaded.
    task: Option<String>,
}

/// Whether a model answers: not yet, now, or never.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Loading,
    Ready,
    Failed,
}

/// A model's state as old clients ask for it.
#[derive(Serialize, ToSchema)]
pub(super) struct Status {
    /// Whether it answers.
    loaded: bool,
    /// `Loaded` or `Loadable`.
    state: String,
    /// `cpu`.
    compute_type: String,
    /// `candlewick`.
    framework: String,
}
