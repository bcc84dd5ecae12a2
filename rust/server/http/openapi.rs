//! The OpenAPI document: schemas from types, paths from one table.

use std::sync::LazyLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{
    Content, ContentBuilder, InfoBuilder, OpenApiBuilder, PathItem, PathsBuilder, Ref, Required, ResponseBuilder,
    ResponsesBuilder,
};
use utoipa::{OpenApi, ToSchema};

use super::tei::{How, Predict, Rerank};

/// A request in the dialect of the hosted API.
#[derive(Serialize, ToSchema)]
#[schema(as = Request)]
#[allow(dead_code, reason = "only its schema is used: the parser tells every problem at once")]
struct HubRequest {
    /// What is to be answered.
    inputs: Inputs,
    /// Options of the model's task; those of the other task are unknown.
    parameters: Option<Options>,
    /// Whether the answer is wanted as server-sent events: one for each entity or label, of a text that is read in
    /// windows (`stride`) as soon as no later window can change it; of a list, one for each input as it is answered.
    #[schema(default = false)]
    stream: Option<bool>,
    options: Option<ServiceOptions>,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "as above")]
enum Inputs {
    Text(String),
    Pair(Pair),
    /// At least one.
    List(Vec<Item>),
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "as above")]
enum Item {
    Text(String),
    Pair(Pair),
}

/// For text classification: a text, perhaps with a second one.
#[derive(Serialize, ToSchema)]
struct Pair {
    text: String,
    text_pair: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "as above")]
enum Options {
    Token(TokenOptions),
    Text(TextOptions),
}

/// Parameters of token classification.
#[derive(Serialize, ToSchema)]
struct TokenOptions {
    /// none, simple, first, average or max; simple if absent or null.
    aggregation_strategy: Option<String>,
    /// Labels to leave out; `["O"]` if absent.
    ignore_labels: Option<Vec<String>>,
    /// Tokens that the windows of a long text share; without it, a long text is cut.
    #[schema(minimum = 0)]
    stride: Option<u32>,
    /// Whether an input is a list of words.
    is_split_into_words: Option<bool>,
    /// What stands between those words.
    delimiter: Option<String>,
}

/// Parameters of text classification.
#[derive(Serialize, ToSchema)]
struct TextOptions {
    /// How many labels, best first; all of them if absent or null.
    #[schema(minimum = 1)]
    top_k: Option<u32>,
    /// sigmoid, softmax, none or default.
    function_to_apply: Option<String>,
    /// The old name of a `top_k` of all.
    return_all_scores: Option<bool>,
    /// Whether a long text is cut (true) or refused (false), or how: `longest_first`, `only_first`, `only_second`.
    #[schema(value_type = Option<Object>)]
    truncation: Option<serde_json::Value>,
    /// A limit below the model's own, in tokens.
    #[schema(minimum = 1)]
    max_length: Option<u32>,
}

/// Options that do not change an answer.
#[derive(Serialize, ToSchema)]
struct ServiceOptions {
    /// As the header `x-use-cache`, which wins.
    use_cache: Option<bool>,
    /// As the header `x-wait-for-model`, which wins.
    wait_for_model: Option<bool>,
}

/// A stretch of text; with the strategy `none` it has `entity` and `index` in place of `entity_group`.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names of the wire")]
struct Entity {
    entity_group: Option<String>,
    entity: Option<String>,
    score: f64,
    index: Option<u32>,
    word: String,
    /// In code points.
    start: u32,
    end: u32,
}

#[derive(Serialize, ToSchema)]
struct Label {
    label: String,
    score: f64,
}

/// Entities of a text, labels of each text, or a list of either.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "as above")]
enum Answer {
    Entities(Vec<Entity>),
    EntitiesOfEach(Vec<Vec<Entity>>),
    LabelsOfEach(Vec<Vec<Label>>),
}

/// Labels of a text or pair, or of each of several.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "as above")]
enum Prediction {
    One(Vec<Label>),
    Each(Vec<Vec<Label>>),
}

/// A place of a ranking, best first.
#[derive(Serialize, ToSchema)]
struct Place {
    index: u32,
    text: Option<String>,
    score: f32,
}

#[derive(Serialize, ToSchema)]
struct Ranking(Vec<Place>);

/// What went wrong.
#[derive(Serialize, ToSchema)]
struct Problem {
    /// A sentence.
    error: String,
    /// Its kind, for programs.
    error_type: String,
    /// Seconds until the model is loaded.
    estimated_time: Option<f64>,
}

/// What is known about a model and its server.
#[derive(Serialize, ToSchema)]
struct Info {
    model_id: String,
    /// loading, ready or failed.
    state: String,
    task: Option<String>,
    max_input_length: Option<u32>,
    version: String,
}

#[derive(OpenApi)]
#[openapi(components(schemas(
    HubRequest,
    Inputs,
    Item,
    Pair,
    Options,
    TokenOptions,
    TextOptions,
    ServiceOptions,
    Entity,
    Label,
    Answer,
    Prediction,
    Place,
    Ranking,
    Problem,
    Info,
    Predict,
    Rerank,
    How,
)))]
struct Types;

/// What a path takes and gives.
enum Body {
    Hub,
    Json { takes: &'static str, gives: &'static str },
    Gives(&'static str, Option<&'static str>),
}

