//! What happens to every request and response, around the handlers.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer, ExposeHeaders};
use tower_http::request_id::{MakeRequestId, RequestId};

use super::App;
use super::config::Config;
use super::problem::{Dialect, Problem};

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
/// Headers of answers that a browser's script may read.
const EXPOSED: &[&str] = &[
    "x-cache",
    "x-compute-characters",
    "x-compute-time",
    "x-compute-tokens",
    "x-compute-type",
    "x-error-message",
    "x-hf-warning",
    "x-inference-time",
    "x-queue-time",
    "x-request-id",
    "x-sha",
    "x-tokenization-time",
    "x-total-time",
];

/// Asks for a key where there is one; before the body is looked at.
pub(super) async fn authorize(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let keys = &app.config.api_keys;
    let given = request.headers().get(AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
    // Every key is compared, in a time that tells nothing about any of them.
    let known = |given: &[u8]| keys.iter().fold(0, |found, key| found | key.as_bytes().ct_eq(given).unwrap_u8()) == 1;
    if keys.is_empty() || given.is_some_and(known) {
        return next.run(request).await;
    }
    let message = if given.is_some() { "The API key is not valid." } else { "An API key is needed." };
    Problem::new(StatusCode::UNAUTHORIZED, "Unauthorized", message).into_response()
}

/// The key of `Bearer key`; the stray colon of `Bearer: key` stands in old documentation.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let value = value.trim_ascii();
    let (scheme, key) = value.split_at_checked(6).filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer"))?;
    debug_assert_eq!(scheme.len(), 6);
    let key = key.strip_prefix(b":").unwrap_or(key);
    let trimmed = key.trim_ascii_start();
    (trimmed.len() < key.len() && !trimmed.is_empty()).then_some(trimmed)
}

/// Drops ids that are not fit to be repeated, and takes a trace's id for a missing one.
pub(super) async fn clean_request_id(mut request: Request, next: Next) -> Response {
    let usable = |name: &HeaderName, request: &Request| request.headers().get(name).filter(|id| plain(id)).cloned();
    let id = usable(&REQUEST_ID, &request).or_else(|| usable(&TRACE_ID, &request));
    match id {
        Some(id) => request.headers_mut().insert(REQUEST_ID, id),
        None => request.headers_mut().remove(REQUEST_ID),
    };
    next.run(request).await
}

fn plain(id: &HeaderValue) -> bool {
    let fine = |byte: &u8| byte.is_ascii_alphanumeric() || b"._:;=-".contains(byte);
    (1..=128).contains(&id.len()) && id.as_bytes().iter().all(fine)
}

/// Ids for requests that bring none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Uuids;

impl MakeRequestId for Uuids {
    fn make_request_id<B>(&mut self, _: &axum::http::Request<B>) -> Option<RequestId> {
        HeaderValue::try_from(uuid::Uuid::new_v4().to_string()).ok().map(RequestId::new)
    }
}

/// Browsers may call from everywhere, or with credentials from the origins that are listed.
pub(super) fn cors(config: &Config) -> CorsLayer {
    let origins: Vec<HeaderValue> = config.cors_origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    let listed = !origins.is_empty();
    CorsLayer::new()
        .allow_origin(if listed { AllowOrigin::list(origins) } else { AllowOrigin::any() })
        .allow_credentials(listed)
        .allow_methods(AllowMethods::list([Method::GET, Method::POST, Method::OPTIONS]))
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(ExposeHeaders::list(EXPOSED.iter().map(|name| HeaderName::from_static(name))))
        .max_age(std::time::Duration::from_hours(24))
}

/// Short answers take longer to compress than to send.
pub(super) fn compression() -> CompressionLayer<impl Predicate> {
    let worth = SizeAbove::new(1_024).and(NotForContentType::SSE).and(NotForContentType::new("text/event-stream"));
    CompressionLayer::new().gzip(true).compress_when(worth)
}

/// A panic of a handler ends one request. What it says could quote a text.
#[allow(clippy::needless_pass_by_value, reason = "the signature that the layer asks for")]
pub(super) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a handler panicked");
    Problem::backend(Dialect::Hub).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_54_keys_are_found_in_every_form() {
        for value in ["Bearer key", "bearer key", "BEARER   key", " Bearer: key", "Bearer key "] {
            assert_eq!(bearer(value.as_bytes()), Some(&b"key"[..]), "{value}");
        }
        for value in ["", "Bearer", "Bearer ", "Bearer:", "Basic x", "Bearerkey", "key"] {
            assert_eq!(bearer(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn row_72_ids_that_may_be_repeated() {
        let fine = |id: &str| plain(&HeaderValue::from_str(id).unwrap());
        assert!(fine("abc") && fine("Root=1-67;x:y_z.0") && fine(&"x".repeat(128)));
        assert!(!fine("") && !fine("a b") && !fine("<script>") && !fine(&"x".repeat(129)));
    }
}
