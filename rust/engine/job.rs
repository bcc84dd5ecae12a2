//! One item at work: its waiters, its windows, its times.

use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use super::cache::Cache;
use crate::error::{Error, Result};
use crate::types::{Cut, Encoded, Encoding, Logits};

/// What an engine asks of a model. Any number of threads ask at once.
pub trait Model: Send + Sync + 'static {
    /// One item with its options: all that its answer depends on.
    type Ask: Hash + Eq + Send + Sync + 'static;
    /// The answer to one item.
    type Answer: Send + Sync + 'static;

    /// Text to tokens; `index` is the item's position in its request, for messages.
    ///
    /// # Errors
    /// When the item can't be answered.
    fn encode(&self, index: usize, ask: &Self::Ask) -> Result<Encoded>;

    /// Tokens to logits, one per sequence; `cancelled` is to be looked at between layers.
    ///
    /// # Errors
    /// [`Error::Interrupted`] once it says true, [`Error::Backend`] when the computation fails.
    fn forward(&self, sequences: &[&Encoding], cancelled: &dyn Fn() -> bool) -> Result<Vec<Logits>>;

    /// Logits of all windows to the answer.
    ///
    /// # Errors
    /// When there is no answer that could be told.
    fn decode(&self, ask: &Self::Ask, encoded: &Encoded, logits: Vec<Logits>) -> Result<Self::Answer>;

    /// Bytes of text: how much work it will be is guessed from them.
    fn bytes(&self, ask: &Self::Ask) -> usize;

    /// Bytes that an answer takes in memory, without those of its text.
    fn size(&self, answer: &Self::Answer) -> usize;
}

/// The answer to an item, and how it came about.
#[derive(Debug)]
pub struct Done<A> {
    /// The answer itself.
    pub answer: A,
    /// Set when the input was cut at the limit.
    pub cut: Option<Cut>,
    /// Tokens that were computed, special ones included.
    pub tokens: usize,
    /// What took how long.
    pub times: Times,
}

/// Where the time of an item went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// Text to tokens.
    pub reading: Duration,
    /// Waiting, before and after that.
    pub waiting: Duration,
    /// The network, for all of the batches that the item was in.
    pub computing: Duration,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Its deadline passed.
    Late,
    /// The engine was closed.
    Closed,
    /// The input, or the computation.
    Error(Error),
}

/// What happens to an item, in this order.
#[derive(Debug)]
pub enum Step<A> {
    /// It was read, and found to be something that can be answered; perhaps it was cut at the limit. Who joins others
    /// may be told twice.
    Read(Option<Cut>),
    /// The end.
    Done(Result<Arc<Done<A>>, Failure>),
}

/// Who waits for an item.
#[derive(Debug)]
pub(super) struct Waiter<A> {
    /// Its position in the request.
    pub(super) index: usize,
    pub(super) deadline: Instant,
    pub(super) sender: UnboundedSender<(usize, Step<A>)>,
}

impl<A> Waiter<A> {
    /// A receiver that has gone is no error.
    fn tell(&self, step: Step<A>) {
        let _ = self.sender.send((self.index, step));
    }
}

/// A job without its types, as the queue holds it.
pub(super) trait Job: Send + Sync {
    /// Whether somebody still waits. Once it says no, it is over.
    fn wanted(&self) -> bool;
    /// Text to tokens; the lengths of its windows, none if it failed.
    fn read(&self) -> Vec<usize>;
    /// Bytes of its text.
    fn bytes(&self) -> usize;
    fn window(&self, window: usize) -> Option<&Encoding>;
    /// A window's logits, from a batch that started and took so long.
    fn computed(&self, window: usize, logits: Logits, started: Instant, time: Duration);
    fn fail(&self, failure: Failure);
}

pub(super) type Answers<M> = Cache<<M as Model>::Ask, Done<<M as Model>::Answer>, Item<M>>;

/// One item of a request, or of several that asked the same.
pub(super) struct Item<M: Model> {
    pub(super) model: Arc<M>,
    pub(super) ask: Arc<M::Ask>,
    /// Where its answer is kept; nowhere if the request wants it computed for itself.
    pub(super) cache: Weak<Mutex<Answers<M>>>,
    pub(super) arrived: Instant,
    encoded: OnceLock<Encoded>,
    work: Mutex<Work>,
    /// `None` once it is over.
    waiters: Mutex<Option<Vec<Waiter<M::Answer>>>>,
}

#[derive(Default)]
struct Work {
    logits: Vec<Option<Logits>>,
    started: Option<Instant>,
    times: Times,
}

