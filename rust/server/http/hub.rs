//! The dialect of the hosted Inference API: `POST /` and its other names.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::App;
use super::body;
use super::hosted::{Ask, Form, Leading, Servable, characters};
use super::models::{Served, Service, Slot};
use super::problem::{Dialect, Problem};
use super::reply::{self, Facts, Shape};
use super::sse;
use crate::config::Task;
use crate::engine::{News, Terms};
use crate::server::{self, Answers, Body};

/// What a path names: parts of a model's id, and a task.
pub(super) type Names = Path<Vec<(String, String)>>;

/// The id of a path with one or two segments for it.
pub(super) fn id(names: &Names) -> Option<String> {
    let parts: Vec<&str> = names.iter().filter(|(name, _)| name != "task").map(|(_, part)| part.as_str()).collect();
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// Switches of a request that its headers decide before its body.
struct Switches {
    started: Instant,
    cache: Option<bool>,
}

/// Answers a request.
pub(super) async fn answer(State(app): State<Arc<App>>, names: Names, request: Request) -> Result<Response, Problem> {
    let started = Instant::now();
    let slot = app.slot(id(&names).as_deref())?;
    let waits = body::switch(request.headers(), "x-wait-for-model");
    let switches = Switches { started, cache: body::switch(request.headers(), "x-use-cache") };
    let body = body::read(request, app.config.payload_limit).await?;
    let waits = waits.or(body.waits_for_model()).unwrap_or(false);
    let served = app.served(slot, if waits { app.config.wait_timeout } else { app.config.loading_hold }).await?;
    if let Some((_, task)) = names.iter().find(|(name, _)| name == "task") {
        check_task(slot, task, served.task())?;
    }
    match &*served {
        Served::Token(service) => respond(&app, service, body, &switches).await,
        Served::Text(service) => respond(&app, service, body, &switches).await,
    }
}

fn check_task(slot: &Slot, asked: &str, own: Task) -> Result<(), Problem> {
    let name = match asked {
        "ner" => Task::TokenClassification.name(),
        "sentiment-analysis" => Task::TextClassification.name(),
        other => other,
    };
    if name == own.name() {
        return Ok(());
    }
    let asked: String = asked.chars().take(60).collect();
    let message = format!("Model {} does not support task {asked}. Supported task: {}", slot.id, own.name());
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "TaskMismatch", message))
}

async fn respond<T: Servable>(
    app: &App,
    service: &Service<T>,
    body: Body,
    switches: &Switches,
) -> Result<Response, Problem> {
    let dialect = Dialect::Hub;
    let request = server::Request::<T::Options>::read::<T>(body, &service.settings)
        .map_err(|error| Problem::error(&error, dialect))?;
    let (inputs, most) = (request.inputs.len(), app.config.max_client_batch_size);
    if inputs > most {
        return Err(Problem::too_large(format!("The request has {inputs} inputs, allowed are at most {most}.")));
    }
    let cache = switches.cache.or(request.use_cache).unwrap_or(true);
    let deadline = switches.started + app.config.request_timeout;
    let mut facts = Facts::new(&service.name, switches.started, dialect, request.single, cache);
    facts.characters = request.inputs.iter().map(characters).sum();
    let options = Arc::new(request.options);
    let asks = request.inputs.into_iter().map(|input| Ask {
        input,
        options: Arc::clone(&options),
        form: Form::Hub,
        lead: Leading::default(),
    });
    let news = match request.stream {
        true if request.single => News::Parts,
        true => News::Reads,
        false => News::of(inputs),
    };
    let terms = Terms { deadline, cache, news };
    let ticket = service.host.submit(asks, terms).map_err(Problem::refusal)?;
    if request.stream {
        return sse::respond(ticket, inputs, deadline, facts, &request.warnings).await;
    }
    let gathered = reply::gather(ticket, inputs, deadline, dialect).await?;
    let mut warnings = request.warnings;
    warnings.extend(reply::cut(&gathered.answers));
    let shape = match (request.single && !T::Output::NESTED, request.joined) {
        (true, _) => Shape::Only,
        (false, true) => Shape::Joined,
        (false, false) => Shape::Each,
    };
    let body = reply::body(&gathered.answers, shape);
    Ok(reply::respond(body, facts.of(&gathered), &warnings, service.sha.as_deref()))
}
