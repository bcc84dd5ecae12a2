//! Threads that help one caller at a time: fork and join in a few microseconds.
//!
//! The caller publishes a job and works on it itself; a helper that sees it open enters, works along and leaves. When no
//! part is left the caller closes the job and waits only for those that had entered: one that slept too long finds the
//! job closed and goes back to waiting. Helpers spin for a moment after their last job and then sleep.
#![allow(unsafe_code, reason = "a job lies on the caller's stack; the state says when nobody looks at it any more")]

use std::any::Any;
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::place;
use super::runs::Runs;
use super::sync::{Arc, AtomicBool, AtomicI32, AtomicU64, JoinHandle, Mutex, Ordering, Patience, PoisonError, thread};

/// The state's bit that says that the job may be entered; above it the jobs are counted.
const OPEN: u64 = 1 << 31;
/// The bit that says that no other job will come soon; below it the helpers inside are counted.
const REST: u64 = 1 << 30;
const INSIDE: u64 = REST - 1;
/// Everything but the number of the job.
const FLAGS: u64 = OPEN | REST | INSIDE;

/// The helpers of a caller.
#[derive(Debug)]
pub(super) struct Team {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
    /// Whether a caller is using them.
    taken: AtomicBool,
}

struct Shared {
    state: AtomicU64,
    job: UnsafeCell<*const Job<'static>>,
    /// The job's parts; the caller's come first.
    runs: Runs,
    /// For each helper whether it sleeps.
    asleep: Box<[AtomicBool]>,
    /// What the system calls each helper.
    ids: Box<[AtomicI32]>,
    ended: AtomicBool,
}

// SAFETY: `job` is written only by the caller that has `taken` the team, while the state is closed and nobody is inside;
// it is read only by helpers that are inside. What it points to is shared as `&Job`, which is `Sync`.
unsafe impl Sync for Shared {}
// SAFETY: as above; it owns nothing that is bound to a thread.
unsafe impl Send for Shared {}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shared({:x})", self.state.load(Ordering::Relaxed))
    }
}

struct Job<'a> {
    work: &'a (dyn Fn(usize) + Sync),
    count: usize,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Team {
    /// Starts `helpers` threads.
    pub(super) fn new(helpers: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            job: UnsafeCell::new(std::ptr::null()),
            runs: Runs::new(helpers + 1),
            asleep: (0..helpers).map(|_| AtomicBool::new(false)).collect(),
            ids: (0..helpers).map(|_| AtomicI32::new(0)).collect(),
            ended: AtomicBool::new(false),
        });
        let mut team = Self { shared, helpers: Vec::with_capacity(helpers), taken: AtomicBool::new(false) };
        for index in 0..helpers {
            let shared = Arc::clone(&team.shared);
            let named = thread::Builder::new().name(format!("candlewick-{index}"));
            team.helpers.push(named.spawn(move || shared.help(index))?); // on an error, `drop` ends the others
        }
        Ok(team)
    }

    /// Number of helpers.
    pub(super) fn helpers(&self) -> usize {
        self.helpers.len()
    }

    /// Calls `work` with every number below `count`, on this thread and on helpers if nobody else has them. A panic of
    /// any part is this call's.
    pub(super) fn run(&self, count: usize, work: &(dyn Fn(usize) + Sync)) {
        if count <= 1 || self.helpers.is_empty() || self.taken.swap(true, Ordering::Acquire) {
            return (0..count).for_each(work);
        }
        let job = Job { work, count, panic: Mutex::new(None) };
        {
            let _closed_at_the_end = self.open(&job);
            self.shared.runs.work_off(0, work);
        }
        if let Some(panic) = job.panic.into_inner().unwrap_or_else(PoisonError::into_inner) {
            resume_unwind(panic);
        }
    }

    /// Sends helpers to sleep that wait for the next job: whoever wants to run on their processors need not wait for
    /// them to lose patience.
    pub(super) fn rest(&self) {
        self.shared.state.fetch_or(REST, Ordering::Relaxed);
    }

    /// Lets helpers in; what is given back closes the job when it is dropped, also while a panic unwinds.
    fn open<'a>(&'a self, job: &'a Job<'a>) -> Opened<'a> {
        // SAFETY: only the lifetime changes. `Opened` waits for every helper before `job` can go.
        let erased = unsafe { std::mem::transmute::<&'a Job<'a>, &'static Job<'static>>(job) };
        self.shared.runs.share_out(job.count);
        // SAFETY: the team is taken by us, the state closed, and nobody inside.
        unsafe { *self.shared.job.get() = erased };
        let jobs = self.shared.state.load(Ordering::Relaxed) & !FLAGS;
        self.shared.state.store(jobs.wrapping_add(OPEN << 1) | OPEN, Ordering::SeqCst);
        let mut elsewhere = None;
        let sleepers = self.shared.asleep.iter().zip(&*self.shared.ids).zip(&self.helpers);
        for ((asleep, id), helper) in sleepers.take(job.count - 1) {
            if asleep.load(Ordering::SeqCst) && asleep.swap(false, Ordering::SeqCst) {
                elsewhere.get_or_insert_with(place::not_here).send(id.load(Ordering::Relaxed));
                helper.thread().unpark();
            }
        }
        Opened(self)
    }
}

