//! What an engine asks of a model, what it tells who waits, and a job as its queue sees it.

use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use super::News;
use crate::error::{Error, Result};
use crate::pipeline::Work;
use crate::types::{Cut, Encoded, Encoding, Logits};

/// What an engine asks of a model. Any number of threads ask at once.
pub trait Model: Send + Sync + 'static {
    /// One item with its options: all that its answer depends on.
    type Ask: Hash + Eq + Send + Sync + 'static;
    /// The answer to one item, or to the beginning of a long one.
    type Answer: Send + Sync + 'static;
    /// What is known of an item's answer while its windows are computed.
    type Draft: Send + 'static;

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

    /// Nothing is known yet.
    fn draft(&self, ask: &Self::Ask, encoded: &Encoded) -> Self::Draft;

    /// The logits of an item's next window to what is final by now and was not before; if there is one window, to the
    /// answer.
    ///
    /// # Errors
    /// When there is no answer that could be told.
    fn add(&self, ask: &Self::Ask, encoded: &Encoded, draft: &mut Self::Draft, logits: Logits) -> Result<Self::Answer>;

    /// What the windows of an item have added, together.
    ///
    /// # Errors
    /// As for [`Model::add`].
    fn join(&self, ask: &Self::Ask, parts: &[Arc<Self::Answer>]) -> Result<Self::Answer>;

    /// Bytes of text: how much work it will be is guessed from them.
    fn bytes(&self, ask: &Self::Ask) -> usize;

    /// How a text of so many tokens would be read: in how many windows, of how many tokens at most.
    fn windows(&self, ask: &Self::Ask, tokens: usize) -> (usize, usize);

    /// What the network takes for a sequence of so many tokens: how its cost grows before any batch was seen.
    fn work(&self, tokens: usize) -> Work;

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
    /// It was read, and found to be something that can be answered; perhaps it was cut at the limit. Told to those who
    /// [asked for it](News::Reads); who joins others may be told twice.
    Read(Option<Cut>),
    /// More of its answer is final; only for requests that want [parts](News::Parts).
    Part(Arc<A>),
    /// The end. The answer begins with all parts that were told.
    Done(Result<Arc<Done<A>>, Failure>),
}

/// Who waits for an item.
#[derive(Debug)]
pub(super) struct Waiter<A> {
    /// Its position in the request.
    pub(super) index: usize,
    pub(super) deadline: Instant,
    pub(super) news: News,
    pub(super) sender: UnboundedSender<(usize, Step<A>)>,
}

impl<A> Waiter<A> {
    /// A receiver that has gone is no error.
    pub(super) fn tell(&self, step: Step<A>) {
        let _ = self.sender.send((self.index, step));
    }

    pub(super) fn tell_read(&self, cut: Option<Cut>) {
        if self.news >= News::Reads {
            self.tell(Step::Read(cut));
        }
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

/// A panic elsewhere leaves nothing half done behind these locks.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
