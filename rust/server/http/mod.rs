//! The HTTP server. [`app`] is the whole service without a socket; [`Server`] puts it on one.
//!
//! Handlers parse, call the engine and answer; what concerns every request is a layer. Models load beside the server,
//! which answers from its first moment.

mod body;
mod config;
mod connection;
mod hosted;
mod hub;
mod layers;
mod linger;
mod listen;
mod log;
mod metrics;
mod models;
mod openapi;
mod otlp;
mod page;
mod problem;
mod progress;
mod reply;
mod serve;
mod sse;
mod status;
mod tei;
mod watch;
mod written;

use std::num::NonZeroUsize;
use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::normalize_path::NormalizePath;
use tower_http::request_id::{PropagateRequestIdLayer, SetRequestIdLayer};

use crate::engine::{self, Engine};
use crate::error::{Error, Result};
use crate::kernels::Pool;
use crate::pipeline::threads_from_environment;
use metrics::Metrics;
use models::Slot;
use otlp::Spans;
use problem::Problem;
use progress::Measured;

pub use config::{Config, Found, Wanted};
pub use listen::Listen;
pub use log::{LogFormat, log_to_stderr};
pub use progress::Progress;
pub use serve::{Server, Stopper};

/// From a wanted model to its folder; may download, and tell how far it is.
pub type Resolver = Box<dyn Fn(&Wanted, &Arc<Progress>) -> Result<Found> + Send + Sync>;

/// A server's models and what they share.
pub struct App {
    config: Config,
    slots: Vec<Slot>,
    engine: Engine,
    metrics: Arc<Metrics>,
    /// Where traces go, if anywhere.
    spans: Option<Spans>,
    pool: Arc<Pool>,
}

impl App {
    /// Starts the engine; models are [loaded](App::load) afterwards.
    ///
    /// # Errors
    /// [`Error::Parameter`] without any model, with two of one name, or with a collector that can't be one;
    /// [`Error::Backend`] without threads.
    pub fn new(config: Config, ids: Vec<String>) -> Result<Arc<Self>> {
        if ids.is_empty() {
            return Err(Error::parameter("models", "at least one", &"none"));
        }
        if let Some(twice) = (1..ids.len()).find(|&at| ids[..at].contains(&ids[at])) {
            return Err(Error::parameter("models", "each name once", &ids[twice]));
        }
        let metrics = Arc::new(Metrics::new().map_err(|error| Error::Backend(error.to_string()))?);
        let endpoint = config.otlp_endpoint.as_deref();
        let spans = endpoint.map(|url| Spans::new(url, &config.otlp_service_name, metrics.spans_dropped.clone()));
        let spans = spans.transpose()?;
        let threads = config.load.threads.map_or_else(threads_from_environment, |threads| Ok(Some(threads)))?;
        let pool = Arc::new(Pool::new(threads).resting());
        let settings = engine::Settings {
            lanes: pool.threads(),
            readers: config.tokenization_workers,
            requests: config.max_concurrent_requests,
            batch_tokens: config.max_batch_tokens,
            batch_sequences: config.max_batch_requests.map_or(usize::MAX, NonZeroUsize::get),
            target: config.target_latency,
        };
        let counted = Arc::clone(&metrics);
        let engine = Engine::new(settings, Box::new(move |batch| counted.batch(batch)))?;
        let measured = Arc::new(Measured::default());
        let slots = ids.into_iter().map(|id| Slot::new(id, &measured)).collect();
        Ok(Arc::new(Self { config, slots, engine, metrics, spans, pool }))
    }

    /// Loads the models one after the other, on this thread. One of several that can't be loaded answers with why.
    ///
    /// # Errors
    /// What was wrong with the last one, if none of them can be.
    pub fn load(&self, wanted: &[Wanted], resolve: &Resolver) -> Result<()> {
        let mut loaded = false;
        let mut last = Ok(());
        for (slot, wanted) in self.slots.iter().zip(wanted) {
            let result = resolve(wanted, &slot.progress)
                .and_then(|found| models::load(self, wanted, found, &slot.progress, Arc::clone(&self.pool)));
            match &result {
                Ok(_) => {
                    tracing::info!(model = slot.id, "ready");
                    loaded = true;
                }
                Err(error) => {
                    tracing::error!(model = slot.id, %error, "can't be loaded");
                    last = Err(error.clone());
                }
            }
            slot.settle(result);
        }
        if loaded { Ok(()) } else { last }
    }

