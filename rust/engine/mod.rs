//! Many callers, one machine: requests become jobs, jobs become batches, answers find their callers.
//!
//! Workers are plain threads that do what is most urgent: a batch if a lane is free, else the next text to be read. On
//! an idle machine one worker reads, computes and answers, with one wake-up and no timer; under load some read while
//! others compute. An engine knows no runtime: [`Ticket`] can be awaited anywhere, and waited for without one.

mod cache;
mod cost;
mod host;
mod item;
mod job;
mod queue;
mod state;
mod ticket;
mod worker;

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::{Error, Result};
use cost::Cost;
use item::Answers;
use job::lock;
use state::{Compute, State};
use worker::Worker;

pub use host::{Host, News, Refusal, Terms};
pub use job::{Done, Failure, Model, Step, Times};
pub use ticket::Ticket;

/// How an engine works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Batches that are computed at once: as many as the models' pool has threads.
    pub lanes: NonZeroUsize,
    /// Workers beyond these, so that texts are read while all lanes compute.
    pub readers: usize,
    /// Most requests at a time.
    pub requests: usize,
    /// Most tokens of a batch; those of a long text count for a little more.
    pub batch_tokens: usize,
    /// Most sequences of a batch.
    pub batch_sequences: usize,
    /// How long a request may have to wait for its first turn before it is refused.
    pub target: Duration,
}

/// A batch that was computed, for who counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batched {
    /// Its sequences.
    pub sequences: usize,
    /// Their tokens.
    pub tokens: usize,
    /// What the network took.
    pub time: Duration,
}

/// Told of each batch, on the thread that computed it.
pub type Observer = Box<dyn Fn(Batched) + Send + Sync>;

/// Threads and the queue before them. Dropping it ends the threads; who still waits is told [`Failure::Closed`].
pub struct Engine {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    settings: Settings,
    state: Mutex<State>,
    /// Requests that are not answered.
    requests: AtomicUsize,
    observer: Observer,
}

impl Engine {
    /// Starts the workers.
    ///
    /// # Errors
    /// [`Error::Backend`] when the operating system gives no threads.
    pub fn new(settings: Settings, observer: Observer) -> Result<Self> {
        let workers = settings.lanes.get() + settings.readers;
        let (state, requests) = (Mutex::new(State::new()), AtomicUsize::new(0));
        let shared = Arc::new(Shared { settings, state, requests, observer });
        let mut engine = Self { shared: Arc::clone(&shared), threads: Vec::new() };
        for number in 0..workers {
            let worker = Worker(Arc::clone(&shared));
            let thread = std::thread::Builder::new().name(format!("engine-{number}")).spawn(move || worker.run());
            engine.threads.push(thread.map_err(|error| Error::Backend(format!("no threads: {error}")))?);
        }
        Ok(engine)
    }

    /// Takes a model in, with a cache of so many bytes.
    pub fn host<M: Model>(&self, model: Arc<M>, cache_bytes: usize) -> Host<M> {
        let cost = Cost::assumed(|tokens| model.work(tokens), self.shared.settings.lanes.get());
        let number = lock(&self.shared.state).add_model(Arc::clone(&model) as Arc<dyn Compute>, cost);
        let cache = Arc::new(Mutex::new(Answers::<M>::new(cache_bytes)));
        Host { shared: Arc::clone(&self.shared), model, number, cache }
    }

    /// Texts and sequences that wait to be read or computed.
    pub fn waiting(&self) -> usize {
        lock(&self.shared.state).waiting()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let left = lock(&self.shared.state).close();
        for job in left {
            job.fail(Failure::Closed);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join(); // a worker's panic was told to who waited
        }
    }
}

#[cfg(test)]
mod tests;
