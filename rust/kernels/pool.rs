//! Who computes: a budget of threads for each pipeline.
//!
//! A computation runs on the thread that asked for it, with the helpers of a [`Team`] as long as it is the only one. Of
//! several at once each has its own thread and no helper, which serves more of them in the same time; when there are as
//! many as the budget has threads, the next one waits. Nothing runs in a pool of the whole process, so two pipelines, or
//! another library, do not take each other's budget. Threads do not survive `fork`; a child builds its own at the first
//! call.

use std::any::Any;
use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::team::Team;

/// How often a caller that waits for its turn looks up (for Ctrl-C).
const LOOK_UP: Duration = Duration::from_millis(20);

/// Why a computation gave no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PoolError {
    /// The operating system gave no threads.
    Threads(String),
    /// The computation panicked.
    Panic(String),
    /// The caller wanted to stop before its turn came.
    Stopped,
}

/// Threads by budget, started when first asked for.
#[derive(Debug)]
pub struct Pool {
    default: NonZeroUsize,
    rests: bool,
    crews: ArcSwap<Vec<Arc<Crew>>>,
}

#[derive(Debug)]
struct Crew {
    pid: u32,
    threads: NonZeroUsize,
    team: Team,
    rests: bool,
    /// Computations that run.
    running: AtomicUsize,
    turn: Mutex<()>,
    free: Condvar,
}

thread_local! {
    /// Whose computation runs on this thread.
    static CREW: RefCell<Option<Arc<Crew>>> = const { RefCell::new(None) };
}

impl Pool {
    /// A pool whose calls use `threads` threads unless they say otherwise; `None` = what cgroup and affinity allow this
    /// process.
    pub fn new(threads: Option<NonZeroUsize>) -> Self {
        let default = threads.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
        Self { default, rests: false, crews: ArcSwap::default() }
    }

    /// The same for a process whose other threads have to run between two computations: helpers sleep at once when one
    /// ends, and do not spin for the next on a processor that an answer waits for.
    #[must_use]
    pub fn resting(mut self) -> Self {
        self.rests = true;
        self
    }

    /// The budget of a call that names none.
    pub fn threads(&self) -> NonZeroUsize {
        self.default
    }

    /// Runs `work` on this thread and up to `budget - 1` others; `stop` is asked every 20 ms while it waits for its
    /// turn.
    ///
    /// # Errors
    /// [`PoolError`] when the threads could not be made, `stop` said so, or `work` panicked; the pool stays usable.
    pub fn run<R>(
        &self,
        budget: Option<NonZeroUsize>,
        stop: &mut dyn FnMut() -> bool,
        work: impl FnOnce(&mut dyn FnMut() -> bool) -> R,
    ) -> Result<R, PoolError> {
        let crew = self.crew(budget.unwrap_or(self.default))?;
        crew.enter(stop)?;
        let _left_at_the_end = Entered { before: CREW.replace(Some(Arc::clone(&crew))), crew };
        catch_unwind(AssertUnwindSafe(|| work(stop))).map_err(|panic| PoolError::Panic(message(&*panic)))
    }

    /// The crew of this process for a budget.
    fn crew(&self, threads: NonZeroUsize) -> Result<Arc<Crew>, PoolError> {
        let pid = std::process::id();
        let mine = |crew: &&Arc<Crew>| crew.pid == pid && crew.threads == threads;
        if let Some(crew) = self.crews.load().iter().find(mine) {
            return Ok(Arc::clone(crew));
        }
        let team = Team::new(threads.get() - 1).map_err(|error| PoolError::Threads(error.to_string()))?;
        let (running, turn, free) = (AtomicUsize::new(0), Mutex::new(()), Condvar::new());
        let made = Arc::new(Crew { pid, threads, team, rests: self.rests, running, turn, free });
        let mut crew = Arc::clone(&made);
        let previous = self.crews.rcu(|crews| {
            let mut crews: Vec<_> = crews.iter().filter(|crew| crew.pid == pid).cloned().collect();
            // Another caller may have been faster: a budget has one crew, or more would run than it has threads.
            crew = Arc::clone(crews.iter().find(mine).unwrap_or(&made));
            if Arc::ptr_eq(&crew, &made) {
                crews.push(Arc::clone(&made));
            }
            crews
        });
        for foreign in previous.iter().filter(|crew| crew.pid != pid) {
            // Its threads are in another process, perhaps stopped while they held a lock: dropping it could wait for
            // ever.
            std::mem::forget(Arc::clone(foreign));
        }
        Ok(crew)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let pid = std::process::id();
        for foreign in self.crews.load().iter().filter(|crew| crew.pid != pid) {
            std::mem::forget(Arc::clone(foreign));
        }
    }
}