    /// Whether a model is neither ready nor failed yet.
    pub fn loading(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot.phase(), models::Phase::Loading))
    }

    /// Whether a model answers.
    pub fn ready(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot.phase(), models::Phase::Ready(_)))
    }

    /// The model of an id; the first one without.
    fn slot(&self, id: Option<&str>) -> Result<&Slot, Problem> {
        match id {
            None => Ok(&self.slots[0]), // there is at least one
            Some(id) => self.slots.iter().find(|slot| slot.id == id).ok_or_else(|| {
                let shown: String = id.chars().take(100).collect();
                Problem::no_model(&shown)
            }),
        }
    }
}

/// The whole service.
pub fn app(app: &Arc<App>) -> NormalizePath<Router> {
    let state = Arc::clone(app);
    let closed = Router::new()
        .merge(inference())
        .nest("/hf-inference", inference())
        .route("/predict", post(tei::predict))
        .route("/rerank", post(tei::rerank))
        .route("/info", get(status::info))
        .route_layer(from_fn_with_state(Arc::clone(app), layers::authorize));
    let open = Router::new()
        .route("/", get(status::root))
        .route("/health", get(status::health))
        .route("/ping", get(status::health))
        .route("/metrics", get(status::metrics))
        .route("/docs", get(page::docs))
        .route("/openapi.json", get(openapi::document))
        .route("/api-doc/openapi.json", get(openapi::document))
        .merge(health())
        .nest("/hf-inference", Router::new().route("/", get(status::health)).merge(health()));
    let generate = SetRequestIdLayer::new(layers::REQUEST_ID, layers::Uuids);
    let router = closed
        .merge(open)
        .fallback(|| async { axum::http::StatusCode::NOT_FOUND })
        .layer(CatchPanicLayer::custom(layers::panicked))
        .layer(map_response(problem::in_our_form))
        .layer(layers::compression())
        .layer(layers::cors(&app.config))
        .layer(PropagateRequestIdLayer::new(layers::REQUEST_ID))
        .layer(from_fn_with_state(Arc::clone(app), watch::watch))
        .layer(generate)
        .layer(from_fn(layers::clean_request_id))
        .with_state(state);
    NormalizePath::trim_trailing_slash(router)
}

/// Metrics alone, for a port of their own: who may read them there need not reach the models.
pub fn metrics_app(app: &Arc<App>) -> NormalizePath<Router> {
    let router = Router::new()
        .route("/metrics", get(status::metrics))
        .fallback(|| async { axum::http::StatusCode::NOT_FOUND })
        .layer(map_response(problem::in_our_form))
        .with_state(Arc::clone(app));
    NormalizePath::trim_trailing_slash(router)
}

/// Every path that computes in the hub's dialect, and what can be known about a model.
fn inference() -> Router<Arc<App>> {
    Router::new()
        .route("/", post(hub::answer))
        .route("/invocations", post(hub::answer))
        .route("/models/{a}", post(hub::answer))
        .route("/models/{a}/{b}", post(hub::answer))
        .route("/models/{a}/info", get(status::info))
        .route("/models/{a}/{b}/info", get(status::info))
        .route("/models/{a}/pipeline/{task}", post(hub::answer))
        .route("/models/{a}/{b}/pipeline/{task}", post(hub::answer))
        .route("/pipeline/{task}", post(hub::answer))
        .route("/pipeline/{task}/{a}", post(hub::answer))
        .route("/pipeline/{task}/{a}/{b}", post(hub::answer))
        .route("/status/{a}", get(status::legacy))
        .route("/status/{a}/{b}", get(status::legacy))
}

fn health() -> Router<Arc<App>> {
    Router::new().route("/models/{a}/health", get(status::health)).route("/models/{a}/{b}/health", get(status::health))
}
