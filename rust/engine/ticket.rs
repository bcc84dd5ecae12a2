//! What a caller holds while its request is on its way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc::UnboundedReceiver;

use super::Shared;
use super::job::{Done, Failure, Step};

/// Answers on their way. Dropping it cancels what nobody else waits for.
pub struct Ticket<A> {
    pub(super) ready: VecDeque<(usize, Step<A>)>,
    pub(super) receiver: UnboundedReceiver<(usize, Step<A>)>,
    pub(super) hits: usize,
    pub(super) _permit: Option<Permit>,
}

/// One of the requests that an engine takes at a time.
pub(super) struct Permit(pub(super) Arc<Shared>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
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
    /// only known with [`News::Reads`](super::News::Reads).
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
