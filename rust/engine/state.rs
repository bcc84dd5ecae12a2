//! What the workers share behind one lock: the queue, what models cost, what runs, who sleeps.

use std::sync::Arc;
use std::thread::Thread;
use std::time::Duration;

use super::cost::Cost;
use super::job::{Failure, Job, Model};
use super::queue::{Estimate, Queue, Sequence, Text};
use super::{Refusal, Shared};
use crate::error::Result;
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

pub(super) type Jobs = Queue<Arc<dyn Job>>;

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
    pub(super) queue: Jobs,
    pub(super) models: Vec<(Arc<dyn Compute>, Cost)>,
    /// Model and units of batches that are being computed.
    running: Vec<(usize, usize)>,
    /// Workers that wait for work, the last one for the shortest time: its caches are still warm.
    pub(super) idle: Vec<Thread>,
    pub(super) closed: bool,
}

/// A batch on its way.
pub(super) struct Batch {
    pub(super) model: usize,
    pub(super) compute: Arc<dyn Compute>,
    pub(super) sequences: Vec<Sequence<Arc<dyn Job>>>,
    pub(super) units: usize,
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
    pub(super) fn batch(&mut self, shared: &Shared) -> Option<Batch> {
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
    pub(super) fn was_read(&mut self, text: &Text<Arc<dyn Job>>, windows: &[usize]) {
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

    pub(super) fn finished(&mut self, batch: &Batch, time: Option<Duration>) {
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
