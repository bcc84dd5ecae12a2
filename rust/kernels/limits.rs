//! What this machine can do at most, measured: the yardstick for everything that is faster or slower.
//!
//! Where a machine is shared, that changes from one moment to the next: two processors of a virtual machine are at times
//! the two halves of one core, for a moment or for seconds, and then do as much as one. So a rate is comparable only with
//! what was timed in the same moments.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::linear::multiply;
use super::{Packed, Pool, PoolError, Scratch, parallel, threads};
use crate::types::Dtype;

/// Bytes that are read to measure memory: several times the largest cache that two cores have to themselves.
const BYTES: usize = 192 << 20;
/// Rows, inputs and outputs of a product that stays in the second-level cache.
const SHAPE: (usize, usize, usize) = (96, 1024, 512);
/// Products of a thread for each time that all of them meet.
const ROUNDS: usize = 4;
/// How long each figure is looked for in one measurement; the median of what was seen in it counts.
const LOOK: Duration = Duration::from_millis(15);
/// Measurements of which the best counts.
const MEASUREMENTS: usize = 8;

/// Measured on all threads of a budget at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Threads that worked.
    pub threads: usize,
    /// Bytes read from memory in a second.
    pub bandwidth: f64,
    /// Operations in a second, a multiplication and an addition being two, in products of float32.
    pub float32: f64,
    /// The same in products of bfloat16.
    pub bfloat16: f64,
    /// The same in products of int8.
    pub int8: f64,
}

impl Limits {
    /// Measures for less than a second: the best that was seen.
    ///
    /// # Errors
    /// [`PoolError`] when the threads could not be made.
    pub fn measure(budget: Option<NonZeroUsize>) -> Result<Self, PoolError> {
        let yardstick = Yardstick::new(budget);
        let mut best = yardstick.now()?;
        for _ in 1..MEASUREMENTS {
            best = best.or_better(&yardstick.now()?);
        }
        Ok(best)
    }

    fn or_better(&self, other: &Self) -> Self {
        Self {
            threads: self.threads,
            bandwidth: self.bandwidth.max(other.bandwidth),
            float32: self.float32.max(other.float32),
            bfloat16: self.bfloat16.max(other.bfloat16),
            int8: self.int8.max(other.int8),
        }
    }
}

/// Measures what the machine can do again and again: with other work in between, both are of the same moments.
#[derive(Debug)]
pub struct Yardstick {
    pool: Pool,
    words: Vec<u64>,
    /// Of float32, bfloat16 and int8.
    weights: [Packed; 3],
}

impl Yardstick {
    /// One for a budget of threads, as [`Pool::new`] takes it. It holds 196 MiB.
    pub fn new(budget: Option<NonZeroUsize>) -> Self {
        let (_, inputs, outputs) = SHAPE;
        let weights = [Dtype::Float32, Dtype::Bfloat16, Dtype::Int8].map(|dtype| {
            let fill = |_: usize, values: &mut [f32]| {
                values.fill(0.5);
                Ok::<_, std::convert::Infallible>(())
            };
            let Ok(packed) = Packed::pack(dtype, outputs, inputs, fill);
            packed
        });
        Self { pool: Pool::new(budget), words: vec![1; BYTES / size_of::<u64>()], weights }
    }

    /// Measures for about 90 ms: what is usual at this moment.
    ///
    /// # Errors
    /// [`PoolError`] when the threads could not be made.
    pub fn now(&self) -> Result<Limits, PoolError> {
        self.pool.run(None, &mut || false, |_| {
            let bandwidth = bandwidth(&self.words);
            let [float32, bfloat16, int8] = self.weights.each_ref().map(arithmetic);
            Limits { threads: threads(), bandwidth, float32, bfloat16, int8 }
        })
    }
}

fn bandwidth(words: &[u64]) -> f64 {
    let parts = threads();
    let part = words.len().div_ceil(parts);
    let usual = usual(|| {
        parallel(parts, |index| {
            // Several sums side by side, so that additions do not wait for each other.
            let sums = words.chunks(part).nth(index).unwrap_or_default().as_chunks::<16>().0.iter().fold(
                [0_u64; 16],
                |mut sums, chunk| {
                    for (sum, word) in sums.iter_mut().zip(chunk) {
                        *sum = sum.wrapping_add(*word);
                    }
                    sums
                },
            );
            black_box(sums);
        });
    });
    size_of_val(words) as f64 / usual
}

fn arithmetic(weights: &Packed) -> f64 {
    let (rows, inputs, outputs) = SHAPE;
    let (xs, mut scratch, parts) = (vec![0.25; rows * inputs], Scratch::default(), threads());
    let xs = scratch.narrow(&xs, weights);
    let results: Vec<_> = (0..parts).map(|_| Mutex::new(vec![0.0; rows * outputs])).collect();
    let usual = usual(|| {
        parallel(parts, |part| {
            let mut ys = results[part].lock().unwrap_or_else(PoisonError::into_inner);
            for _ in 0..ROUNDS {
                multiply(rows, &xs, weights, None, &mut ys);
            }
            black_box(&ys);
        });
    });
    (2 * ROUNDS * rows * inputs * outputs * parts) as f64 / usual
}

/// The median of as many runs as there is time for, in seconds. Memory was touched, and threads woken, before.
fn usual(work: impl Fn()) -> f64 {
    work();
    let begin = Instant::now();
    let mut times = Vec::new();
    while times.is_empty() || begin.elapsed() < LOOK {
        let start = Instant::now();
        work();
        times.push(start.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_plausible() {
        let limits = Limits::measure(NonZeroUsize::new(2)).unwrap();
        assert_eq!(limits.threads, 2);
        for figure in [limits.bandwidth, limits.float32, limits.bfloat16, limits.int8] {
            assert!((1e7..1e14).contains(&figure), "{limits:?}");
        }
    }

    #[test]
    fn the_best_is_the_best_of_each() {
        let first = Limits { threads: 2, bandwidth: 4.0, float32: 1.0, bfloat16: 2.0, int8: 5.0 };
        let second = Limits { threads: 2, bandwidth: 3.0, float32: 2.0, bfloat16: 1.0, int8: 6.0 };
        let best = Limits { threads: 2, bandwidth: 4.0, float32: 2.0, bfloat16: 2.0, int8: 6.0 };
        assert_eq!(first.or_better(&second), best);
    }
}
