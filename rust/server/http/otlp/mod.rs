//! Traces in the OpenTelemetry protocol: a span for each request, sent as JSON over plain HTTP.
//!
//! Written out here, because the crates that do it (`opentelemetry-otlp` and what it needs) are sixteen more than this
//! server has, HTTP/2 and protobuf among them, and do not say how many spans they dropped.
//!
//! A span holds numbers, routes and names of models, never anything that a user wrote.

mod collector;
mod context;
mod export;
mod span;

pub(super) use context::Context;
pub(super) use export::Spans;
pub(super) use span::{Span, Value};
