//! The one place where something that went wrong becomes a response.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::engine::{Failure, Refusal};
use crate::error::Error;

/// Exactly this, without a charset: clients compare it.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");
const X_ERROR_MESSAGE: HeaderName = HeaderName::from_static("x-error-message");

/// Whose statuses a route answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Dialect {
    /// The hosted Inference API.
    Hub,
    /// text-embeddings-inference.
    Tei,
}

/// An error as a client sees it.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    kind: Kind,
    /// A full sentence; it holds nothing of a user's text.
    message: String,
    retry: Option<Duration>,
    /// Seconds until a model is loaded.
    estimate: Option<f64>,
}

/// `error_type`, also put into the response's extensions for who counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind(pub(super) &'static str);

impl Problem {
    pub(super) fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind: Kind(kind), message: message.into(), retry: None, estimate: None }
    }

    pub(super) fn no_model(id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", format!("Model {id} does not exist"))
    }

    pub(super) fn loading(id: &str, estimate: f64) -> Self {
        let message = format!("Model {id} is currently loading");
        let (estimate, retry) = (Some(estimate), Some(Duration::from_secs_f64(estimate)));
        Self { retry, estimate, ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "Loading", message) }
    }

    pub(super) fn unhealthy(message: String, estimate: Option<f64>) -> Self {
        let retry = estimate.map(Duration::from_secs_f64);
        Self { retry, estimate, ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "Unhealthy", message) }
    }

    pub(super) fn too_large(message: String) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLarge", message)
    }

    pub(super) fn late() -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", "The request took longer than the server allows.")
    }

    pub(super) fn validation(message: impl std::fmt::Display, dialect: Dialect) -> Self {
        let status = match dialect {
            Dialect::Hub => StatusCode::BAD_REQUEST,
            Dialect::Tei => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, "Validation", format!("Invalid request: {message}."))
    }

    pub(super) fn backend(dialect: Dialect) -> Self {
        let status = match dialect {
            Dialect::Hub => StatusCode::INTERNAL_SERVER_ERROR,
            Dialect::Tei => StatusCode::FAILED_DEPENDENCY,
        };
        Self::new(status, "Backend", "The model could not compute an answer.")
    }

    pub(super) fn error(error: &Error, dialect: Dialect) -> Self {
        match error.kind() {
            "input" | "parameter" => Self::validation(error, dialect),
            kind => {
                tracing::error!(kind, "a computation failed");
                Self::backend(dialect)
            }
        }
    }

    pub(super) fn failure(failure: &Failure, dialect: Dialect) -> Self {
        match failure {
            Failure::Late => Self::late(),
            Failure::Closed => Self::closing(),
            Failure::Error(error) => Self::error(error, dialect),
        }
    }

    pub(super) fn refusal(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Closed => Self::closing(),
            Refusal::Full(wait) => Self {
                retry: Some(wait),
                ..Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "Overloaded",
                    "The server has more requests than it can answer in time; try again later.",
                )
            },
        }
    }

    fn closing() -> Self {
        Self::unhealthy("The server is stopping.".to_owned(), None)
    }

    /// For a response that came from a layer or the router, with a status and no body of ours.
    fn of_status(status: StatusCode) -> Self {
        let (kind, message) = match status {
            StatusCode::NOT_FOUND => ("NotFound", "There is no such path."),
            StatusCode::METHOD_NOT_ALLOWED => ("MethodNotAllowed", "The path does not answer this method."),
            StatusCode::PAYLOAD_TOO_LARGE => ("PayloadTooLarge", "The body is larger than the server allows."),
            StatusCode::REQUEST_TIMEOUT => ("Timeout", "The body was not received in time."),
            status if status.is_client_error() => ("Validation", "The request can't be read."),
            _ => ("Backend", "The server failed to answer."),
        };
        Self::new(status, kind, message)
    }
}

impl Problem {
    /// The body that says so.
    pub(super) fn json(&self) -> String {
        let mut body = json!({ "error": self.message, "error_type": self.kind.0 });
        if let Some(estimate) = self.estimate {
            body["estimated_time"] = json!(estimate);
        }
        body.to_string()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.json()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(X_ERROR_MESSAGE, ascii(&self.message, 200));
        if let Some(retry) = self.retry {
            headers.insert(RETRY_AFTER, whole_seconds(retry).into());
        }
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => rate_limit(headers, self.retry.unwrap_or_default()),
            StatusCode::UNAUTHORIZED => drop(headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            // What is left of the body is not read.
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            _ => (),
        }
        response.extensions_mut().insert(self.kind);
        response
    }
}

/// Gives every error the form of ours, those of layers and of the router too; their headers stay.
pub(super) async fn in_our_form(response: Response) -> Response {
    let status = response.status();
    let ours = response.headers().get(CONTENT_TYPE) == Some(&JSON);
    if ours || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let mut replaced = Problem::of_status(status).into_response();
    for (name, value) in response.headers() {
        if !matches!(name.as_str(), "content-type" | "content-length") {
            replaced.headers_mut().insert(name, value.clone());
        }
    }
    replaced
}

/// A header's value: printable ASCII in one line, cut at a length.
pub(super) fn ascii(text: &str, most: usize) -> HeaderValue {
    let plain = |c: char| if (' '..='~').contains(&c) { c } else { '?' };
    let text: String = text.chars().take(most).map(plain).collect();
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("?"))
}

fn whole_seconds(time: Duration) -> u64 {
    (time.as_secs_f64().ceil() as u64).max(1)
}

/// What new clients read to tell their users how long to wait.
fn rate_limit(headers: &mut HeaderMap, retry: Duration) {
    let seconds = whole_seconds(retry);
    let limit = format!(r#""requests";r=0;t={seconds}"#);
    headers.insert(HeaderName::from_static("ratelimit"), ascii(&limit, 100));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_hold_one_plain_line() {
        assert_eq!(ascii("a\r\nset-cookie: é", 200), "a??set-cookie: ?");
        assert_eq!(ascii(&"x".repeat(300), 200).len(), 200);
    }

    #[test]
    fn a_wait_is_at_least_a_second() {
        assert_eq!(whole_seconds(Duration::ZERO), 1);
        assert_eq!(whole_seconds(Duration::from_millis(1_001)), 2);
    }
}