const STATUSES: &[(&str, &str)] = &[
    ("400", "Validation: the request can't be answered as it is"),
    ("401", "Unauthorized: a key is missing or wrong"),
    ("404", "NotFound: there is no such model"),
    ("413", "PayloadTooLarge: the body, or the list of inputs"),
    ("415", "UnsupportedMediaType"),
    ("422", "TaskMismatch, or Validation in the dialect of text-embeddings-inference"),
    ("424", "Backend: the model is not one for this path"),
    ("429", "Overloaded: the answer would come too late; see Retry-After"),
    ("500", "Backend: the computation failed"),
    ("503", "Loading or Unhealthy; see Retry-After and estimated_time"),
    ("504", "Timeout"),
];

const PATHS: &[(HttpMethod, &str, &str, Body)] = &[
    (HttpMethod::Post, "/", "Answer with the first model", Body::Hub),
    (HttpMethod::Post, "/models/{a}", "Answer with a model", Body::Hub),
    (HttpMethod::Post, "/models/{a}/{b}", "Answer with a model whose id has two parts", Body::Hub),
    (HttpMethod::Post, "/pipeline/{task}", "Answer with the first model if it has this task", Body::Hub),
    (HttpMethod::Post, "/pipeline/{task}/{a}", "The same with a model", Body::Hub),
    (HttpMethod::Post, "/pipeline/{task}/{a}/{b}", "The same with an id of two parts", Body::Hub),
    (HttpMethod::Post, "/models/{a}/pipeline/{task}", "Another order of the same", Body::Hub),
    (HttpMethod::Post, "/models/{a}/{b}/pipeline/{task}", "The same with an id of two parts", Body::Hub),
    (HttpMethod::Post, "/invocations", "Another name of /", Body::Hub),
    (
        HttpMethod::Post,
        "/predict",
        "Labels, in the dialect of text-embeddings-inference",
        Body::Json { takes: "Predict", gives: "Prediction" },
    ),
    (
        HttpMethod::Post,
        "/rerank",
        "Order texts by how well they answer a query",
        Body::Json { takes: "Rerank", gives: "Ranking" },
    ),
    (HttpMethod::Get, "/health", "Whether all models are ready", Body::Gives("text/plain", None)),
    (HttpMethod::Get, "/ping", "Another name of /health", Body::Gives("text/plain", None)),
    (HttpMethod::Get, "/models/{a}/health", "Whether a model is ready", Body::Gives("text/plain", None)),
    (HttpMethod::Get, "/info", "The first model, and the server", Body::Gives("application/json", Some("Info"))),
    (HttpMethod::Get, "/models/{a}/info", "A model", Body::Gives("application/json", Some("Info"))),
    (HttpMethod::Get, "/metrics", "Counters in Prometheus' text format", Body::Gives("text/plain", None)),
];

pub(super) async fn document() -> Response {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
        // Built from constants: there is nothing that could fail for one process and not for another.
        build().to_json().unwrap_or_default()
    });
    ([(CONTENT_TYPE, super::problem::JSON)], DOCUMENT.as_str()).into_response()
}

fn build() -> utoipa::openapi::OpenApi {
    let mut paths = PathsBuilder::new();
    for (method, path, summary, body) in PATHS {
        paths = paths.path(*path, PathItem::new(method.clone(), operation(path, summary, body)));
    }
    let about = InfoBuilder::new()
        .title("candlewick")
        .description(Some("Token and text classification with the interface of the Inference API."))
        .version(env!("CARGO_PKG_VERSION"));
    OpenApiBuilder::new().info(about).paths(paths).components(Types::openapi().components).build()
}

fn operation(path: &str, summary: &str, body: &Body) -> OperationBuilder {
    let mut operation = OperationBuilder::new().summary(Some(summary));
    for name in path.split(['{', '}']).skip(1).step_by(2) {
        let about = if name == "task" { "The task, or its alias" } else { "A part of the model's id" };
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
        operation = operation.parameter(parameter.description(Some(about)).schema(Some(text)));
    }
    let json = |name: &str| Content::new(Some(Ref::from_schema_name(name)));
    let (takes, content) = match body {
        Body::Hub => (Some("Request"), ("application/json", json("Answer"))),
        Body::Json { takes, gives } => (Some(*takes), ("application/json", json(gives))),
        Body::Gives(kind, name) => (None, (*kind, name.map_or_else(|| ContentBuilder::new().build(), json))),
    };
    if let Some(name) = takes {
        let request = RequestBodyBuilder::new().content("application/json", json(name)).required(Some(Required::True));
        operation = operation.request_body(Some(request.build()));
    }
    let mut answer = ResponseBuilder::new().description("The answer").content(content.0, content.1);
    if matches!(body, Body::Hub) {
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        answer = answer.content("text/event-stream", Content::new(Some(text)));
    }
    let mut responses = ResponsesBuilder::new().response("200", answer);
    for (status, when) in STATUSES {
        let problem = ResponseBuilder::new().description(*when).content("application/json", json("Problem"));
        responses = responses.response(*status, problem);
    }
    operation.responses(responses.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_to_a_schema() {
        let document = serde_json::to_value(build()).unwrap();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let text = document.to_string();
        let names = text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap());
        for name in names {
            assert!(schemas.contains_key(name), "{name} has no schema");
        }
        assert!(document["paths"]["/"]["post"]["requestBody"].is_object());
        assert_eq!(document["paths"].as_object().unwrap().len(), PATHS.len());
    }
}
