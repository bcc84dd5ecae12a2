//! Many callers, one machine: requests become jobs, jobs become batches, answers find their callers.
//!
//! Workers are plain threads that do what is most urgent: a batch if a lane is free, else the next text to be read. On
//! an idle machine one worker reads, computes and answers, with one wake-up and no timer; under load some read while
//! others compute. An engine knows no runtime: [`Ticket`] can be awaited anywhere, and waited for without one.

mod cache;
mod cost;
mod item;
mod job;
mod queue;
mod worker;

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::error::{Error, Result};
use cost::Cost;
use item::{Answers, Item};
use job::{Job, Waiter, lock};
use queue::Estimate;
use worker::{Forecast, State, Worker};

pub use job::{Done, Failure, Model, Step, Times};

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

/// A model in an engine, with its cache.
pub struct Host<M: Model> {
    shared: Arc<Shared>,
    model: Arc<M>,
    /// Its place in the queue.
    number: usize,
    cache: Arc<Mutex<Answers<M>>>,
}

/// What a request asks besides its items.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// When its answers are no longer of use.
    pub deadline: Instant,
    /// Whether answers may come from the cache, and go there.
    pub cache: bool,
    /// Whether it wants to know of a long text's answer what is final before all of its windows are computed.
    pub parts: bool,
    /// Whether it is to be told of every step, and not only of the end, which wakes somebody once more than a single
    /// item needs.
    pub steps: bool,
}

/// Why a request was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The queue is as long as it may be; worth another try after this.
    Full(Duration),
    /// The engine was closed.
    Closed,
}

/// Answers on their way. Dropping it cancels what nobody else waits for.
pub struct Ticket<A> {
    ready: VecDeque<(usize, Step<A>)>,
    receiver: UnboundedReceiver<(usize, Step<A>)>,
    hits: usize,
    _permit: Option<Permit>,
}

