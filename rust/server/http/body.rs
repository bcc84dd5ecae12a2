//! From bytes and headers to a request's body.

use std::time::Duration;

use axum::body::{Body as Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, LengthLimitError};

use super::problem::{Dialect, Problem};
use crate::server::Body;

/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bodies of this size are read away from the threads that serve everybody else.
const LARGE: usize = 128 << 10;

/// What a body is tried as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    Json,
    /// JSON, or else a text without quotes around it.
    Text,
}

/// The media type, without regard to case and parameters. What `curl -d` sends is JSON, too.
pub(super) fn media(headers: &HeaderMap) -> Result<Media, Problem> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(Media::Json) };
    let value = value.to_str().unwrap_or("?").to_ascii_lowercase();
    let mut parts = value.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let charset = parts.find_map(|part| part.strip_prefix("charset=")).map(|name| name.trim_matches('"'));
    if !matches!(charset, None | Some("utf-8" | "utf8")) {
        return Err(unsupported("a charset of utf-8"));
    }
    match name {
        "application/json" | "application/x-www-form-urlencoded" | "" => Ok(Media::Json),
        "text/plain" => Ok(Media::Text),
        name if name.starts_with("application/") && name.ends_with("+json") => Ok(Media::Json),
        _ => Err(unsupported("a content type of application/json or text/plain")),
    }
}

fn unsupported(expected: &str) -> Problem {
    let message = format!("The body can't be read: expected {expected}.");
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
}

/// All bytes, unless there are too many or they take too long.
pub(super) async fn bytes(body: Bytes, limit: usize) -> Result<axum::body::Bytes, Problem> {
    let too_large = || Problem::too_large(format!("The body has more than {limit} bytes, the limit of this server."));
    // What announces its length is refused before anything of it is read.
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let all = http_body_util::Limited::new(body, limit).collect();
    match tokio::time::timeout(PATIENCE, all).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::new(StatusCode::BAD_REQUEST, "Validation", "The body ended too early.")),
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "Timeout", "The body was not received in time.")),
    }
}

/// The body of a request in the hub's dialect, with the URL's parameters.
pub(super) async fn read(request: Request, limit: usize) -> Result<Body, Problem> {
    let media = media(request.headers())?;
    let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(request.uri());
    let query = query.map_err(|_| Problem::validation("the URL's query can't be read", Dialect::Hub))?.0;
    let bytes = bytes(request.into_body(), limit).await?;
    let body = apart(bytes.len(), move || parse(&bytes, media)).await?;
    Ok(body.or_parameters(query))
}

fn parse(bytes: &[u8], media: Media) -> Result<Body, Problem> {
    let refused = match Body::parse(bytes) {
        Ok(body) => return Ok(body),
        Err(error) => error,
    };
    let text = std::str::from_utf8(bytes).ok().filter(|text| media == Media::Text && !text.trim().is_empty());
    text.map(|text| Body::text(text.to_owned())).ok_or_else(|| Problem::error(&refused, Dialect::Hub))
}

/// Does work on so many bytes where it holds nobody up.
pub(super) async fn apart<R: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<R, Problem> + Send + 'static,
) -> Result<R, Problem> {
    if bytes < LARGE {
        return work();
    }
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Problem::backend(Dialect::Hub)))
}

/// A switch as people write them; anything else is as if it were not there.
pub(super) fn switch(headers: &HeaderMap, name: &str) -> Option<bool> {
    let value = headers.get(name)?.to_str().ok()?.trim().to_ascii_lowercase();
    match value.as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &str) -> Option<Media> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, value.parse().unwrap());
        media(&headers).ok()
    }

    #[test]
    fn rows_42_to_44_media_types() {
        assert_eq!(media(&HeaderMap::new()).ok(), Some(Media::Json));
        for json in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/x-www-form-urlencoded",
            "application/vnd.x+json",
            "application/json;charset=\"utf-8\"",
        ] {
            assert_eq!(of(json), Some(Media::Json), "{json}");
        }
        assert_eq!(of("text/plain"), Some(Media::Text));
        for other in ["image/png", "multipart/form-data; boundary=x", "application/json; charset=latin-1", "text/html"]
        {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn switches_are_read_as_people_write_them() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-use-cache", value.parse().unwrap());
            switch(&headers, "x-use-cache")
        };
        assert_eq!([of("1"), of("TRUE"), of(" on "), of("yes")], [Some(true); 4]);
        assert_eq!([of("0"), of("False"), of("off"), of("no")], [Some(false); 4]);
        assert_eq!([of(""), of("maybe"), switch(&HeaderMap::new(), "x-use-cache")], [None; 3]);
    }
}
