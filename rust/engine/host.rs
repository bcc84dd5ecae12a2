//! Where requests for a model come in: the cache first, then admission, then the queue.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::item::{Answers, Item};
use super::job::{Done, Job, Model, Step, Waiter, lock};
use super::queue::Estimate;
use super::state::Forecast;
use super::ticket::{Permit, Ticket};
use super::{Settings, Shared};

/// A model in an engine, with its cache.
pub struct Host<M: Model> {
    pub(super) shared: Arc<Shared>,
    pub(super) model: Arc<M>,
    /// Its place in the queue.
    pub(super) number: usize,
    pub(super) cache: Arc<Mutex<Answers<M>>>,
}

/// What a request asks besides its items.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// When its answers are no longer of use.
    pub deadline: Instant,
    /// Whether answers may come from the cache, and go there.
    pub cache: bool,
    /// What it is told on the way.
    pub news: News,
}

/// How much a request is told of its items: each telling wakes somebody once more than a single answer needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum News {
    /// Answers and failures.
    Ends,
    /// Also that an item was [read](Step::Read): of several, which failed first is only known with it.
    Reads,
    /// Also what of a long text's answer is final before all of its windows are computed: [`Step::Part`].
    Parts,
}

impl News {
    /// What it takes to answer so many items, all or none.
    pub fn of(items: usize) -> Self {
        if items > 1 { Self::Reads } else { Self::Ends }
    }
}

/// Why a request was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The queue is as long as it may be; worth another try after this.
    Full(Duration),
    /// The engine was closed.
    Closed,
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
            let Terms { deadline, news, .. } = terms;
            let waiter = Waiter { index, deadline, news, sender: UnboundedSender::clone(&sender) };
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
