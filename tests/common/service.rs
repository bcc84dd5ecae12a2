//! A server without a socket, and what a client sees of its answers.
#![allow(dead_code, reason = "no test needs all of it")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use candlewick::server::http::{App, Config, Found, Resolver, Wanted, app};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::Files;

pub(crate) const SARAH: &str = "My name is Sarah Jessica Parker but you can call me Jessica";
pub(crate) const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/candlewick/demo/ner");

/// Both tasks, 32 tokens each: `t` finds names, `x` has seven labels.
pub(crate) static BOTH: LazyLock<Client> = LazyLock::new(|| Client::new(Config::default(), &["t", "x"]));

/// A model for the tests, by its name.
pub(crate) fn folder(name: &str) -> PathBuf {
    static SEVEN: LazyLock<PathBuf> = LazyLock::new(|| {
        let mut files = Files::bert("ForSequenceClassification");
        files.config["id2label"] = (0..7).map(|id| (id.to_string(), json!(format!("label {id}")))).collect();
        for (part, shape) in [("weight", vec![7, 8]), ("bias", vec![7])] {
            let values = (0..shape.iter().product()).map(|at: usize| (at as f32 * 0.7).sin()).collect();
            files.tensors.insert(format!("classifier.{part}"), (shape, values));
        }
        files.write().keep()
    });
    match name {
        "t" | "long" => DEMO.into(),
        "x" => SEVEN.clone(),
        other => Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/models").join(other),
    }
}

pub(crate) fn wanted(names: &[&str]) -> Vec<Wanted> {
    let wanted = |name: &&str| Wanted { id: (*name).to_owned(), model: Some((*name).to_owned()), ..Wanted::default() };
    names.iter().map(wanted).collect()
}

pub(crate) fn resolver() -> Resolver {
    Box::new(|wanted, _| {
        let folder = folder(wanted.model.as_deref().unwrap_or_default());
        Ok(Found { folder, sha: Some("0123abc".to_owned()) })
    })
}

pub(crate) struct Client {
    pub(crate) app: Arc<App>,
}

impl Client {
    /// A server whose models are loaded.
    pub(crate) fn new(config: Config, names: &[&str]) -> Self {
        let client = Self::empty(config, names);
        client.app.load(&wanted(names), &resolver()).unwrap();
        client
    }

    /// A server whose models are not.
    pub(crate) fn empty(mut config: Config, names: &[&str]) -> Self {
        config.load.max_tokens = 32.try_into().ok().filter(|_| !names.contains(&"long"));
        Self { app: App::new(config, names.iter().map(ToString::to_string).collect()).unwrap() }
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.request(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn request(&self, request: Request<Body>) -> Reply {
        let response = app(&self.app).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Reply { status: parts.status, headers: parts.headers, text: String::from_utf8_lossy(&bytes).into_owned() }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], Body::empty()).await
    }

    /// JSON to a path.
    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> Reply {
        self.send(Method::POST, path, &[("content-type", "application/json")], body).await
    }

    /// JSON with more headers.
    pub(crate) async fn with(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Reply {
        let headers = [&[("content-type", "application/json")], headers].concat();
        self.send(Method::POST, path, &headers, body).await
    }
}

/// A body with these inputs, and parameters.
pub(crate) fn body(inputs: &Value, parameters: &Value) -> String {
    json!({ "inputs": inputs, "parameters": parameters }).to_string()
}

#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The answer of a response that must be fine.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/json");
        self.json()
    }

    /// The message of an error that must have this status, and the form of all errors.
    #[track_caller]
    pub(crate) fn error(&self, status: u16, kind: &str) -> String {
        assert_eq!(self.status, status, "{:.500}", self.text);
        assert_eq!(self.header("content-type"), "application/json");
        let body = self.json();
        assert_eq!(body["error_type"], kind, "{body}");
        assert!(!self.header("x-error-message").is_empty() && !self.header("x-request-id").is_empty());
        body["error"].as_str().unwrap().to_owned()
    }

    /// The same for a bad request.
    #[track_caller]
    pub(crate) fn refused(&self, part: &str) {
        let message = self.error(400, "Validation");
        assert!(message.contains(part), "{message} does not say {part}");
    }
}

/// Patience for what happens on other threads.
pub(crate) async fn until(mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..2_000 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it did not happen within ten seconds");
}
