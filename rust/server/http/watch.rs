//! Who watches: every response is counted, logged and traced, without anything that a user wrote.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::App;
use super::layers::REQUEST_ID;
use super::otlp::{Context, Span, Value};
use super::problem::Kind;
use super::reply::Facts;

/// A response, once its head is known.
pub(super) struct Seen<'a> {
    pub(super) method: &'a Method,
    pub(super) route: &'a str,
    pub(super) status: StatusCode,
    pub(super) took: Duration,
    /// Of an answer.
    pub(super) facts: Option<&'a Facts>,
    /// Of an error.
    pub(super) kind: Option<&'static str>,
    id: Option<&'a str>,
}

/// Lets a request through, and tells of its response.
pub(super) async fn watch(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let context = Context::of(request.headers(), app.spans.is_some());
    let response = next.run(request).await;
    let seen = Seen {
        method: &method,
        route: route.as_ref().map_or("unknown", MatchedPath::as_str),
        status: response.status(),
        took: started.elapsed(),
        facts: response.extensions().get::<Facts>(),
        kind: response.extensions().get::<Kind>().map(|kind| kind.0),
        id: response.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()),
    };
    app.metrics.count(&seen);
    seen.log(context.as_ref());
    if let (Some(spans), Some(context)) = (&app.spans, context)
        && context.sampled
    {
        spans.add(seen.span(context));
    }
    response
}

impl Seen<'_> {
    fn log(&self, context: Option<&Context>) {
        tracing::info!(
            method = %self.method,
            route = self.route,
            status = self.status.as_u16(),
            error = self.kind,
            ms = self.took.as_micros() as f64 / 1e3,
            inputs = self.facts.map(|facts| facts.inputs),
            tokens = self.facts.map(|facts| facts.tokens),
            hits = self.facts.map(|facts| facts.hits),
            request_id = self.id,
            trace_id = context.map(Context::trace_id),
            "answered"
        );
    }

    /// The names that OpenTelemetry has for what every server knows, and our own.
    fn span(&self, context: Context) -> Span {
        let text = |text: &str| Value::Text(text.to_owned());
        let mut attributes = vec![
            ("http.request.method", text(self.verb())),
            ("http.route", text(self.route)),
            ("http.response.status_code", Value::Count(self.status.as_u16().into())),
        ];
        attributes.extend(self.kind.map(|kind| ("error.type", text(kind))));
        attributes.extend(self.id.map(|id| ("candlewick.request_id", text(id))));
        if let Some(facts) = self.facts {
            attributes.extend([
                ("candlewick.model", text(&facts.model)),
                ("candlewick.inputs", Value::Count(facts.inputs as u64)),
                ("candlewick.tokens", Value::Count(facts.tokens as u64)),
                ("candlewick.cache_hits", Value::Count(facts.hits as u64)),
                ("candlewick.tokenization_ms", Value::Time(facts.times.reading)),
                ("candlewick.queue_ms", Value::Time(facts.times.waiting)),
                ("candlewick.inference_ms", Value::Time(facts.times.computing)),
            ]);
        }
        let mut span = Span::ending(context, format!("{} {}", self.verb(), self.route), self.took);
        (span.failed, span.attributes) = (self.status.is_server_error(), attributes);
        span
    }

    /// The method; any that a client invents would be a row of its own.
    pub(super) fn verb(&self) -> &str {
        match *self.method {
            Method::GET | Method::HEAD | Method::OPTIONS | Method::POST => self.method.as_str(),
            _ => "other",
        }
    }
}
