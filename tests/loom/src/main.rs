//! `rust/kernels/team.rs` itself, with the parts that it shares out, over loom's threads and atomics: each case runs it in
//! every order of events that the memory model allows, with at most three switches that nobody asked for. A case that can
//! go wrong panics or never ends.
#![allow(clippy::unwrap_used, dead_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use team::Team;

/// What `rust/kernels/sync.rs` has, for loom.
mod sync {
    pub(super) use std::sync::PoisonError;

    pub(super) use loom::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};
    pub(super) use loom::sync::{Arc, Mutex};
    pub(super) use loom::thread::{self, JoinHandle};

    /// There is no time here: who waits lets the others go on, and sleeps at once where that is allowed.
    pub(super) struct Patience;

    impl Patience {
        pub(super) fn new() -> Self {
            Self
        }

        pub(super) fn is_over(&mut self) -> bool {
            true
        }

        pub(super) fn moment(&mut self) {
            thread::yield_now();
        }
    }
}

#[path = "../../../rust/kernels/place.rs"]
mod place;
#[path = "../../../rust/kernels/runs.rs"]
mod runs;
#[path = "../../../rust/kernels/team.rs"]
mod team;

fn main() {
    let cases: [(&str, fn()); 4] = [
        ("every part is done once and the team ends", every_part_is_done_once_and_the_team_ends),
        ("a second job finds helpers wherever they are", a_second_job_finds_helpers_wherever_they_are),
        ("two callers do not meet in one job", two_callers_do_not_meet_in_one_job),
        ("a panic of a part reaches the caller after all have left", a_panic_of_a_part_reaches_the_caller),
    ];
    for (name, case) in cases {
        case();
        println!("loom: {name}: ok");
    }
}

fn explore(work: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(work);
}

fn every_part_is_done_once_and_the_team_ends() {
    explore(|| {
        let team = Team::new(1).unwrap();
        let done = [const { AtomicUsize::new(0) }; 2];
        team.run(2, &|part| _ = done[part].fetch_add(1, Ordering::Relaxed));
        assert!(done.iter().all(|done| done.load(Ordering::Relaxed) == 1));
    });
}

fn a_second_job_finds_helpers_wherever_they_are() {
    explore(|| {
        let team = Team::new(1).unwrap();
        for _ in 0..2 {
            let done = AtomicUsize::new(0);
            team.run(2, &|_| _ = done.fetch_add(1, Ordering::Relaxed));
            assert_eq!(done.into_inner(), 2);
            team.rest();
        }
    });
}

fn two_callers_do_not_meet_in_one_job() {
    explore(|| {
        let team = loom::sync::Arc::new(Team::new(1).unwrap());
        let other = loom::sync::Arc::clone(&team);
        let caller = loom::thread::spawn(move || {
            let done = AtomicUsize::new(0);
            other.run(2, &|_| _ = done.fetch_add(1, Ordering::Relaxed));
            assert_eq!(done.into_inner(), 2);
        });
        let done = AtomicUsize::new(0);
        team.run(2, &|_| _ = done.fetch_add(1, Ordering::Relaxed));
        assert_eq!(done.into_inner(), 2);
        caller.join().unwrap();
    });
}

fn a_panic_of_a_part_reaches_the_caller() {
    // The panics that are meant to happen would print thousands of messages.
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    explore(|| {
        let team = Team::new(1).unwrap();
        let run = || team.run(2, &|part| assert_ne!(part, 1, "part"));
        assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    });
    std::panic::set_hook(loud);
}
