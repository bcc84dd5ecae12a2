//! `acall`: the calls of one process share batches, as the requests of a server do.

use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use tokio::runtime::{Builder, Runtime};
use tokio::task::AbortHandle;

use super::errors::to_exception;
use super::results::{ToPython, answers};
use crate::engine::{Done, Engine, Failure, Host, Model, News, Refusal, Settings, Terms};
use crate::error::{Error, Result};
use crate::pipeline::{Growing, Pipeline, Work};
use crate::types::{Encoded, Encoding, Input, Logits};

/// Nobody is refused here: an `await` has no status 429, and who gives up cancels.
const FOREVER: Duration = Duration::from_secs(1 << 30);
/// Most sequences and tokens of a batch: who comes while one runs should not wait for a computation without end.
const BATCH: (usize, usize) = (64, 8_192);

/// A pipeline's engine, started by its first `acall`.
pub(super) struct Awaiting<T: Awaitable>(RwLock<Option<Arc<Running<T>>>>);

/// A task whose calls can be awaited.
pub(super) trait Awaitable: Growing<Output: ToPython + Joined, Options: Hash + Eq> {}
impl<T: Growing<Output: ToPython + Joined, Options: Hash + Eq>> Awaitable for T {}

/// Answers that are known window by window.
pub(super) trait Joined {
    fn joined(parts: &[Arc<Self>]) -> Self;
}

impl<T: Clone> Joined for Vec<T> {
    fn joined(parts: &[Arc<Self>]) -> Self {
        parts.iter().flat_map(|part| part.iter().cloned()).collect()
    }
}

struct Running<T: Awaitable> {
    /// Threads do not survive `fork`: a child has to start its own.
    pid: u32,
    host: Host<Asked<T>>,
    /// Ends, with its threads, after the last call that is on its way.
    _engine: Engine,
    /// One thread, which waits for answers and for the GIL, so that those that compute do not.
    messenger: Option<Runtime>,
}

/// A call on its way.
#[pyclass(frozen, module = "candlewick._native")]
pub(super) struct Pending(AbortHandle);

#[pymethods]
impl Pending {
    /// Nobody wants the answer any more: what has not been computed for it is not.
    fn cancel(&self) {
        self.0.abort();
    }
}

/// A pipeline in its engine.
struct Asked<T>(Arc<Pipeline<T>>);

/// An input with its options.
#[derive(PartialEq, Eq, Hash)]
struct Ask<O> {
    input: Input,
    options: Arc<O>,
}

impl<T: Awaitable> Model for Asked<T> {
    type Ask = Ask<T::Options>;
    type Answer = T::Output;
    type Draft = T::Draft;

    fn encode(&self, index: usize, ask: &Self::Ask) -> Result<Encoded> {
        self.0.encode(index, &ask.input, &ask.options, None)
    }

    fn forward(&self, sequences: &[&Encoding], cancelled: &dyn Fn() -> bool) -> Result<Vec<Logits>> {
        self.0.forward(sequences, cancelled)
    }

    fn draft(&self, ask: &Self::Ask, encoded: &Encoded) -> T::Draft {
        self.0.draft(encoded, &ask.options)
    }

    fn add(&self, ask: &Self::Ask, encoded: &Encoded, draft: &mut T::Draft, logits: Logits) -> Result<T::Output> {
        Ok(self.0.add(encoded, logits, &ask.options, draft))
    }

    fn join(&self, _: &Self::Ask, parts: &[Arc<T::Output>]) -> Result<T::Output> {
        Ok(T::Output::joined(parts))
    }

    fn bytes(&self, ask: &Self::Ask) -> usize {
        ask.input.bytes()
    }

    fn windows(&self, ask: &Self::Ask, tokens: usize) -> (usize, usize) {
        self.0.windows(tokens, &ask.options)
    }

    fn work(&self, tokens: usize) -> Work {
        self.0.work(tokens)
    }

    fn size(&self, _answer: &T::Output) -> usize {
        0 // nothing is kept
    }
}

impl<T: Awaitable> Awaiting<T> {
    pub(super) fn new() -> Self {
        Self(RwLock::new(None))
    }

