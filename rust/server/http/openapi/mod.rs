//! The OpenAPI document: schemas from types, paths from a table, examples that the tests ask.

mod answers;
mod errors;
mod examples;
mod requests;
mod routes;
mod shapes;

use std::sync::LazyLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Content, ContentBuilder, InfoBuilder, OpenApiBuilder, PathItem, PathsBuilder, Ref, Required, ResponseBuilder,
    ResponsesBuilder,
};

use super::tei::{Inputs as PredictInputs, Predict, Rerank};
use answers::{Answer, Entity, Info, Label, Place, Prediction, Problem, Ranking, Served, State, Status};
use errors::ERRORS;
use requests::{
    Cut, Function, HubRequest, Item, Pair, ServiceOptions, Strategy, TextInputs, TextOptions, TextRequest, TokenInputs,
    TokenOptions, TokenRequest, Truncation,
};
use routes::{Kind, ROUTES, Route, TAGS};

/// All schemas.
#[derive(OpenApi)]
#[openapi(components(schemas(
    HubRequest,
    TokenRequest,
    TokenInputs,
    TokenOptions,
    Strategy,
    TextRequest,
    TextInputs,
    Item,
    Pair,
    TextOptions,
    Function,
    Truncation,
    Cut,
    ServiceOptions,
    Answer,
    Entity,
    Label,
    Predict,
    PredictInputs,
    Prediction,
    Rerank,
    Ranking,
    Place,
    Problem,
    Info,
    Served,
    State,
    Status,
)))]
struct Types;

const DESCRIPTION: &str = "Token and text classification with the interface of the Inference API. A slash at the end of a \
                           path makes no difference; an id of two parts may also be written as one, with `%2F`.";
const KEY: &str = "key";

/// Headers of a request, with what they mean.
const TAKES: &[(&str, &str)] = &[
    ("x-use-cache", "Whether an answer may come from the cache: `true` (also 1, yes, on) if absent, or `false`."),
    (
        "x-wait-for-model",
        "Whether to wait for a model that is still loading, and not be answered 503: `false` if absent.",
    ),
    ("x-request-id", "An id that comes back with the answer."),
];
/// Headers of an answer.
const GIVES: &[(&str, &str)] = &[
    ("x-compute-type", "`cpu`, or `cache` if nothing had to be computed."),
    ("x-compute-time", "Seconds that the answer took; of `/predict` and `/rerank`, milliseconds."),
    ("x-compute-characters", "Code points of all texts."),
    ("x-compute-tokens", "Tokens of all texts."),
    ("x-cache", "`HIT`, `MISS` or `BYPASS`."),
    ("x-hf-warning", "Topic and message, as `truncation; input 0 was truncated from 300 to 256 tokens`."),
    ("x-sha", "The model's commit, where it is known."),
    ("x-request-id", "The request's id, or one that is made up."),
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
    for route in ROUTES {
        paths = paths.path(route.path, PathItem::new(route.method.clone(), operation(route)));
    }
    let info = InfoBuilder::new().title("candlewick").description(Some(DESCRIPTION)).version(env!("CARGO_PKG_VERSION"));
    let key = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("Where the server was given keys."));
    let components = Types::openapi().components.map(|mut components| {
        components.schemas.iter_mut().for_each(|(name, schema)| shapes::correct(name, schema));
        components.responses.extend(errors::responses().map(|(name, response)| (name.to_owned(), response.into())));
        components.add_security_scheme(KEY, SecurityScheme::Http(key.build()));
        components
    });
    let tags = TAGS.iter().map(|(name, about)| TagBuilder::new().name(*name).description(Some(*about)).build());
    OpenApiBuilder::new().info(info).paths(paths).components(components).tags(Some(tags)).build()
}

fn operation(route: &Route) -> OperationBuilder {
    let mut operation = OperationBuilder::new().tag(route.tag).summary(Some(route.summary));
    for name in route.path.split(['{', '}']).skip(1).step_by(2) {
        let about = match name {
            "task" => "The task: `token-classification` or `ner`, `text-classification` or `sentiment-analysis`.",
            "owner" => "The first part of the model's id.",
            _ => "The model's id, or the second part of it.",
        };
        operation = operation.parameter(parameter(name, ParameterIn::Path, Required::True, about));
    }
    let takes = match route.kind {
        Kind::Hub => Some("Request"),
        Kind::Tei { takes, .. } => Some(takes),
        _ => None,
    };
    if let Some(takes) = takes {
        for (name, about) in TAKES {
            operation = operation.parameter(parameter(name, ParameterIn::Header, Required::False, about));
        }
        let request = RequestBodyBuilder::new().content("application/json", json(takes)).required(Some(Required::True));
        operation = operation.request_body(Some(request.build()));
    }
    if !matches!(route.kind, Kind::Health | Kind::Open(_)) {
        let none = SecurityRequirement::default();
        operation = operation.security(none).security(SecurityRequirement::new(KEY, [""; 0]));
    }
    operation.responses(responses(route))
}

