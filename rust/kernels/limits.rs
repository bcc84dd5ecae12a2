//! What this machine can do at most, measured: the yardstick for everything that is faster or slower.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use super::linear::multiply;
use super::{Packed, Pool, PoolError, Scratch, parallel, threads};
use crate::types::Dtype;

/// Bytes that are read to measure memory: several times the largest cache that two cores have to themselves.
const BYTES: usize = 192 << 20;
/// Rows, inputs and outputs of a product that stays in the second-level cache.
const SHAPE: (usize, usize, usize) = (96, 1024, 512);
/// Products for each time that the rows are prepared.
const ROUNDS: usize = 16;
/// How long each figure is looked for; the best of what was seen in it counts.
const LOOK: Duration = Duration::from_millis(150);

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
    /// Measures for about half a second.
    ///
    /// # Errors
    /// [`PoolError`] when the threads could not be made.
    pub fn measure(budget: Option<NonZeroUsize>) -> Result<Self, PoolError> {
        Pool::new(budget).run(None, &mut || false, |_| Self {
            threads: threads(),
            bandwidth: bandwidth(),
            float32: arithmetic(Dtype::Float32),
            bfloat16: arithmetic(Dtype::Bfloat16),
            int8: arithmetic(Dtype::Int8),
        })
    }
}

fn bandwidth() -> f64 {
    let words: Vec<u64> = vec![1; BYTES / size_of::<u64>()];
    let parts = threads();
    let part = words.len().div_ceil(parts);
    let best = shortest(|| {
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
    BYTES as f64 / best
}

fn arithmetic(dtype: Dtype) -> f64 {
    let (rows, inputs, outputs) = SHAPE;
    let fill = |_: usize, values: &mut [f32]| {
        values.fill(0.5);
        Ok::<_, std::convert::Infallible>(())
    };
    let Ok(weights) = Packed::pack(dtype, outputs, inputs, fill);
    let xs = vec![0.25; rows * inputs];
    let parts = threads();
    let best = shortest(|| {
        parallel(parts, |_| {
            let (mut ys, mut scratch) = (vec![0.0; rows * outputs], Scratch::default());
            let xs = scratch.narrow(&xs, &weights);
            for _ in 0..ROUNDS {
                multiply(rows, &xs, &weights, None, &mut ys);
            }
            black_box(ys);
        });
    });
    (2 * ROUNDS * rows * inputs * outputs * parts) as f64 / best
}

/// The shortest of as many runs as there is time for, in seconds.
fn shortest(work: impl Fn()) -> f64 {
    let begin = Instant::now();
    let mut best = f64::INFINITY;
    while best.is_infinite() || begin.elapsed() < LOOK {
        let start = Instant::now();
        work();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
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
}
