//! How long until a model answers: from bytes that are still to come, and what bytes took so far.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is taken for a rate before anything was measured, in bytes a second: an ordinary line, and a float32 BERT-base
/// being packed in less than a second.
const ASSUMED: Rates = Rates { download: 20e6, load: 500e6 };

/// Bytes a second.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rates {
    download: f64,
    load: f64,
}

/// What the models of a server have taken so far, for those that are still to come.
#[derive(Debug)]
pub(super) struct Measured(Mutex<Rates>);

impl Default for Measured {
    fn default() -> Self {
        Self(Mutex::new(ASSUMED))
    }
}

/// How far a model is.
#[derive(Debug)]
pub struct Progress {
    step: Mutex<Step>,
    measured: Arc<Measured>,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Nothing is known of it.
    Waiting,
    /// What was here in the beginning says nothing about the line.
    Downloading {
        since: Instant,
        first: u64,
        done: u64,
        total: u64,
    },
    Loading {
        since: Instant,
        bytes: u64,
    },
    /// It is ready, or never will be.
    Over,
}

impl Progress {
    pub(super) fn new(measured: &Arc<Measured>) -> Self {
        Self { step: Mutex::new(Step::Waiting), measured: Arc::clone(measured) }
    }

    /// A download, by the bytes that it is about and those that are here.
    pub fn downloaded(&self, total: u64, done: u64) {
        let mut step = lock(&self.step);
        let (since, first) = match *step {
            Step::Downloading { since, first, .. } => (since, first),
            _ => (Instant::now(), done),
        };
        *step = Step::Downloading { since, first, done: done.min(total), total };
    }

    /// So many bytes are read and packed from now on.
    pub(super) fn loading(&self, bytes: u64) {
        self.enter(Step::Loading { since: Instant::now(), bytes }, true);
    }

    /// All is done; nothing can be learned from what failed.
    pub(super) fn over(&self, well: bool) {
        self.enter(Step::Over, well);
    }

    /// The next step; the one that ends may be learned from.
    fn enter(&self, next: Step, learn: bool) {
        let ended = std::mem::replace(&mut *lock(&self.step), next);
        if learn {
            self.measure(&ended, Instant::now());
        }
    }

    /// Takes note of the rate of a step at a time.
    fn measure(&self, step: &Step, now: Instant) {
        let mut rates = lock(&self.measured.0);
        let (rate, bytes, since) = match *step {
            Step::Downloading { since, first, done, .. } => (&mut rates.download, done.saturating_sub(first), since),
            Step::Loading { since, bytes } => (&mut rates.load, bytes, since),
            Step::Waiting | Step::Over => return,
        };
        let seconds = now.saturating_duration_since(since).as_secs_f64();
        if bytes > 0 && seconds > 0.0 {
            *rate = bytes as f64 / seconds;
        }
    }

    /// What it will still take. A line that has gone quiet becomes slower from look to look.
    pub(super) fn left(&self) -> Duration {
        let (step, now) = (*lock(&self.step), Instant::now());
        if let Step::Downloading { .. } = step {
            self.measure(&step, now);
        }
        Duration::from_secs_f64(seconds(step, *lock(&self.measured.0), now))
    }
}

fn seconds(step: Step, rates: Rates, now: Instant) -> f64 {
    match step {
        Step::Waiting | Step::Over => 0.0,
        // All that comes has to be loaded, too.
        Step::Downloading { done, total, .. } => (total - done) as f64 / rates.download + total as f64 / rates.load,
        Step::Loading { since, bytes } => {
            let elapsed = now.saturating_duration_since(since).as_secs_f64();
            // What takes longer than was thought will not be over in a moment.
            (bytes as f64 / rates.load - elapsed).max(elapsed / 10.0)
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEGABYTE: u64 = 1_000_000;

    /// Seconds that are left of a step so many seconds after it began.
    fn left(step: impl Fn(Instant) -> Step, rates: Rates, elapsed: u64) -> f64 {
        let since = Instant::now();
        seconds(step(since), rates, since + Duration::from_secs(elapsed))
    }

    #[test]
    fn nothing_measured_is_assumed() {
        let download = |since| Step::Downloading { since, first: 0, done: 0, total: 500 * MEGABYTE };
        assert_eq!(left(download, ASSUMED, 0), 25.0 + 1.0);
        assert_eq!(left(|since| Step::Loading { since, bytes: 1_000 * MEGABYTE }, ASSUMED, 1), 1.0);
    }

    #[test]
    fn what_takes_longer_than_thought_is_not_over_in_a_moment() {
        assert_eq!(left(|since| Step::Loading { since, bytes: 500 * MEGABYTE }, ASSUMED, 20), 2.0);
    }

    #[test]
    fn rates_are_what_steps_took_and_serve_the_next_model() {
        let measured = Arc::new(Measured::default());
        let (first, second) = (Progress::new(&measured), Progress::new(&measured));
        assert_eq!(first.left(), Duration::ZERO);
        let since = Instant::now();
        let after = |seconds| since + Duration::from_secs(seconds);
        // What was here in the beginning came from elsewhere.
        let half = Step::Downloading { since, first: 20 * MEGABYTE, done: 60 * MEGABYTE, total: 100 * MEGABYTE };
        first.measure(&half, after(10));
        first.measure(&Step::Loading { since, bytes: 100 * MEGABYTE }, after(2));
        let rates = Rates { download: 4e6, load: 50e6 };
        assert_eq!(*lock(&second.measured.0), rates);
        assert_eq!(seconds(half, rates, after(10)), 10.0 + 2.0);
    }

    #[test]
    fn a_failure_teaches_nothing() {
        let measured = Arc::new(Measured::default());
        let progress = Progress::new(&measured);
        progress.loading(MEGABYTE);
        progress.over(false);
        assert_eq!(progress.left(), Duration::ZERO);
        assert_eq!(*lock(&measured.0), ASSUMED);
    }
}
