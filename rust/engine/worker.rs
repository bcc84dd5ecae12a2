//! The threads that read and compute, and what they share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, MutexGuard};
use std::thread::Thread;
use std::time::{Duration, Instant};

use super::cost::Cost;
use super::job::{Failure, Job, Model, lock};
use super::queue::{Estimate, Queue, Sequence, Text};
use super::{Batched, Refusal, Shared};
use crate::error::{Error, Result};
use crate::types::{Encoding, Logits};

/// A batch takes at most this part of the target latency, so that who comes while it runs does not wait for long.
const SLICE: u32 = 4;
/// Units below which a batch is not shared out between free lanes: weights would be read twice for few rows.
const WHOLE: usize = 256;

/// Bytes that a token hardly ever has.
const LONGEST: usize = 32;

/// A model without its types.
pub(super) trait Compute: Send + Sync {
    fn compute(&self, sequences: &[&Encoding], cancelled: &dyn Fn() -> bool) -> Result<Vec<Logits>>;
}

impl<M: Model> Compute for M {
    fn compute(&self, sequences: &[&Encoding], cancelled: &dyn Fn() -> bool) -> Result<Vec<Logits>> {
        self.forward(sequences, cancelled)
    }
}

type Jobs = Queue<Arc<dyn Job>>;

/// What a request may expect.
#[derive(Debug, Clone, Copy)]
pub(super) struct Forecast {
    /// What its own work takes.
    pub(super) own: Duration,
    /// What passes until its first item has its turn: from then on it is not waiting but shares the machine.
    pub(super) turn: Duration,
    /// What passes until it is answered.
    pub(super) end: Duration,
}

/// Behind the engine's lock.
pub(super) struct State {
    queue: Jobs,
    pub(super) models: Vec<(Arc<dyn Compute>, Cost)>,
    /// Model and units of batches that are being computed.
    running: Vec<(usize, usize)>,
    /// Workers that wait for work, the last one for the shortest time: its caches are still warm.
    idle: Vec<Thread>,
    closed: bool,
}

/// A batch on its way.
struct Batch {
    model: usize,
    compute: Arc<dyn Compute>,
    sequences: Vec<Sequence<Arc<dyn Job>>>,
    units: usize,
}

impl State {
    pub(super) fn new() -> Self {
        Self { queue: Queue::new(), models: Vec::new(), running: Vec::new(), idle: Vec::new(), closed: false }
    }

    pub(super) fn add_model(&mut self, model: Arc<dyn Compute>, cost: Cost) -> usize {
        self.models.push((model, cost));
        self.queue.add_model()
    }

    /// What is known of a model's cost.
    pub(super) fn cost(&self, model: usize) -> Cost {
        self.models[model].1.clone()
    }

    /// A request's jobs, each with its estimated work.
    pub(super) fn add(&mut self, model: usize, jobs: Vec<(Arc<dyn Job>, Estimate)>) -> Result<(), Refusal> {
        if self.closed {
            return Err(Refusal::Closed);
        }
        self.queue.add(model, jobs);
        Ok(())
    }

