//! What the team's protocol stands on. `tests/loom` has the same names over loom's, and tries every order of events.

pub(super) use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};
pub(super) use std::sync::{Arc, Mutex, PoisonError};
pub(super) use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a helper looks for the next job before it sleeps: the gaps between two products of a forward pass are
/// shorter, and a process without work uses no processor after it.
const SPIN: Duration = Duration::from_micros(80);

/// How long somebody has been waiting.
pub(super) struct Patience {
    since: Instant,
    turns: u32,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), turns: 0 }
    }

    /// Waits a moment; whether that was long enough to sleep. The clock is asked now and then.
    pub(super) fn is_over(&mut self) -> bool {
        std::hint::spin_loop();
        self.turns += 1;
        self.turns.is_multiple_of(64) && self.since.elapsed() > SPIN
    }

    /// Waits a moment for somebody who will not be long; if the system has taken them off their core, they need ours.
    pub(super) fn moment(&mut self) {
        self.turns += 1;
        if self.turns.is_multiple_of(4096) { thread::yield_now() } else { std::hint::spin_loop() }
    }
}