impl<M: Model> Item<M> {
    pub(super) fn new(
        model: Arc<M>,
        ask: Arc<M::Ask>,
        cache: Weak<Mutex<Answers<M>>>,
        first: Waiter<M::Answer>,
    ) -> Self {
        let (encoded, work, waiters) = (OnceLock::new(), Mutex::default(), Mutex::new(Some(vec![first])));
        Self { model, ask, cache, arrived: Instant::now(), encoded, work, waiters }
    }

    /// Waits with the others; gives the waiter back if it is over.
    pub(super) fn join(&self, waiter: Waiter<M::Answer>) -> Result<(), Waiter<M::Answer>> {
        match &mut *lock(&self.waiters) {
            Some(waiters) => {
                if let Some(encoded) = self.encoded.get() {
                    waiter.tell(Step::Read(encoded.cut));
                }
                waiters.push(waiter);
                Ok(())
            }
            None => Err(waiter),
        }
    }

    fn land(&self) {
        if let Some(cache) = self.cache.upgrade() {
            lock(&cache).land(Arc::clone(&self.ask), self);
        }
    }

    fn finish(&self, result: &Result<Arc<Done<M::Answer>>, Failure>) {
        // Kept before it lands, so that who asks the same now finds it in one of the two places.
        if let (Ok(done), Some(cache)) = (result, self.cache.upgrade()) {
            let bytes = self.model.bytes(&self.ask) + self.model.size(&done.answer);
            lock(&cache).keep(Arc::clone(&self.ask), Arc::clone(done), bytes);
        }
        let waiters = lock(&self.waiters).take();
        self.land();
        for waiter in waiters.into_iter().flatten() {
            let mut result = result.clone();
            if let Err(Failure::Error(Error::Input { index, .. })) = &mut result {
                *index = waiter.index;
            }
            waiter.tell(Step::Done(result));
        }
    }

    fn decode(&self, encoded: &Encoded, work: Work) -> Result<Done<M::Answer>> {
        let logits = work.logits.into_iter().flatten().collect();
        let answer = self.model.decode(&self.ask, encoded, logits)?;
        let tokens = encoded.windows.iter().map(Encoding::len).sum();
        Ok(Done { answer, cut: encoded.cut, tokens, times: work.times })
    }
}

impl<M: Model> Job for Item<M> {
    fn wanted(&self) -> bool {
        let mut waiters = lock(&self.waiters);
        let Some(all) = &mut *waiters else { return false };
        let now = Instant::now();
        all.retain(|waiter| {
            let late = now >= waiter.deadline;
            if late {
                waiter.tell(Step::Done(Err(Failure::Late)));
            }
            !late && !waiter.sender.is_closed()
        });
        if !all.is_empty() {
            return true;
        }
        *waiters = None;
        drop(waiters);
        self.land();
        false
    }

    fn read(&self) -> Vec<usize> {
        let start = Instant::now();
        match self.model.encode(0, &self.ask) {
            Ok(encoded) => {
                let lengths: Vec<usize> = encoded.windows.iter().map(Encoding::len).collect();
                let mut work = lock(&self.work);
                work.logits = lengths.iter().map(|_| None).collect();
                work.times.reading = start.elapsed();
                drop(work);
                let cut = encoded.cut;
                // Set only here: a job is read once.
                let _ = self.encoded.set(encoded);
                for waiter in lock(&self.waiters).iter().flatten() {
                    waiter.tell(Step::Read(cut));
                }
                lengths
            }
            Err(error) => {
                self.finish(&Err(Failure::Error(error)));
                Vec::new()
            }
        }
    }

    fn bytes(&self) -> usize {
        self.model.bytes(&self.ask)
    }

    fn window(&self, window: usize) -> Option<&Encoding> {
        self.encoded.get()?.windows.get(window)
    }

    fn computed(&self, window: usize, logits: Logits, started: Instant, time: Duration) {
        let Some(encoded) = self.encoded.get() else { return };
        let mut work = lock(&self.work);
        work.times.computing += time;
        let first = *work.started.get_or_insert(started);
        work.times.waiting = first.saturating_duration_since(self.arrived).saturating_sub(work.times.reading);
        if let Some(place) = work.logits.get_mut(window) {
            *place = Some(logits);
        }
        if work.logits.iter().any(Option::is_none) {
            return;
        }
        let work = std::mem::take(&mut *work);
        self.finish(&self.decode(encoded, work).map(Arc::new).map_err(Failure::Error));
    }

    fn fail(&self, failure: Failure) {
        self.finish(&Err(failure));
    }
}

/// A panic elsewhere leaves nothing half done behind these locks.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