struct Opened<'a>(&'a Team);

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        let shared = &self.0.shared;
        shared.state.fetch_and(!OPEN, Ordering::SeqCst);
        let mut patience = Patience::new();
        while shared.state.load(Ordering::Acquire) & INSIDE != 0 {
            patience.moment();
        }
        self.0.taken.store(false, Ordering::Release);
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        for helper in self.helpers.drain(..) {
            helper.thread().unpark();
            let _ = helper.join(); // panics were caught
        }
    }
}

impl Shared {
    /// The life of a helper.
    fn help(&self, index: usize) {
        self.ids[index].store(place::this_thread(), Ordering::Relaxed);
        let mut last = 0;
        while let Some(state) = self.wait(index, last) {
            if self.state.compare_exchange(state, state + 1, Ordering::SeqCst, Ordering::Relaxed).is_err() {
                continue;
            }
            last = state & !FLAGS;
            // SAFETY: we are inside of an open job, so its caller waits for us.
            let job = unsafe { &**self.job.get() };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.runs.work_off(index + 1, job.work))) {
                job.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
            }
            self.state.fetch_sub(1, Ordering::Release);
        }
    }

    /// The state with an open job that is not the `last` one; `None` when the team ends.
    fn wait(&self, index: usize, last: u64) -> Option<u64> {
        let mut patience = Patience::new();
        loop {
            let state = self.state.load(Ordering::SeqCst);
            if state & OPEN != 0 && state & !FLAGS != last {
                return Some(state);
            }
            if self.ended.load(Ordering::Relaxed) {
                return None;
            }
            if state & REST != 0 || patience.is_over() {
                // Whoever opens a job after this sees that we sleep; whoever did before is seen by us.
                self.asleep[index].store(true, Ordering::SeqCst);
                let state = self.state.load(Ordering::SeqCst);
                let wanted = state & OPEN != 0 && state & !FLAGS != last;
                if !wanted && !self.ended.load(Ordering::SeqCst) {
                    thread::park();
                }
                self.asleep[index].store(false, Ordering::SeqCst);
                patience = Patience::new();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn every_part_is_done_once() {
        let team = Team::new(3).unwrap();
        for count in [0, 1, 2, 3, 4, 100, 1_000] {
            for _ in 0..50 {
                let done: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
                team.run(count, &|part| {
                    done[part].fetch_add(1, Ordering::Relaxed);
                });
                assert!(done.iter().all(|done| done.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn helpers_that_sleep_are_woken() {
        let team = Team::new(1).unwrap();
        for _ in 0..20 {
            thread::sleep(Duration::from_micros(250));
            let (met, other) = (AtomicUsize::new(0), Instant::now());
            // Neither part ends before the other has begun.
            team.run(2, &|_| {
                met.fetch_add(1, Ordering::SeqCst);
                while met.load(Ordering::SeqCst) < 2 && other.elapsed() < Duration::from_secs(20) {
                    thread::yield_now();
                }
            });
            assert_eq!(met.into_inner(), 2);
        }
    }

    #[test]
    fn a_part_that_panics_is_the_callers_panic_and_the_team_goes_on() {
        let team = Team::new(2).unwrap();
        for part in 0..20 {
            let run = || team.run(20, &|index| assert_ne!(index, part, "part {index}"));
            let panic = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
            assert!(panic.downcast_ref::<String>().unwrap().contains(&format!("part {part}")));
        }
        team.run(4, &|_| ());
    }

    #[test]
    fn callers_and_parts_that_call_again_do_without_helpers() {
        let team = Team::new(2).unwrap();
        let sum = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        team.run(5, &|_| team.run(3, &|part| _ = sum.fetch_add(part, Ordering::Relaxed)));
                    }
                });
            }
        });
        assert_eq!(sum.into_inner(), 4 * 100 * 5 * 3);
    }
}