    /// Workers to be woken for what waits, at most so many: unparked by who asks, better without the engine's lock.
    pub(super) fn sleepers(&mut self, most: usize) -> Vec<Thread> {
        let awake = self.idle.len() - self.idle.len().min(self.queue.len()).min(most);
        self.idle.split_off(awake)
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn close(&mut self) -> Vec<Arc<dyn Job>> {
        self.closed = true;
        for worker in self.idle.drain(..) {
            worker.unpark();
        }
        self.queue.drain()
    }

    /// What a request with such items has before it.
    pub(super) fn forecast(&self, model: usize, items: &[Estimate]) -> Forecast {
        let nanoseconds = |model: usize| self.models[model].1.line().per_unit;
        let of = |units: usize| units as f64 * nanoseconds(model);
        let running: f64 = self.running.iter().map(|&(model, units)| units as f64 * nanoseconds(model)).sum();
        let (first, own) = (items.first().map_or(0, |item| item.turn), items.iter().map(|item| item.units).sum());
        let (first, own) = (of(first), of(own));
        let time = |nanoseconds: f64| Duration::from_nanos(nanoseconds as u64);
        Forecast {
            own: time(own),
            turn: time(running + self.queue.ahead(first, nanoseconds)),
            end: time(running + self.queue.ahead(own, nanoseconds) + own),
        }
    }

    /// The next batch, if a lane is free and one is due.
    fn batch(&mut self, shared: &Shared) -> Option<Batch> {
        let settings = &shared.settings;
        let free = settings.lanes.get().saturating_sub(self.running.len());
        if free == 0 {
            return None;
        }
        let budget = |model: usize| self.models[model].1.budget(settings.target / SLICE, settings.batch_tokens);
        loop {
            let model = self.queue.ripe(budget)?;
            // An even share for every free lane.
            let share = self.queue.ready_units(model).div_ceil(free).max(WHOLE);
            let most = settings.batch_sequences;
            let sequences = self.queue.next_batch(model, budget(model).min(share), most, |job| job.wanted());
            if sequences.is_empty() {
                continue; // none of them was wanted any more
            }
            let units = sequences.iter().map(|sequence| sequence.units).sum();
            self.running.push((model, units));
            return Some(Batch { model, compute: Arc::clone(&self.models[model].0), sequences, units });
        }
    }

    /// Takes note of the lengths of a text's windows, none if it can't be answered.
    fn was_read(&mut self, text: &Text<Arc<dyn Job>>, windows: &[usize]) {
        if self.closed {
            return text.job.fail(Failure::Closed);
        }
        let Some(model) = self.queue.model_of(text) else { return };
        let cost = &mut self.models[model].1;
        // Of a text that was cut, the number of tokens says nothing; those of windows are counted twice where they overlap.
        if let [tokens] = *windows
            && tokens * LONGEST > text.job.bytes()
        {
            cost.observe_text(text.job.bytes(), tokens);
        }
        let units: Vec<usize> = windows.iter().map(|&tokens| cost.units(tokens)).collect();
        self.queue.read(text, &units);
    }

    fn finished(&mut self, batch: &Batch, time: Option<Duration>) {
        let lanes = self.running.len();
        let place = self.running.iter().position(|&one| one == (batch.model, batch.units));
        place.map(|place| self.running.swap_remove(place));
        if let Some(time) = time {
            let share = 1.0 / lanes.max(1) as f64;
            self.models[batch.model].1.observe(batch.units, time, share);
            self.queue.charge(batch.model, time.as_nanos() as f64);
        }
    }
}

/// One thread.
pub(super) struct Worker(pub(super) Arc<Shared>);

impl Worker {
    pub(super) fn run(&self) {
        let shared = &self.0;
        let mut state = lock(&shared.state);
        while !state.closed {
            if let Some(batch) = state.batch(shared) {
                wake_next(state);
                let (time, again) = compute(&batch, shared);
                state = lock(&shared.state);
                state.finished(&batch, time);
                if state.closed {
                    fail(&again, &Failure::Closed);
                } else {
                    state.queue.put_back(batch.model, again);
                }
                continue;
            }
            let waiting = state.queue.len();
            if let Some(text) = state.queue.next_text(|job| job.wanted()) {
                wake_next(state);
                let windows = read(&text);
                state = lock(&shared.state);
                state.was_read(&text, &windows);
            } else if state.queue.len() == waiting {
                let this = std::thread::current();
                let id = this.id();
                state.idle.push(this);
                drop(state);
                std::thread::park();
                state = lock(&shared.state);
                // Whoever woke it has taken it out, unless nobody did: a thread may wake up by itself.
                state.idle.retain(|worker| worker.id() != id);
            } // else texts were dropped that nobody wanted, and a batch may have waited for them
        }
    }
}

/// There may be more to do than this worker now does.
fn wake_next(mut state: MutexGuard<'_, State>) {
    let sleepers = state.sleepers(1);
    drop(state);
    for worker in sleepers {
        worker.unpark();
    }
}

fn read(text: &Text<Arc<dyn Job>>) -> Vec<usize> {
    catch_unwind(AssertUnwindSafe(|| text.job.read())).unwrap_or_else(|_| {
        text.job.fail(panicked());
        Vec::new()
    })
}

/// Computes a batch and hands out what it gave: the time of the network if it ran to its end, and what has to be
/// computed again.
fn compute(batch: &Batch, shared: &Shared) -> (Option<Duration>, Vec<Sequence<Arc<dyn Job>>>) {
    let sequences = &batch.sequences;
    let cancelled = || !sequences.iter().any(|sequence| sequence.job.wanted());
    let windows: Vec<&Encoding> =
        sequences.iter().filter_map(|sequence| sequence.job.window(sequence.window)).collect();
    let started = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| batch.compute.compute(&windows, &cancelled)));
    let time = started.elapsed();
    match result {
        Ok(Ok(logits)) => {
            let tokens = windows.iter().map(|window| window.len()).sum();
            (shared.observer)(Batched { sequences: sequences.len(), tokens, time });
            for (sequence, logits) in sequences.iter().zip(logits) {
                let decode = || sequence.job.computed(sequence.window, logits, started, time);
                if catch_unwind(AssertUnwindSafe(decode)).is_err() {
                    sequence.job.fail(panicked());
                }
            }
            (Some(time), Vec::new())
        }
        // Somebody may have asked for one of them again in the meantime.
        Ok(Err(Error::Interrupted)) => {
            (None, sequences.iter().filter(|sequence| sequence.job.wanted()).cloned().collect())
        }
        // One sequence of several spoils a batch; which one, they tell alone.
        Ok(Err(_)) | Err(_) if sequences.len() > 1 => {
            (None, sequences.iter().map(|sequence| Sequence { alone: true, ..sequence.clone() }).collect())
        }
        Ok(Err(error)) => {
            fail(sequences, &Failure::Error(error));
            (None, Vec::new())
        }
        Err(_) => {
            fail(sequences, &panicked());
            (None, Vec::new())
        }
    }
}

fn fail(sequences: &[Sequence<Arc<dyn Job>>], failure: &Failure) {
    for sequence in sequences {
        sequence.job.fail(failure.clone());
    }
}

/// What a panic says could quote a user's text.
fn panicked() -> Failure {
    Failure::Error(Error::Backend("internal error".to_owned()))
}
