//! The models of a server: loading, ready, or failed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::App;
use super::config::{Found, Wanted};
use super::hosted::{Hosted, Servable};
use super::problem::Problem;
use super::progress::{Measured, Progress};
use crate::config::{Config as ModelConfig, Task};
use crate::engine::Host;
use crate::error::{Error, Result};
use crate::kernels::Pool;
use crate::pipeline::{Info, Pipeline, TextClassification, TokenClassification};
use crate::server::Settings;

/// A place for a model.
pub(super) struct Slot {
    pub(super) id: String,
    pub(super) progress: Arc<Progress>,
    phase: watch::Sender<Phase>,
}

#[derive(Clone)]
pub(super) enum Phase {
    Loading,
    Ready(Arc<Served>),
    /// Why.
    Failed(Arc<str>),
}

/// A model that answers.
pub(super) enum Served {
    Token(Service<TokenClassification>),
    Text(Service<TextClassification>),
}

pub(super) struct Service<T: Servable> {
    pub(super) host: Host<Hosted<T>>,
    pub(super) settings: Settings,
    pub(super) name: Arc<str>,
    pub(super) sha: Option<String>,
}

impl Slot {
    pub(super) fn new(id: String, measured: &Arc<Measured>) -> Self {
        Self { id, progress: Arc::new(Progress::new(measured)), phase: watch::Sender::new(Phase::Loading) }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase.borrow().clone()
    }

    pub(super) fn settle(&self, result: Result<Served>) {
        self.progress.over(result.is_ok());
        self.phase.send_replace(match result {
            Ok(served) => Phase::Ready(Arc::new(served)),
            Err(error) => Phase::Failed(error.to_string().into()),
        });
    }
}

impl App {
    /// A model, once it is loaded; for a while it is waited for.
    pub(super) async fn served(&self, slot: &Slot, patience: Duration) -> Result<Arc<Served>, Problem> {
        let mut phase = slot.phase.subscribe();
        let over = |phase: &Phase| !matches!(phase, Phase::Loading);
        if !over(&phase.borrow()) {
            let _ = tokio::time::timeout(patience, phase.wait_for(over)).await;
        }
        match slot.phase() {
            Phase::Ready(served) => Ok(served),
            Phase::Loading => Err(Problem::loading(&slot.id, self.estimate(slot))),
            Phase::Failed(why) => Err(Problem::new(
                axum::http::StatusCode::INTERNAL_SERVER_ERROR,
                "Backend",
                format!("Model {} could not be loaded: {why}", slot.id),
            )),
        }
    }

    /// Seconds until a model is ready, above 0: models are loaded one after the other.
    pub(super) fn estimate(&self, slot: &Slot) -> f64 {
        let before = self.slots.iter().take_while(|other| other.id != slot.id);
        let left: Duration = before.chain([slot]).map(|slot| slot.progress.left()).sum();
        (left.as_secs_f64().max(0.1) * 10.0).round() / 10.0
    }
}

impl Served {
    pub(super) fn task(&self) -> Task {
        match self {
            Self::Token(_) => Task::TokenClassification,
            Self::Text(_) => Task::TextClassification,
        }
    }

    pub(super) fn sha(&self) -> Option<&str> {
        match self {
            Self::Token(service) => service.sha.as_deref(),
            Self::Text(service) => service.sha.as_deref(),
        }
    }

    pub(super) fn info(&self) -> Info {
        match self {
            Self::Token(service) => service.host.model().pipeline.info(),
            Self::Text(service) => service.host.model().pipeline.info(),
        }
    }

    pub(super) fn labels(&self) -> Vec<Arc<str>> {
        match self {
            Self::Token(service) => service.host.model().pipeline.labels().to_vec(),
            Self::Text(service) => service.host.model().pipeline.labels().to_vec(),
        }
    }

    /// Answers that are kept, and their bytes.
    pub(super) fn cached(&self) -> (usize, usize) {
        match self {
            Self::Token(service) => service.host.cached(),
            Self::Text(service) => service.host.cached(),
        }
    }
}

/// Loads a model into the engine.
pub(super) fn load(app: &App, wanted: &Wanted, found: Found, progress: &Progress, pool: Arc<Pool>) -> Result<Served> {
    progress.loading(weights(&found));
    let config = ModelConfig::load(&found.folder)?;
    let task = wanted.task.or(config.task);
    let unknown = || Error::parameter("task", "token-classification or text-classification for this model", &"none");
    match task.ok_or_else(unknown)? {
        Task::TokenClassification => service(app, &wanted.id, found, pool).map(Served::Token),
        Task::TextClassification => service(app, &wanted.id, found, pool).map(Served::Text),
    }
}

fn service<T: Servable>(app: &App, name: &str, found: Found, pool: Arc<Pool>) -> Result<Service<T>> {
    let pipeline = Pipeline::<T>::load_on(&found.folder, &app.config.load, pool)?;
    let settings = app.config.settings(pipeline.max_tokens(), pipeline.special_tokens());
    let cache = app.config.cache_size / app.slots.len();
    let host = app.engine.host(Arc::new(Hosted { pipeline }), cache);
    Ok(Service { host, settings, name: name.into(), sha: found.sha })
}

/// Bytes of the weights in a folder.
fn weights(found: &Found) -> u64 {
    let files = std::fs::read_dir(&found.folder).into_iter().flatten().flatten();
    let weights = files.filter(|file| file.path().extension().is_some_and(|end| end == "safetensors"));
    // Files of the Hub's cache are links.
    weights.filter_map(|file| std::fs::metadata(file.path()).ok()).map(|meta| meta.len()).sum()
}
