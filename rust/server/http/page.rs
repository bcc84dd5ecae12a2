//! Pages for people; each is one file that asks for nothing from elsewhere.

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

/// Scripts and styles inside of the page, requests to this server, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Try the models.
pub(super) fn page() -> Response {
    html(include_str!("page.html"))
}

/// What can be asked, from the OpenAPI document.
pub(super) async fn docs() -> Response {
    html(include_str!("docs.html"))
}

fn html(text: &'static str) -> Response {
    let headers =
        [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY), (CACHE_CONTROL, "no-cache")];
    (headers, text).into_response()
}
