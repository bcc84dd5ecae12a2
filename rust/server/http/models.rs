//! The models of a server: loading, ready, or failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::App;
use super::config::{Found, Wanted};
use super::hosted::{Hosted, Servable};
use super::problem::Problem;
use crate::config::{Config as ModelConfig, Task};
use crate::engine::Host;
use crate::error::{Error, Result};
use crate::kernels::Pool;
use crate::pipeline::{Info, Pipeline, TextClassification, TokenClassification};
use crate::server::Settings;

/// Bytes of weights that are ready in a second where nothing has been measured yet: packing a float32 BERT-base takes
/// 0.3 to 0.6 s.
const BYTES_PER_SECOND: f64 = 500e6;

/// A place for a model.
pub(super) struct Slot {
    pub(super) id: String,
    pub(super) progress: Progress,
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
    pub(super) sha: Option<String>,
}

/// How far a model is.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    total: AtomicU64,
    done: AtomicU64,
}

impl Progress {
    fn new() -> Self {
        Self { started: Instant::now(), total: AtomicU64::new(0), done: AtomicU64::new(0) }
    }

    /// Bytes that are to be downloaded or read, and those that are.
    pub fn report(&self, total: u64, done: u64) {
        self.total.store(total, Ordering::Relaxed);
        self.done.store(done.min(total), Ordering::Relaxed);
    }

    /// Seconds that it will still take, above 0.
    pub fn estimate(&self) -> f64 {
        let (total, done) = (self.total.load(Ordering::Relaxed) as f64, self.done.load(Ordering::Relaxed) as f64);
        let elapsed = self.started.elapsed().as_secs_f64();
        let left = if done > 0.0 { elapsed * (total - done) / done } else { total / BYTES_PER_SECOND - elapsed };
        (left.max(0.1) * 10.0).round() / 10.0
    }
}

impl Slot {
    pub(super) fn new(id: String) -> Self {
        Self { id, progress: Progress::new(), phase: watch::Sender::new(Phase::Loading) }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase.borrow().clone()
    }

    /// The model, once it is loaded; for a while it is waited for.
    pub(super) async fn ready(&self, patience: Duration) -> Result<Arc<Served>, Problem> {
        let mut phase = self.phase.subscribe();
        let over = |phase: &Phase| !matches!(phase, Phase::Loading);
        if !over(&phase.borrow()) {
            let _ = tokio::time::timeout(patience, phase.wait_for(over)).await;
        }
        match self.phase() {
            Phase::Ready(served) => Ok(served),
            Phase::Loading => Err(Problem::loading(&self.id, self.progress.estimate())),
            Phase::Failed(why) => Err(Problem::new(
                axum::http::StatusCode::INTERNAL_SERVER_ERROR,
                "Backend",
                format!("Model {} could not be loaded: {why}", self.id),
            )),
        }
    }

    pub(super) fn settle(&self, result: Result<Served>) {
        self.phase.send_replace(match result {
            Ok(served) => Phase::Ready(Arc::new(served)),
            Err(error) => Phase::Failed(error.to_string().into()),
        });
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
    progress.report(weights(&found), 0);
    let config = ModelConfig::load(&found.folder)?;
    let task = wanted.task.or(config.task);
    let unknown = || Error::parameter("task", "token-classification or text-classification for this model", &"none");
    match task.ok_or_else(unknown)? {
        Task::TokenClassification => service(app, found, pool).map(Served::Token),
        Task::TextClassification => service(app, found, pool).map(Served::Text),
    }
}

fn service<T: Servable>(app: &App, found: Found, pool: Arc<Pool>) -> Result<Service<T>> {
    let pipeline = Pipeline::<T>::load_on(&found.folder, &app.config.load, pool)?;
    let settings = app.config.settings(pipeline.max_tokens(), pipeline.special_tokens());
    let cache = app.config.cache_size / app.slots.len();
    let host = app.engine.host(Arc::new(Hosted { pipeline }), cache);
    Ok(Service { host, settings, sha: found.sha })
}

/// Bytes of the weights in a folder.
fn weights(found: &Found) -> u64 {
    let files = std::fs::read_dir(&found.folder).into_iter().flatten().flatten();
    let weights = files.filter(|file| file.path().extension().is_some_and(|end| end == "safetensors"));
    // Files of the Hub's cache are links.
    weights.filter_map(|file| std::fs::metadata(file.path()).ok()).map(|meta| meta.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_what_is_left_at_the_rate_so_far() {
        let mut progress = Progress::new();
        progress.report(1_000_000_000, 0);
        assert_eq!(progress.estimate(), 2.0);
        progress.started = Instant::now().checked_sub(Duration::from_secs(3)).unwrap();
        progress.report(1_000_000_000, 750_000_000);
        assert_eq!(progress.estimate(), 1.0);
        progress.report(10, 10);
        assert_eq!(progress.estimate(), 0.1);
    }
}
