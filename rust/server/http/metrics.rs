//! Counters and histograms: the names of text-embeddings-inference, and some of our own.

use std::time::Duration;

use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

use super::reply::Facts;
use super::watch::Seen;
use crate::engine::Batched;

/// 15 us and on, each half as much more than the one before.
const DURATIONS: (f64, f64, usize) = (15e-6, 1.5, 35);

/// Everything that is counted.
pub(super) struct Metrics {
    registry: Registry,
    responses: IntCounterVec,
    count: IntCounterVec,
    success: IntCounterVec,
    failure: IntCounterVec,
    predictions: IntCounter,
    duration: Histogram,
    tokenization: Histogram,
    queue: Histogram,
    inference: Histogram,
    input_length: Histogram,
    batch_size: Histogram,
    batch_tokens: Histogram,
    batch_duration: Histogram,
    routes: HistogramVec,
    hits: IntCounter,
    waiting: IntGauge,
    cached: IntGauge,
    cached_bytes: IntGauge,
    /// Of traces; counted where they are handed in and sent.
    pub(super) spans_dropped: IntCounter,
}

impl Metrics {
    /// # Errors
    /// When a name is not allowed or there twice, which a test would see.
    pub(super) fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let add = |metric: Box<dyn prometheus::core::Collector>| registry.register(metric);
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            add(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let single = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            add(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            add(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let histogram = |name: &str, help: &str, (start, factor, count): (f64, f64, usize)| {
            let buckets = prometheus::exponential_buckets(start, factor, count)?;
            let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))?;
            add(Box::new(histogram.clone()))?;
            Ok::<_, prometheus::Error>(histogram)
        };
        let buckets = prometheus::exponential_buckets(1e-4, 2.0, 18)?;
        let routes = HistogramOpts::new("candlewick_http_seconds", "Time to the response's head, by route.");
        let routes = HistogramVec::new(routes.buckets(buckets), &["route"])?;
        add(Box::new(routes.clone()))?;
        let sizes = (1.0, 2.0, 14);
        Ok(Self {
            responses: counter("candlewick_http_responses", "Responses.", &["method", "route", "status"])?,
            count: counter("te_request_count", "Requests to be answered by a model.", &["method"])?,
            success: counter("te_request_success", "Those that were.", &["method"])?,
            failure: counter("te_request_failure", "Those that were not, by reason.", &["err"])?,
            predictions: single("te_predict_count", "Inputs that were answered.")?,
            duration: histogram("te_request_duration", "Seconds from request to answer.", DURATIONS)?,
            tokenization: histogram("te_request_tokenization_duration", "Seconds of reading texts.", DURATIONS)?,
            queue: histogram("te_request_queue_duration", "Seconds of waiting.", DURATIONS)?,
            inference: histogram("te_request_inference_duration", "Seconds of the network.", DURATIONS)?,
            input_length: histogram("te_request_input_length", "Tokens of a request.", (1.0, 2.0, 20))?,
            batch_size: histogram("te_batch_next_size", "Sequences of a batch.", sizes)?,
            batch_tokens: histogram("te_batch_next_tokens", "Tokens of a batch.", (1.0, 2.0, 16))?,
            batch_duration: histogram("candlewick_batch_seconds", "Seconds of a batch in the network.", DURATIONS)?,
            routes,
            hits: single("candlewick_cache_hits", "Inputs that the cache answered.")?,
            waiting: gauge("te_queue_size", "Texts and windows that wait.")?,
            cached: gauge("candlewick_cache_entries", "Answers in the cache.")?,
            cached_bytes: gauge("candlewick_cache_bytes", "Their bytes.")?,
            spans_dropped: single("candlewick_spans_dropped", "Spans that no collector took.")?,
            registry,
        })
    }

    /// A batch that was computed.
    pub(super) fn batch(&self, batch: Batched) {
        self.batch_size.observe(batch.sequences as f64);
        self.batch_tokens.observe(batch.tokens as f64);
        self.batch_duration.observe(batch.time.as_secs_f64());
    }

    /// A response.
    pub(super) fn count(&self, seen: &Seen) {
        self.responses.with_label_values(&[seen.verb(), seen.route, seen.status.as_str()]).inc();
        self.routes.with_label_values(&[seen.route]).observe(seen.took.as_secs_f64());
        if let Some(facts) = seen.facts {
            self.answered(facts, seen.took);
        } else if let (Some(kind), &Method::POST) = (seen.kind, seen.method) {
            self.failure.with_label_values(&[reason(kind)]).inc();
        }
    }

    fn answered(&self, facts: &Facts, took: Duration) {
        let method = if facts.single { "single" } else { "batch" };
        self.count.with_label_values(&[method]).inc();
        self.success.with_label_values(&[method]).inc();
        self.predictions.inc_by(facts.inputs as u64);
        self.hits.inc_by(facts.hits as u64);
        self.duration.observe(took.as_secs_f64());
        if facts.hits < facts.inputs {
            self.tokenization.observe(facts.times.reading.as_secs_f64());
            self.queue.observe(facts.times.waiting.as_secs_f64());
            self.inference.observe(facts.times.computing.as_secs_f64());
            self.input_length.observe(facts.tokens as f64);
        }
    }

    /// All of it as text.
    pub(super) fn write(&self, waiting: usize, cached: usize, bytes: usize) -> Response {
        self.waiting.set(waiting as i64);
        self.cached.set(cached as i64);
        self.cached_bytes.set(bytes as i64);
        let encoder = TextEncoder::new();
        let mut text = Vec::new();
        match encoder.encode(&self.registry.gather(), &mut text) {
            Ok(()) => ([(CONTENT_TYPE, encoder.format_type().to_owned())], text).into_response(),
            Err(_) => super::problem::Problem::backend(super::problem::Dialect::Hub).into_response(),
        }
    }
}

/// The reasons of text-embeddings-inference.
fn reason(kind: &str) -> &'static str {
    match kind {
        "Validation" | "PayloadTooLarge" | "UnsupportedMediaType" | "Empty" => "validation",
        "Overloaded" => "overloaded",
        "Timeout" => "timeout",
        "TaskMismatch" => "model_type",
        "Loading" | "Unhealthy" => "loading",
        "Unauthorized" => "unauthorized",
        "NotFound" | "MethodNotAllowed" => "not_found",
        _ => "inference",
    }
}
