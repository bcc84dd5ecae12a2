//! The parts of a job, a run of neighbours for each thread: whoever has done its own helps with the others'.
//!
//! A counter for all would come from another core for every part, which takes as long as a twentieth of the part (a panel
//! of weights and 32 rows). And as a thread knows what it does next, the weights of that can be on their way.

use super::sync::{AtomicUsize, Ordering};

pub(super) struct Runs(Box<[Run]>);

/// What is left of a thread's run; far enough from the next one for processors that fetch lines in pairs.
#[repr(align(128))]
struct Run {
    next: AtomicUsize,
    end: AtomicUsize,
}

impl Runs {
    /// Empty ones.
    pub(super) fn new(threads: usize) -> Self {
        Self((0..threads).map(|_| Run { next: AtomicUsize::new(0), end: AtomicUsize::new(0) }).collect())
    }

    /// Gives the numbers below `count` to the threads, one each to the first ones if they are fewer. Nobody works them off
    /// meanwhile.
    pub(super) fn share_out(&self, count: usize) {
        let threads = self.0.len().min(count).max(1);
        for (thread, run) in self.0.iter().enumerate() {
            let [next, end] = [thread, thread + 1].map(|thread| thread.min(threads) * count / threads);
            run.next.store(next, Ordering::Relaxed);
            run.end.store(end, Ordering::Relaxed);
        }
    }

    /// Works off parts until none is left, those of `thread` first.
    pub(super) fn work_off(&self, thread: usize, work: &(dyn Fn(usize) + Sync)) {
        let (before, from) = self.0.split_at(thread);
        for Run { next, end } in from.iter().chain(before) {
            let end = end.load(Ordering::Relaxed);
            // Looked at first: to count on takes the line away from its thread.
            while next.load(Ordering::Relaxed) < end {
                let part = next.fetch_add(1, Ordering::Relaxed);
                if part < end {
                    work(part);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_one_thread_and_runs_are_even() {
        for threads in 1..6 {
            for count in 0..20 {
                let runs = Runs::new(threads);
                runs.share_out(count);
                let bounds = |run: &Run| run.next.load(Ordering::Relaxed)..run.end.load(Ordering::Relaxed);
                let parts: Vec<usize> = runs.0.iter().flat_map(bounds).collect();
                assert_eq!(parts, (0..count).collect::<Vec<_>>());
                let lengths: Vec<usize> = runs.0.iter().map(|run| bounds(run).len()).collect();
                let busy = count.min(threads);
                assert!(lengths[..busy].iter().all(|&length| length == count / busy || length == count / busy + 1));
            }
        }
    }

    #[test]
    fn a_thread_begins_with_its_own_and_does_the_others_too() {
        let runs = Runs::new(3);
        for _ in 0..2 {
            runs.share_out(7);
            let done = std::sync::Mutex::new(Vec::new());
            runs.work_off(1, &|part| done.lock().unwrap().push(part));
            runs.work_off(0, &|_| panic!("there is none left"));
            assert_eq!(done.into_inner().unwrap(), [2, 3, 4, 5, 6, 0, 1]);
        }
    }
}
