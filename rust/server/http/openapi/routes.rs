//! Every route, in one table.

use utoipa::openapi::path::HttpMethod::{self, Get, Post};

/// What a path takes and gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Answers in the dialect of the hosted API.
    Hub,
    /// Answers in the dialect of text-embeddings-inference: names of the two bodies.
    Tei { takes: &'static str, gives: &'static str },
    /// JSON about the server, which asks for a key as answers do: the name of the body.
    About(&'static str),
    /// Nothing but a status.
    Health,
    /// Anything else that needs no key: its media type.
    Open(&'static str),
}

pub(super) struct Route {
    pub(super) method: HttpMethod,
    pub(super) path: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    pub(super) kind: Kind,
}

/// What the paths are grouped by.
pub(super) const TAGS: &[(&str, &str)] = &[
    (ANSWERS, "As the hosted Inference API. Each of these paths is also there under `/hf-inference`."),
    (TEI, "As text-embeddings-inference, by the first model."),
    (MODELS, "What is served."),
    (HEALTH, "For load balancers and probes: an empty 200, or 503 with the reason."),
    (SERVICE, "For people and for monitoring."),
];

const ANSWERS: &str = "Answers";
const TEI: &str = "text-embeddings-inference";
const MODELS: &str = "Models";
const HEALTH: &str = "Health";
const SERVICE: &str = "Service";

const fn route(method: HttpMethod, path: &'static str, tag: &'static str, summary: &'static str, kind: Kind) -> Route {
    Route { method, path, tag, summary, kind }
}

const PREDICT: Kind = Kind::Tei { takes: "Predict", gives: "Prediction" };
const RERANK: Kind = Kind::Tei { takes: "Rerank", gives: "Ranking" };
const INFO: Kind = Kind::About("Info");
const STATUS: Kind = Kind::About("Status");
const JSON: Kind = Kind::Open("application/json");

pub(super) const ROUTES: &[Route] = &[
    route(Post, "/", ANSWERS, "Answer with the first model", Kind::Hub),
    route(Post, "/models/{model}", ANSWERS, "Answer with a model", Kind::Hub),
    route(Post, "/models/{owner}/{model}", ANSWERS, "Answer with a model whose id has two parts", Kind::Hub),
    route(Post, "/pipeline/{task}", ANSWERS, "Answer with the first model if it has this task", Kind::Hub),
    route(Post, "/pipeline/{task}/{model}", ANSWERS, "Answer with a model if it has this task", Kind::Hub),
    route(Post, "/pipeline/{task}/{owner}/{model}", ANSWERS, "The same for an id of two parts", Kind::Hub),
    route(Post, "/models/{model}/pipeline/{task}", ANSWERS, "The same in another order", Kind::Hub),
    route(Post, "/models/{owner}/{model}/pipeline/{task}", ANSWERS, "The same for an id of two parts", Kind::Hub),
    route(Post, "/invocations", ANSWERS, "Another name of `/`", Kind::Hub),
    route(Post, "/predict", TEI, "Labels of texts or pairs", PREDICT),
    route(Post, "/rerank", TEI, "Order texts by how well they answer a query", RERANK),
    route(Get, "/info", MODELS, "The first model, and the server", INFO),
    route(Get, "/models/{model}/info", MODELS, "A model, and the server", INFO),
    route(Get, "/models/{owner}/{model}/info", MODELS, "The same for an id of two parts", INFO),
    route(Get, "/status/{model}", MODELS, "A model's state, for old clients", STATUS),
    route(Get, "/status/{owner}/{model}", MODELS, "The same for an id of two parts", STATUS),
    route(Get, "/health", HEALTH, "Whether all models are ready", Kind::Health),
    route(Get, "/ping", HEALTH, "Another name of `/health`", Kind::Health),
    route(Get, "/models/{model}/health", HEALTH, "Whether a model is ready", Kind::Health),
    route(Get, "/models/{owner}/{model}/health", HEALTH, "The same for an id of two parts", Kind::Health),
    route(
        Get,
        "/",
        SERVICE,
        "A page to try the models, where HTML is accepted; else as `/health`",
        Kind::Open("text/html"),
    ),
    route(Get, "/docs", SERVICE, "This document as a page", Kind::Open("text/html")),
    route(Get, "/openapi.json", SERVICE, "This document", JSON),
    route(Get, "/api-doc/openapi.json", SERVICE, "Another name of `/openapi.json`", JSON),
    route(Get, "/metrics", SERVICE, "Counters in Prometheus' text format", Kind::Open("text/plain")),
];