impl Crew {
    /// Waits for a turn.
    fn enter(&self, stop: &mut dyn FnMut() -> bool) -> Result<(), PoolError> {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        while self.running.load(Ordering::Relaxed) >= self.threads.get() {
            let (held, waited) = self.free.wait_timeout(turn, LOOK_UP).unwrap_or_else(PoisonError::into_inner);
            drop(held);
            if waited.timed_out() && stop() {
                return Err(PoolError::Stopped);
            }
            turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        }
        self.running.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// A computation that runs.
struct Entered {
    crew: Arc<Crew>,
    before: Option<Arc<Crew>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        CREW.set(self.before.take());
        let _turn = self.crew.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if self.crew.running.fetch_sub(1, Ordering::Relaxed) == 1 && self.crew.rests {
            self.crew.team.rest();
        }
        self.crew.free.notify_one();
    }
}

/// Threads that the computation on this thread may use now.
pub fn threads() -> usize {
    CREW.with_borrow(|crew| match crew {
        Some(crew) if crew.running.load(Ordering::Relaxed) <= 1 => crew.team.helpers() + 1,
        _ => 1,
    })
}

/// Calls `work` with every number below `count`, on as many threads as there are for it.
pub fn parallel(count: usize, work: impl Fn(usize) + Sync) {
    if count <= 1 || threads() == 1 {
        return (0..count).for_each(work);
    }
    let crew = CREW.with_borrow(Clone::clone);
    match crew {
        Some(crew) => crew.team.run(count, &work),
        None => (0..count).for_each(work),
    }
}

/// `work` of every number below `count`, in their order.
pub fn map<R: Send>(count: usize, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
    if count <= 1 || threads() == 1 {
        return (0..count).map(work).collect();
    }
    let results: Vec<Mutex<Option<R>>> = (0..count).map(|_| Mutex::new(None)).collect();
    parallel(count, |index| {
        let result = work(index);
        *results[index].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    });
    let result = |slot: Mutex<Option<R>>| slot.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.into_iter().filter_map(result).collect()
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("panic without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(threads: usize) -> Option<NonZeroUsize> {
        NonZeroUsize::new(threads)
    }

    fn run<R>(pool: &Pool, threads: Option<NonZeroUsize>, work: impl FnOnce() -> R) -> Result<R, PoolError> {
        pool.run(threads, &mut || false, |_| work())
    }

    #[test]
    fn work_has_as_many_threads_as_the_call_allows() {
        let pool = Pool::new(budget(3));
        assert_eq!(run(&pool, None, threads), Ok(3));
        assert_eq!(run(&pool, budget(1), threads), Ok(1));
        assert_eq!(run(&pool, budget(5), threads), Ok(5));
        assert_eq!(threads(), 1);
    }

    #[test]
    fn results_keep_their_order() {
        let pool = Pool::new(budget(3));
        let squares = run(&pool, None, || map(100, |index| index * index)).unwrap();
        assert_eq!(squares, (0..100).map(|index| index * index).collect::<Vec<_>>());
    }

    #[test]
    fn a_panic_is_an_error_and_the_pool_goes_on() {
        let pool = Pool::new(budget(2));
        let result = run(&pool, None, || parallel(9, |row| assert_ne!(row, 7, "row {row}")));
        assert!(matches!(result, Err(PoolError::Panic(message)) if message.contains("row 7")));
        assert_eq!(run(&pool, None, || 1), Ok(1));
    }

    #[test]
    fn of_several_callers_none_has_helpers_and_no_more_run_than_the_budget_has_threads() {
        let pool = Pool::new(budget(2));
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    run(&pool, None, || {
                        let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(5));
                        let alone = threads() == 2;
                        assert!(alone || inside.load(Ordering::SeqCst) <= 2);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    })
                    .unwrap();
                });
            }
        });
        assert_eq!(most.into_inner(), 2);
    }

    #[test]
    fn callers_that_come_first_together_share_one_crew() {
        for _ in 0..100 {
            let (pool, together) = (Pool::new(budget(2)), std::sync::Barrier::new(4));
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        together.wait();
                        run(&pool, None, || ()).unwrap();
                    });
                }
            });
            assert_eq!(pool.crews.load().len(), 1);
        }
    }

    #[test]
    fn who_waits_for_a_turn_can_give_up() {
        let pool = Pool::new(budget(1));
        let stopped = run(&pool, None, || {
            std::thread::scope(|scope| scope.spawn(|| pool.run(None, &mut || true, |_| ())).join().unwrap())
        });
        assert_eq!(stopped, Ok(Err(PoolError::Stopped)));
    }
}