    /// Hands in a call; `done(answers, error)` is told the end of it, on another thread.
    pub(super) fn submit(
        &self,
        pipeline: Arc<Pipeline<T>>,
        inputs: Vec<Input>,
        options: T::Options,
        done: Py<PyAny>,
    ) -> PyResult<Pending> {
        self.running(pipeline).and_then(|running| running.submit(inputs, options, done)).map_err(to_exception)
    }

    /// Forgets the engine, which ends after the calls that are on their way.
    pub(super) fn close(&self) {
        end(self.0.write().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn running(&self, pipeline: Arc<Pipeline<T>>) -> Result<Arc<Running<T>>> {
        let mine = |running: &&Arc<Running<T>>| running.pid == std::process::id();
        if let Some(running) = self.0.read().unwrap_or_else(PoisonError::into_inner).as_ref().filter(mine) {
            return Ok(Arc::clone(running));
        }
        let mut place = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = place.as_ref().filter(mine) {
            return Ok(Arc::clone(running));
        }
        let running = Arc::new(Running::start(pipeline)?);
        end(place.replace(Arc::clone(&running)));
        Ok(running)
    }
}

impl<T: Awaitable> Drop for Awaiting<T> {
    fn drop(&mut self) {
        self.close();
    }
}

/// Of an engine that came from a parent process there are no threads that could end.
fn end<T: Awaitable>(running: Option<Arc<Running<T>>>) {
    match running {
        Some(foreign) if foreign.pid != std::process::id() => std::mem::forget(foreign),
        own => drop(own),
    }
}

impl<T: Awaitable> Running<T> {
    fn start(pipeline: Arc<Pipeline<T>>) -> Result<Self> {
        let settings = Settings {
            lanes: pipeline.info().threads,
            readers: 1,
            requests: usize::MAX,
            batch_sequences: BATCH.0,
            batch_tokens: BATCH.1,
            target: FOREVER,
        };
        let engine = Engine::new(settings, Box::new(|_| ()))?;
        let host = engine.host(Arc::new(Asked(pipeline)), 0);
        let messenger = Builder::new_multi_thread().worker_threads(1).thread_name("acall-answers").build();
        let messenger = messenger.map_err(|error| Error::Backend(format!("no threads: {error}")))?;
        Ok(Self { pid: std::process::id(), host, _engine: engine, messenger: Some(messenger) })
    }

    fn submit(self: Arc<Self>, inputs: Vec<Input>, options: T::Options, done: Py<PyAny>) -> Result<Pending> {
        let (count, options) = (inputs.len(), Arc::new(options));
        let asks = inputs.into_iter().map(|input| Ask { input, options: Arc::clone(&options) });
        let terms = Terms { deadline: Instant::now() + FOREVER, cache: false, news: News::of(count) };
        let ticket = self.host.submit(asks, terms).map_err(|refusal| match refusal {
            Refusal::Closed => closed(),
            Refusal::Full(_) => Error::Backend("the queue is full".to_owned()),
        })?;
        let messenger = self.messenger.as_ref().ok_or_else(closed)?.handle().clone();
        let task = messenger.spawn(async move {
            let found = ticket.all(count).await;
            drop(self);
            // Nobody is left to be told when the interpreter ends.
            Python::try_attach(|py| tell(py, &done, found));
        });
        Ok(Pending(task.abort_handle()))
    }
}

impl<T: Awaitable> Drop for Running<T> {
    fn drop(&mut self) {
        // Perhaps on the messenger's own thread, which can't wait for itself.
        if let Some(messenger) = self.messenger.take() {
            messenger.shutdown_background();
        }
    }
}

/// `done(answers, None)` or `done(None, error)`; what it raises has nowhere to go.
fn tell<O: ToPython>(py: Python<'_>, done: &Py<PyAny>, found: Result<Vec<Arc<Done<O>>>, Failure>) {
    let found = found.map_err(|failure| match failure {
        Failure::Error(error) => to_exception(error),
        Failure::Late | Failure::Closed => to_exception(closed()),
    });
    let told = match found.and_then(|found| answers(py, found.iter().map(|done| (&done.answer, done.cut)))) {
        Ok(found) => done.call1(py, (found, py.None())),
        Err(error) => done.call1(py, (py.None(), error)),
    };
    if let Err(error) = told {
        error.write_unraisable(py, None);
    }
}

fn closed() -> Error {
    Error::Backend("the pipeline is closed".to_owned())
}
