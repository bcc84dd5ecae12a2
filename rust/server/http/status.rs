//! What a server says about itself: health, information, the legacy status of a model.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::hub::{Names, id};
use super::models::{Phase, Served, Slot};
use super::problem::Problem;
use super::{App, page};
use crate::config::Task;

/// A page for browsers; for everybody else, health.
pub(super) async fn root(state: State<Arc<App>>, names: Names, request: Request) -> Response {
    let html = |value: &HeaderValue| value.to_str().is_ok_and(|value| value.contains("text/html"));
    let mut response = if request.headers().get_all(ACCEPT).iter().any(html) {
        page::page()
    } else {
        health(state, names).await.into_response()
    };
    response.headers_mut().append(VARY, HeaderValue::from_static("accept"));
    response
}

/// Whether requests would be answered now: of one model, or of all of them.
pub(super) async fn health(State(app): State<Arc<App>>, names: Names) -> Result<(), Problem> {
    let slots = match id(&names) {
        Some(id) => std::slice::from_ref(app.slot(Some(&id))?),
        None => &app.slots[..],
    };
    let mut failed = None;
    for slot in slots {
        match slot.phase() {
            Phase::Ready(_) => (),
            Phase::Loading => {
                let message = format!("Model {} is currently loading", slot.id);
                return Err(Problem::unhealthy(message, Some(app.estimate(slot))));
            }
            Phase::Failed(_) => failed = Some(&slot.id),
        }
    }
    match failed {
        Some(id) => Err(Problem::unhealthy(format!("Model {id} could not be loaded"), None)),
        None => Ok(()),
    }
}

/// What text-embeddings-inference tells, and the task and the state.
pub(super) async fn info(State(app): State<Arc<App>>, names: Names) -> Result<Response, Problem> {
    let slot = app.slot(id(&names).as_deref())?;
    let config = &app.config;
    let mut info = json!({
        "model_id": slot.id,
        "served_model_name": slot.id,
        "state": state(slot),
        "max_concurrent_requests": config.max_concurrent_requests,
        "max_batch_tokens": config.max_batch_tokens,
        "max_batch_requests": config.max_batch_requests,
        "max_client_batch_size": config.max_client_batch_size,
        "auto_truncate": config.auto_truncate,
        "tokenization_workers": config.tokenization_workers,
        "models": app.slots.iter().map(summary).collect::<Vec<_>>(),
        "version": env!("CARGO_PKG_VERSION"),
    });
    if let Phase::Ready(served) = slot.phase() {
        let more = loaded(&served);
        for (key, value) in more.as_object().into_iter().flatten() {
            info[key] = value.clone();
        }
    }
    Ok(plain(&info))
}

fn loaded(served: &Served) -> Value {
    let info = served.info();
    let labels = served.labels();
    let id2label: serde_json::Map<_, _> =
        labels.iter().enumerate().map(|(id, label)| (id.to_string(), json!(&**label))).collect();
    let label2id: serde_json::Map<_, _> =
        labels.iter().enumerate().map(|(id, label)| (label.to_string(), json!(id))).collect();
    let kind = match served.task() {
        Task::TokenClassification => "token_classifier",
        Task::TextClassification => "classifier",
    };
    json!({
        "task": served.task().name(),
        "model_sha": served.sha(),
        "model_dtype": info.dtype.to_string(),
        "model_type": { kind: { "id2label": id2label, "label2id": label2id } },
        "max_input_length": info.max_tokens,
        "architecture": info.architecture,
        "instruction_set": info.isa.to_string(),
        "threads": info.threads,
    })
}

fn summary(slot: &Slot) -> Value {
    let task = match slot.phase() {
        Phase::Ready(served) => Some(served.task().name()),
        _ => None,
    };
    json!({ "id": slot.id, "state": state(slot), "task": task })
}

fn state(slot: &Slot) -> &'static str {
    match slot.phase() {
        Phase::Loading => "loading",
        Phase::Ready(_) => "ready",
        Phase::Failed(_) => "failed",
    }
}

/// What `get_model_status` of old clients reads.
pub(super) async fn legacy(State(app): State<Arc<App>>, names: Names) -> Result<Response, Problem> {
    let slot = app.slot(id(&names).as_deref())?;
    let loaded = matches!(slot.phase(), Phase::Ready(_));
    let state = if loaded { "Loaded" } else { "Loadable" };
    Ok(plain(&json!({ "loaded": loaded, "state": state, "compute_type": "cpu", "framework": "candlewick" })))
}

fn plain(value: &Value) -> Response {
    ([(CONTENT_TYPE, super::problem::JSON)], value.to_string()).into_response()
}

/// Counters and histograms in Prometheus' text format.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let waiting = app.engine.waiting();
    let cached = app.slots.iter().filter_map(|slot| match slot.phase() {
        Phase::Ready(served) => Some(served.cached()),
        _ => None,
    });
    let (answers, bytes) = cached.fold((0, 0), |(answers, bytes), (more, size)| (answers + more, bytes + size));
    app.metrics.write(waiting, answers, bytes)
}
