//! Any bytes as a request to the whole service, without a socket: a line with the path and its query, a line with the
//! content type, and the body. It is answered, or refused with a reason, and the second time the same.
#![no_main]

use std::path::Path;
use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use candlewick::server::http::{App, Config, Found, Resolver, Wanted, app};
use http_body_util::BodyExt;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

/// One model of each task, of 48 tokens.
const MODELS: [&str; 2] = ["bert-sentiment", "bert-ner"];

static APP: LazyLock<Arc<App>> = LazyLock::new(|| {
    let mut config = Config { payload_limit: 3_000, max_client_batch_size: 8, ..Config::default() };
    config.load.threads = Some(std::num::NonZeroUsize::MIN);
    let wanted = MODELS.map(|id| Wanted { id: id.to_owned(), ..Wanted::default() });
    let app = App::new(config, MODELS.map(str::to_owned).to_vec()).expect("threads");
    let resolver: Resolver = Box::new(|wanted, _| {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/models");
        Ok(Found { folder: models.join(&wanted.id), sha: None })
    });
    app.load(&wanted, &resolver).expect("models that can be loaded");
    app
});
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime"));

/// Status, content type and body of the answer to a request, unless it can't be one.
fn answer(path: &str, kind: &str, body: &[u8]) -> Option<(StatusCode, String, String)> {
    let request = Request::builder().method(Method::POST).uri(path).header(header::CONTENT_TYPE, kind);
    let request = request.header("x-use-cache", "0").body(Body::from(body.to_vec())).ok()?;
    RUNTIME.block_on(async {
        let Ok(response) = app(&APP).oneshot(request).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let kind = parts.headers[header::CONTENT_TYPE].to_str().expect("a readable content type");
        Some((parts.status, kind.to_owned(), String::from_utf8(body.to_vec()).expect("a text")))
    })
}

fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.splitn(3, |&byte| byte == b'\n');
    let (path, kind, body) = (lines.next().unwrap_or_default(), lines.next(), lines.next());
    let (Ok(path), Some(Ok(kind)), Some(body)) = (str::from_utf8(path), kind.map(str::from_utf8), body) else { return };
    // Another authority than the server's own is the socket's affair.
    let Some((status, of, text)) = answer(path, kind, body).filter(|_| path.starts_with('/')) else { return };
    assert!(!status.is_server_error(), "{status} {text}");
    if status.is_success() && of.starts_with("text/event-stream") {
        assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    } else {
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(of, "application/json");
        assert_eq!(answer.is_array(), status.is_success(), "{status} {text}");
        let said = |key: &str| answer[key].as_str().is_some_and(|text| !text.is_empty());
        assert!(status.is_success() || said("error") && said("error_type"), "{text}");
    }
    // Inputs of a list are told as they are answered.
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let again = answer(path, kind, body).map(|(status, of, text)| (status, of, sorted(&text)));
    assert_eq!(again, Some((status, of, sorted(&text))));
});
