//! One item at work: who waits for it, its windows, its times.

use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};

use super::News;
use super::cache::Cache;
use super::job::{Done, Failure, Job, Model, Step, Times, Waiter, lock};
use crate::error::{Error, Result};
use crate::types::{Encoded, Encoding, Logits};

pub(super) type Answers<M> = Cache<<M as Model>::Ask, Done<<M as Model>::Answer>, Item<M>>;

/// One item of a request, or of several that asked the same.
pub(super) struct Item<M: Model> {
    pub(super) model: Arc<M>,
    pub(super) ask: Arc<M::Ask>,
    /// Where its answer is kept; nowhere if the request wants it computed for itself.
    pub(super) cache: Weak<Mutex<Answers<M>>>,
    pub(super) arrived: Instant,
    encoded: OnceLock<Encoded>,
    work: Mutex<Work<M::Draft>>,
    /// `None` once it is over.
    audience: Mutex<Option<Audience<M::Answer>>>,
}

struct Work<D> {
    /// Of windows that are computed and not in the draft.
    logits: Vec<Option<Logits>>,
    /// The first window that is not in the draft.
    next: usize,
    /// Away while a worker adds to it, and once nothing can be added any more.
    draft: Option<D>,
    started: Option<Instant>,
    times: Times,
}

impl<D> Work<D> {
    /// The draft and what is to be added to it, if both are there.
    fn take(&mut self) -> Option<(D, Logits)> {
        let logits = self.logits.get_mut(self.next).filter(|_| self.draft.is_some())?.take()?;
        self.next += 1;
        Some((self.draft.take()?, logits))
    }
}

/// Who waits, and what they have been told.
struct Audience<A> {
    waiters: Vec<Waiter<A>>,
    /// What the windows have added so far, of a text that has several.
    parts: Vec<Arc<A>>,
}

impl<M: Model> Item<M> {
    pub(super) fn new(
        model: Arc<M>,
        ask: Arc<M::Ask>,
        cache: Weak<Mutex<Answers<M>>>,
        first: Waiter<M::Answer>,
    ) -> Self {
        let work = Work { logits: Vec::new(), next: 0, draft: None, started: None, times: Times::default() };
        let audience = Audience { waiters: vec![first], parts: Vec::new() };
        let (encoded, work, audience) = (OnceLock::new(), Mutex::new(work), Mutex::new(Some(audience)));
        Self { model, ask, cache, arrived: Instant::now(), encoded, work, audience }
    }

    /// Waits with the others, after being told what they know; gives the waiter back if it is over.
    pub(super) fn join(&self, waiter: Waiter<M::Answer>) -> Result<(), Waiter<M::Answer>> {
        match &mut *lock(&self.audience) {
            Some(Audience { waiters, parts }) => {
                if let Some(encoded) = self.encoded.get() {
                    waiter.tell_read(encoded.cut);
                }
                for part in parts.iter().filter(|_| waiter.news == News::Parts) {
                    waiter.tell(Step::Part(Arc::clone(part)));
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
        let audience = lock(&self.audience).take();
        self.land();
        for waiter in audience.into_iter().flat_map(|audience| audience.waiters) {
            let mut result = result.clone();
            if let Err(Failure::Error(Error::Input { index, .. })) = &mut result {
                *index = waiter.index;
            }
            waiter.tell(Step::Done(result));
        }
    }

    /// Adds to the draft what is computed, window by window. Several workers may come with windows; one of them adds,
    /// and takes what the others bring in the meantime.
    fn grow(&self, encoded: &Encoded) {
        loop {
            let mut work = lock(&self.work);
            let Some((mut draft, logits)) = work.take() else { return };
            let last = work.next == work.logits.len();
            drop(work);
            match self.model.add(&self.ask, encoded, &mut draft, logits) {
                Ok(part) if last => return self.finish(&self.whole(encoded, part)),
                Ok(part) => self.tell(part),
                Err(error) => return self.finish(&Err(Failure::Error(error))),
            }
            lock(&self.work).draft = Some(draft);
        }
    }

    /// Tells a part of the answer to those who want it.
    fn tell(&self, part: M::Answer) {
        if let Some(Audience { waiters, parts }) = &mut *lock(&self.audience) {
            let part = Arc::new(part);
            for waiter in waiters.iter().filter(|waiter| waiter.news == News::Parts) {
                waiter.tell(Step::Part(Arc::clone(&part)));
            }
            parts.push(part);
        }
    }

    /// The answer, with what the last window has added.
    fn whole(&self, encoded: &Encoded, last: M::Answer) -> Result<Arc<Done<M::Answer>>, Failure> {
        let parts = lock(&self.audience).as_mut().map(|audience| std::mem::take(&mut audience.parts));
        let answer = match parts {
            Some(mut parts) if !parts.is_empty() => {
                parts.push(Arc::new(last));
                self.model.join(&self.ask, &parts).map_err(Failure::Error)?
            }
            _ => last,
        };
        let tokens = encoded.windows.iter().map(Encoding::len).sum();
        Ok(Arc::new(Done { answer, cut: encoded.cut, tokens, times: lock(&self.work).times }))
    }
}

impl<M: Model> Job for Item<M> {
    fn wanted(&self) -> bool {
        let mut audience = lock(&self.audience);
        let Some(Audience { waiters, .. }) = &mut *audience else { return false };
        let now = Instant::now();
        waiters.retain(|waiter| {
            let late = now >= waiter.deadline;
            if late {
                waiter.tell(Step::Done(Err(Failure::Late)));
            }
            !late && !waiter.sender.is_closed()
        });
        if !waiters.is_empty() {
            return true;
        }
        *audience = None;
        drop(audience);
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
                work.draft = Some(self.model.draft(&self.ask, &encoded));
                work.times.reading = start.elapsed();
                drop(work);
                let cut = encoded.cut;
                // Set only here: a job is read once.
                let _ = self.encoded.set(encoded);
                for waiter in lock(&self.audience).iter().flat_map(|audience| &audience.waiters) {
                    waiter.tell_read(cut);
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
        drop(work);
        self.grow(encoded);
    }

    fn fail(&self, failure: Failure) {
        self.finish(&Err(failure));
    }
}
