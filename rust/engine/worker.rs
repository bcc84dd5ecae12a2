//! The threads that read and compute.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use super::job::{Failure, Job, lock};
use super::queue::{Sequence, Text};
use super::state::{Batch, State};
use super::{Batched, Shared};
use crate::error::Error;
use crate::types::Encoding;

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
