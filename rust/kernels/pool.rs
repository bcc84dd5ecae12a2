//! The worker threads of a pipeline.
//!
//! Each pipeline owns its threads: nothing runs in rayon's global pool, so two pipelines, or another library that uses
//! rayon, do not take each other's budget. Threads do not survive `fork`; a child builds its own at the first call.

use std::any::Any;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use arc_swap::ArcSwap;

/// How often a caller that waits for its result looks up (for Ctrl-C).
const LOOK_UP: Duration = Duration::from_millis(20);

/// Why a computation in the pool gave no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PoolError {
    /// The operating system gave no threads.
    Threads(String),
    /// The computation panicked.
    Panic(String),
}

/// Worker threads by budget, built when first asked for.
#[derive(Debug)]
pub struct Pool {
    default: NonZeroUsize,
    crews: ArcSwap<Vec<Arc<Crew>>>,
}

#[derive(Debug)]
struct Crew {
    pid: u32,
    threads: NonZeroUsize,
    pool: rayon::ThreadPool,
}

impl Pool {
    /// A pool whose calls use `threads` threads unless they say otherwise; `None` = what cgroup and affinity allow this
    /// process.
    pub fn new(threads: Option<NonZeroUsize>) -> Self {
        let default = threads.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
        Self { default, crews: ArcSwap::default() }
    }

    /// The budget of a call that names none.
    pub fn threads(&self) -> NonZeroUsize {
        self.default
    }

    /// Runs `work` on `budget` threads and waits for it; `watch` is called on the caller's thread every 20 ms
    /// meanwhile.
    ///
    /// # Errors
    /// [`PoolError`] when the threads could not be made or `work` panicked; the pool stays usable.
    pub fn run<R: Send>(
        &self,
        budget: Option<NonZeroUsize>,
        work: impl FnOnce() -> R + Send,
        mut watch: impl FnMut(),
    ) -> Result<R, PoolError> {
        let crew = self.crew(budget.unwrap_or(self.default))?;
        let (done, result) = mpsc::sync_channel(1);
        crew.pool.in_place_scope(|scope| {
            scope.spawn(move |_| {
                // The receiver outlives the scope, so sending can't fail.
                let _ = done.send(catch_unwind(AssertUnwindSafe(work)));
            });
            loop {
                match result.recv_timeout(LOOK_UP) {
                    Ok(result) => return result.map_err(|panic| PoolError::Panic(message(&*panic))),
                    Err(mpsc::RecvTimeoutError::Timeout) => watch(),
                    Err(mpsc::RecvTimeoutError::Disconnected) => {
                        return Err(PoolError::Panic("a worker thread ended".to_owned()));
                    }
                }
            }
        })
    }

    /// The crew of this process for a budget.
    fn crew(&self, threads: NonZeroUsize) -> Result<Arc<Crew>, PoolError> {
        let pid = std::process::id();
        let mine = |crew: &&Arc<Crew>| crew.pid == pid && crew.threads == threads;
        if let Some(crew) = self.crews.load().iter().find(mine) {
            return Ok(Arc::clone(crew));
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.get())
            .thread_name(|index| format!("candlewick-{index}"))
            .build()
            .map_err(|error| PoolError::Threads(error.to_string()))?;
        let crew = Arc::new(Crew { pid, threads, pool });
        let previous = self.crews.rcu(|crews| {
            let mut crews: Vec<_> = crews.iter().filter(|crew| crew.pid == pid).cloned().collect();
            crews.push(Arc::clone(&crew));
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

/// Threads that the current computation may use.
pub(super) fn threads() -> usize {
    rayon::current_num_threads()
}

/// Calls `work` with every number below `count`, on as many threads as the current computation has.
pub(super) fn parallel(count: usize, work: impl Fn(usize) + Sync) {
    let helpers = threads().min(count);
    if helpers <= 1 {
        return (0..count).for_each(work);
    }
    let next = AtomicUsize::new(0);
    let run = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return;
            }
            work(index);
        }
    };
    rayon::scope(|scope| {
        for _ in 1..helpers {
            scope.spawn(|_| run());
        }
        run();
    });
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("panic without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one() -> Option<NonZeroUsize> {
        NonZeroUsize::new(1)
    }

    #[test]
    fn work_runs_on_as_many_threads_as_the_call_allows() {
        let pool = Pool::new(NonZeroUsize::new(3));
        assert_eq!(pool.run(None, rayon::current_num_threads, || ()), Ok(3));
        assert_eq!(pool.run(one(), rayon::current_num_threads, || ()), Ok(1));
    }

    #[test]
    fn a_panic_is_an_error_and_the_pool_goes_on() {
        let pool = Pool::new(one());
        let result = pool.run(None, || -> () { panic!("row {}", 7) }, || ());
        assert_eq!(result, Err(PoolError::Panic("row 7".to_owned())));
        assert_eq!(pool.run(None, || 1, || ()), Ok(1));
    }

    #[test]
    fn the_caller_looks_up_while_it_waits() {
        let mut looks = 0;
        let pool = Pool::new(one());
        pool.run(None, || std::thread::sleep(5 * LOOK_UP), || looks += 1).unwrap();
        assert!(looks >= 2, "{looks}");
    }

    #[test]
    fn many_callers_share_one_crew() {
        let pool = Pool::new(NonZeroUsize::new(2));
        std::thread::scope(|scope| {
            for caller in 0..8 {
                let pool = &pool;
                scope.spawn(move || assert_eq!(pool.run(None, move || caller * caller, || ()), Ok(caller * caller)));
            }
        });
    }
}