fn parameter(name: &str, place: ParameterIn, required: Required, about: &str) -> Parameter {
    let text = ObjectBuilder::new().schema_type(Type::String).build();
    let parameter = ParameterBuilder::new().name(name).parameter_in(place).required(required);
    parameter.description(Some(about)).schema(Some(text)).build()
}

/// JSON of a schema, with its examples.
fn json(schema: &str) -> Content {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema)));
    content.examples_from_iter(examples::written(schema)).build()
}

fn text() -> Content {
    Content::new(Some(ObjectBuilder::new().schema_type(Type::String).build()))
}

fn responses(route: &Route) -> ResponsesBuilder {
    const JSON: &str = "application/json";
    let (description, content) = match route.kind {
        Kind::Hub => ("What the model finds.", vec![(JSON, json("Answer")), ("text/event-stream", Content::default())]),
        Kind::Tei { gives, .. } => ("What the model finds.", vec![(JSON, json(gives))]),
        Kind::About(gives) => ("What is known.", vec![(JSON, json(gives))]),
        Kind::Health => ("Ready. The body is empty.", Vec::new()),
        Kind::Open("text/html") => ("The page.", vec![("text/html", text())]),
        Kind::Open(JSON) => ("The document.", vec![(JSON, Content::default())]),
        Kind::Open(media) => ("The text.", vec![(media, text())]),
    };
    let fine = ResponseBuilder::new().description(description);
    let mut fine = content.into_iter().fold(fine, |fine, (media, content)| fine.content(media, content));
    if matches!(route.kind, Kind::Hub | Kind::Tei { .. }) {
        for (name, about) in GIVES {
            fine = fine.header(*name, HeaderBuilder::new().description(Some(*about)).build());
        }
    }
    let mut responses = ResponsesBuilder::new().response("200", fine.build());
    for (status, name, ..) in ERRORS.iter().filter(|(status, ..)| answers_with(route, status)) {
        responses = responses.response(*status, Ref::from_response_name(*name));
    }
    responses
}

/// Whether a route may answer with the status of an error.
fn answers_with(route: &Route, status: &str) -> bool {
    let named = route.path.contains("{model}");
    match route.kind {
        Kind::Hub => match status {
            "404" => named,
            "422" => route.path.contains("{task}"),
            _ => status != "424",
        },
        Kind::Tei { .. } => status != "404",
        Kind::About(_) => status == "401" || named && status == "404",
        Kind::Health => status == "503" || named && status == "404",
        Kind::Open(_) => route.path == "/" && status == "503",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_somewhere() {
        let document = serde_json::to_value(build()).unwrap();
        let text = document.to_string();
        let mut count = 0;
        for reference in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(document.pointer(reference).is_some(), "{reference} leads nowhere");
            count += 1;
        }
        assert!(count > 100, "{count} references");
    }

    #[test]
    fn every_type_and_member_is_explained() {
        let document = serde_json::to_value(build()).unwrap();
        let explained = |schema: &serde_json::Value| {
            let forms = ["oneOf", "anyOf"].into_iter().filter_map(|of| schema[of].as_array()).flatten();
            let own = [schema].into_iter().chain(forms);
            own.filter_map(|one| one["description"].as_str()).any(|text| !text.is_empty())
        };
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            assert!(explained(schema), "{name} is not explained");
            assert!(schema["allOf"].is_null(), "{name} is in parts");
            for (member, schema) in schema["properties"].as_object().into_iter().flatten() {
                assert!(explained(schema), "{name}.{member} is not explained");
            }
        }
    }

    #[test]
    fn every_path_of_the_table_is_there() {
        let document = serde_json::to_value(build()).unwrap();
        let methods = document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len());
        assert_eq!(methods.sum::<usize>(), ROUTES.len());
        assert!(document["paths"]["/"]["post"]["requestBody"].is_object());
        assert!(document["paths"]["/"]["get"].is_object());
    }
}
