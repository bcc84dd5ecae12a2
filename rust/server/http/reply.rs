//! Answers gathered, and a response made of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use serde_json::value::RawValue;

use super::problem::{Dialect, JSON, Problem, ascii};
use super::written;
use crate::engine::{Done, Ticket, Times};
use crate::types::Cut;

const WARNING: HeaderName = HeaderName::from_static("x-hf-warning");

pub(super) type Answer = Arc<Done<Box<RawValue>>>;

/// All answers of a request, in its order.
pub(super) struct Gathered {
    pub(super) answers: Vec<Answer>,
    pub(super) hits: usize,
}

/// What a request was, for its headers and for who counts.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) model: Arc<str>,
    pub(super) started: Instant,
    pub(super) dialect: Dialect,
    /// Whether it was one input and not a list.
    pub(super) single: bool,
    pub(super) inputs: usize,
    pub(super) characters: usize,
    pub(super) tokens: usize,
    pub(super) hits: usize,
    /// Whether the cache was asked.
    pub(super) cache: bool,
    pub(super) times: Times,
    pub(super) took: Duration,
}

impl Facts {
    pub(super) fn new(model: &Arc<str>, started: Instant, dialect: Dialect, single: bool, cache: bool) -> Self {
        let (inputs, characters, tokens, hits, times, took) = (0, 0, 0, 0, Times::default(), Duration::ZERO);
        Self {
            model: Arc::clone(model),
            started,
            dialect,
            single,
            inputs,
            characters,
            tokens,
            hits,
            cache,
            times,
            took,
        }
    }

    /// Adds what the answers tell; of times that ran beside each other, the longest.
    pub(super) fn of(mut self, gathered: &Gathered) -> Self {
        (self.inputs, self.hits) = (gathered.answers.len(), gathered.hits);
        self.tokens = gathered.answers.iter().map(|done| done.tokens).sum();
        self.took = self.started.elapsed();
        if self.hits < self.inputs {
            let longest = |of: fn(&Times) -> Duration| {
                gathered.answers.iter().map(|done| of(&done.times)).max().unwrap_or_default().min(self.took)
            };
            let (reading, waiting) = (longest(|times| times.reading), longest(|times| times.waiting));
            self.times = Times { reading, waiting, computing: longest(|times| times.computing) };
        }
        self
    }
}

/// Waits for all answers of a ticket with so many items.
pub(super) async fn gather(
    ticket: Ticket<Box<RawValue>>,
    inputs: usize,
    deadline: Instant,
    dialect: Dialect,
) -> Result<Gathered, Problem> {
    let hits = ticket.hits();
    let all = tokio::time::timeout_at(deadline.into(), ticket.all(inputs)).await.map_err(|_| Problem::late())?;
    let answers = all.map_err(|failure| Problem::failure(&failure, dialect))?;
    Ok(Gathered { answers, hits })
}

/// How the answers stand in a response's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// There is one, and it is the body.
    Only,
    /// A list of answers.
    Each,
    /// A list in a list, of all that the answers have.
    Joined,
}

/// The answers as a body.
pub(super) fn body(answers: &[Answer], shape: Shape) -> String {
    let all = answers.iter().map(|done| done.answer.get());
    match (shape, answers) {
        (Shape::Only, [only]) => only.answer.get().to_owned(),
        (Shape::Joined, _) => format!("[{}]", written::joined(all)),
        _ => format!("[{}]", all.collect::<Vec<_>>().join(",")),
    }
}

/// A warning for the first input that was cut.
pub(super) fn cut(answers: &[Answer]) -> Option<String> {
    answers.iter().enumerate().find_map(|(index, done)| Some(truncation(index, done.cut?)))
}

pub(super) fn truncation(index: usize, cut: Cut) -> String {
    format!("truncation; input {index} was truncated from {} to {} tokens", cut.total, cut.kept)
}

/// A response of 200.
pub(super) fn respond(body: String, facts: Facts, warnings: &[String], sha: Option<&str>) -> Response {
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    describe(headers, &facts, warnings, sha);
    response.extensions_mut().insert(facts);
    response
}

fn describe(headers: &mut HeaderMap, facts: &Facts, warnings: &[String], sha: Option<&str>) {
    let hit = facts.hits == facts.inputs;
    let mut set = |name: &'static str, value: HeaderValue| headers.insert(HeaderName::from_static(name), value);
    let milliseconds = |time: Duration| HeaderValue::from(time.as_millis() as u64);
    set("x-compute-type", HeaderValue::from_static(if hit { "cache" } else { "cpu" }));
    match facts.dialect {
        Dialect::Hub => set("x-compute-time", ascii(&format!("{:.3}", facts.took.as_secs_f64()), 20)),
        Dialect::Tei => set("x-compute-time", milliseconds(facts.took)),
    };
    if !hit {
        set("x-compute-characters", facts.characters.into());
        set("x-compute-tokens", facts.tokens.into());
    }
    set("x-total-time", milliseconds(facts.took));
    set("x-tokenization-time", milliseconds(facts.times.reading));
    set("x-queue-time", milliseconds(facts.times.waiting));
    set("x-inference-time", milliseconds(facts.times.computing));
    let cache = if !facts.cache {
        "BYPASS"
    } else if hit {
        "HIT"
    } else {
        "MISS"
    };
    set("x-cache", HeaderValue::from_static(cache));
    if let Some(sha) = sha {
        set("x-sha", ascii(sha, 64));
    }
    warn(headers, warnings);
}

/// The first warning of each topic.
pub(super) fn warn(headers: &mut HeaderMap, warnings: &[String]) {
    let mut topics = Vec::new();
    for warning in warnings {
        let topic = warning.split(';').next();
        if !topics.contains(&topic) {
            topics.push(topic);
            headers.append(WARNING, ascii(warning, 300));
        }
    }
}