/// One of the requests that an engine takes at a time.
struct Permit(Arc<Shared>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
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
        let number = lock(&self.shared.state).add_model(Arc::clone(&model) as Arc<dyn worker::Compute>, cost);
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

impl<M: Model> Host<M> {
    /// The model.
    pub fn model(&self) -> &Arc<M> {
        &self.model
    }

    /// Answers that are kept, and their bytes.
    pub fn cached(&self) -> (usize, usize) {
        lock(&self.cache).size()
    }

    /// Hands in a request. What is in the cache is answered at once and needs no room in the queue; items that somebody
    /// else has asked for already are waited for, not computed again.
    ///
    /// # Errors
    /// [`Refusal`] when it would wait for too long.
    pub fn submit(&self, asks: impl IntoIterator<Item = M::Ask>, terms: Terms) -> Result<Ticket<M::Answer>, Refusal> {
        let (sender, receiver) = unbounded_channel();
        let (mut ready, mut missed) = (VecDeque::new(), Vec::new());
        for (index, ask) in asks.into_iter().enumerate() {
            match self.known(&ask, terms) {
                Some(done) => ready.push_back((index, Step::Done(Ok(done)))),
                None => missed.push((index, Arc::new(ask))),
            }
        }
        let hits = ready.len();
        let work = self.estimate(&missed);
        let permit = if missed.is_empty() { None } else { Some(self.admit(&work, terms.deadline)?) };
        let jobs = missed.into_iter().zip(work).filter_map(|((index, ask), estimate)| {
            let Terms { deadline, parts, steps, .. } = terms;
            let waiter = Waiter { index, deadline, parts, steps, sender: UnboundedSender::clone(&sender) };
            Some((self.job(ask, waiter, terms.cache)?, estimate))
        });
        let jobs: Vec<(Arc<dyn Job>, Estimate)> = jobs.collect();
        if !jobs.is_empty() {
            let mut state = lock(&self.shared.state);
            state.add(self.number, jobs)?;
            let sleepers = state.sleepers(usize::MAX);
            drop(state);
            for worker in sleepers {
                worker.unpark();
            }
        }
        Ok(Ticket { ready, receiver, hits, _permit: permit })
    }

    /// The work of each item, by its bytes.
    fn estimate(&self, missed: &[(usize, Arc<M::Ask>)]) -> Vec<Estimate> {
        let cost = lock(&self.shared.state).cost(self.number);
        let of = |(_, ask): &(usize, Arc<M::Ask>)| {
            let (windows, tokens) = self.model.windows(ask, cost.tokens_of(self.model.bytes(ask)));
            let turn = cost.units(tokens);
            Estimate { units: windows * turn, turn }
        };
        missed.iter().map(of).collect()
    }

    /// The answer that the cache has, if it may be asked.
    fn known(&self, ask: &M::Ask, terms: Terms) -> Option<Arc<Done<M::Answer>>> {
        if terms.cache { lock(&self.cache).get(ask) } else { None }
    }

    /// The job for an item, unless it joins one that is in flight.
    fn job(&self, ask: Arc<M::Ask>, mut waiter: Waiter<M::Answer>, keep: bool) -> Option<Arc<dyn Job>> {
        let home = if keep { Arc::downgrade(&self.cache) } else { Weak::new() };
        if !keep {
            return Some(Arc::new(Item::new(Arc::clone(&self.model), ask, home, waiter)));
        }
        let mut cache = lock(&self.cache);
        if let Some(other) = cache.flying(&ask) {
            match other.join(waiter) {
                Ok(()) => return None,
                Err(back) => waiter = back,
            }
        }
        let item = Arc::new(Item::new(Arc::clone(&self.model), Arc::clone(&ask), home, waiter));
        cache.fly(ask, Arc::clone(&item));
        Some(item)
    }

    /// Room for a request, unless it would wait too long for its turn, or be too late because of others. How long its own
    /// work takes is no reason: waiting would not make it shorter.
    fn admit(&self, work: &[Estimate], deadline: Instant) -> Result<Permit, Refusal> {
        let Settings { requests, target, .. } = self.shared.settings;
        let taken = self.shared.requests.fetch_add(1, Ordering::Relaxed);
        let permit = Permit(Arc::clone(&self.shared));
        let Forecast { own, turn, end } = lock(&self.shared.state).forecast(self.number, work);
        let patience = deadline.saturating_duration_since(Instant::now());
        if taken >= requests {
            Err(Refusal::Full(turn.max(target)))
        } else if turn > target {
            Err(Refusal::Full(turn.saturating_sub(target)))
        } else if end > patience && own <= patience {
            Err(Refusal::Full(end.saturating_sub(patience)))
        } else {
            Ok(permit)
        }
    }
}

impl<A> Ticket<A> {
    /// Items that came out of the cache.
    pub fn hits(&self) -> usize {
        self.hits
    }

    /// The next thing that happens to one of the items, with the item's position; `None` when all is over.
    pub async fn next(&mut self) -> Option<(usize, Step<A>)> {
        match self.ready.pop_front() {
            Some(step) => Some(step),
            None => self.receiver.recv().await,
        }
    }

    /// The answers to all of its `count` items, in their order.
    ///
    /// # Errors
    /// The failure of the first item that has none, as soon as all before it have been read: of several items, that is
    /// only known with all [steps](Terms::steps).
    pub async fn all(mut self, count: usize) -> Result<Vec<Arc<Done<A>>>, Failure> {
        let (mut found, mut missing): (Vec<Option<Arc<Done<A>>>>, _) = (vec![None; count], count);
        let (mut read, mut failed) = (vec![false; count], None);
        while missing > 0
            && let Some((index, step)) = self.next().await
        {
            read[index] = true;
            match step {
                Step::Read(_) | Step::Part(_) => (),
                Step::Done(Ok(done)) => {
                    found[index] = Some(done);
                    missing -= 1;
                }
                Step::Done(Err(failure)) => {
                    if failed.as_ref().is_none_or(|(first, _)| index < *first) {
                        failed = Some((index, failure));
                    }
                }
            }
            if let Some((first, failure)) = &failed
                && read[..*first].iter().all(|&read| read)
            {
                return Err(failure.clone());
            }
        }
        // Whoever is told nothing was dropped, and that happens only to requests that nobody waits for.
        found.into_iter().collect::<Option<_>>().ok_or(Failure::Closed)
    }

    /// The next thing that happens, on a thread that may block.
    pub fn wait(&mut self) -> Option<(usize, Step<A>)> {
        self.ready.pop_front().or_else(|| self.receiver.blocking_recv())
    }
}

#[cfg(test)]
mod tests;
