//! Every status of an error, with when it comes and what it says.

use serde_json::{Value, json};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::{ContentBuilder, Ref, Response, ResponseBuilder};

/// A status, the name of its response, when it comes, and the `error_type` and `error` of an example.
type Failure = (&'static str, &'static str, &'static str, &'static str, &'static str);

pub(super) const ERRORS: &[Failure] = &[
    (
        "400",
        "BadRequest",
        "The request can't be answered as it is; all that is wrong with it is told at once. `Empty` where `/predict` and \
         `/rerank` are asked about nothing.",
        "Validation",
        "Invalid request: aggregation_strategy: expected one of none, simple, first, average, max, got \"best\".",
    ),
    ("401", "Unauthorized", "The server asks for a key.", "Unauthorized", "An API key is needed."),
    ("404", "NotFound", "There is no such model.", "NotFound", "Model some/model does not exist"),
    ("408", "RequestTimeout", "The body did not arrive in time.", "Timeout", "The body was not received in time."),
    (
        "413",
        "PayloadTooLarge",
        "The body, or the list of inputs, is longer than the server allows.",
        "PayloadTooLarge",
        "The request has 2000 inputs, allowed are at most 1024.",
    ),
    (
        "415",
        "UnsupportedMediaType",
        "The body is neither JSON nor plain text.",
        "UnsupportedMediaType",
        "The body can't be read: expected a content type of application/json or text/plain.",
    ),
    (
        "422",
        "UnprocessableEntity",
        "The model does not have the task of the path. `Validation` where `/predict` and `/rerank` can't read a request.",
        "TaskMismatch",
        "Model some/model does not support task text-classification. Supported task: token-classification",
    ),
    (
        "424",
        "FailedDependency",
        "The first model is not one for this path, or could not compute an answer.",
        "Backend",
        "The model is not for text classification.",
    ),
    (
        "429",
        "TooManyRequests",
        "The answer would come too late, as there are too many requests.",
        "Overloaded",
        "The server has more requests than it can answer in time; try again later.",
    ),
    (
        "500",
        "InternalServerError",
        "The model could not be loaded, or could not compute an answer.",
        "Backend",
        "The model could not compute an answer.",
    ),
    (
        "503",
        "ServiceUnavailable",
        "The model is not loaded yet (`Loading`), or the server is not healthy (`Unhealthy`).",
        "Loading",
        "Model some/model is currently loading",
    ),
    (
        "504",
        "GatewayTimeout",
        "The answer took longer than the server allows.",
        "Timeout",
        "The request took longer than the server allows.",
    ),
];

/// The responses by their names.
pub(super) fn responses() -> impl Iterator<Item = (&'static str, Response)> {
    ERRORS.iter().map(|&(status, name, when, kind, message)| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem")));
        let content = content.example(Some(example(status, kind, message))).build();
        let mut response = ResponseBuilder::new().description(when).content("application/json", content);
        if matches!(status, "429" | "503") {
            let wait = HeaderBuilder::new().description(Some("Whole seconds until it is worth to ask again."));
            response = response.header("retry-after", wait.build());
        }
        (name, response.build())
    })
}

fn example(status: &str, kind: &str, message: &str) -> Value {
    let mut body = json!({ "error": message, "error_type": kind });
    if status == "503" {
        body["estimated_time"] = json!(2.4);
    }
    body
}
