//! Slices in, slices out: the arithmetic between the matrix products, vectorised, in place.
//!
//! These are the safe functions: they check lengths, share rows out over the threads of the [`Pool`] they run in, and call the kernels of the instruction set that [`isa`] decided on. A row's result depends on that row alone:
//! neither other rows, nor the number of threads, nor where in memory it lies changes a bit of it. Between instruction
//! sets the last bits differ.
#![allow(
    clippy::inline_always,
    reason = "a kernel may use an instruction set only where it is inlined (arch/entry_points.rs)"
)]
#![cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    allow(dead_code, reason = "elsewhere the plain twins are all there is")
)]

use std::sync::Mutex;

mod activation;
mod arch;
mod attention;
mod bf16;
mod epilogue;
mod gemm;
#[cfg(all(test, unix))]
mod guard;
mod int8;
pub mod isa;
mod limits;
mod linear;
mod lstm;
mod micro;
mod norm;
mod packed;
mod pages;
mod place;
mod pool;
mod rotary;
mod runs;
mod softmax;
mod sync;
mod team;
#[cfg(target_arch = "x86_64")]
mod tiles;

pub use activation::Activation;
pub use attention::{Attention, Columns, PackedRows, Scores, Span, attention, cross_attention};
pub use isa::{Isa, IsaError};
pub use limits::{Limits, Yardstick};
pub use linear::{Scratch, gate_outputs, gate_row, gated, linear};
pub use lstm::{GATES, Inputs, Recurrence, lstm_row, lstm_step, lstm_units};
pub use norm::Norm;
pub use packed::Packed;
pub use pages::Pages;
pub use pool::{Pool, PoolError, map, parallel, threads};

/// Normalizes every row of `norm.weight.len()`.
///
/// # Panics
/// Unless `xs` is whole rows and weight and bias are of one length.
///
/// ```
/// use candlewick::kernels::{Norm, layer_norm};
///
/// let mut xs = [1.0, 3.0, 5.0, 5.0];
/// layer_norm(&mut xs, Norm { weight: &[1.0, 2.0], bias: &[0.0, 0.5], eps: 0.0625 });
/// assert!((xs[0] + 0.970_142_5).abs() < 1e-6 && (xs[1] - 2.440_285).abs() < 1e-6);
/// assert_eq!(xs[2..], [0.0, 0.5]);
/// ```
pub fn layer_norm(xs: &mut [f32], norm: Norm<'_>) {
    let kernels = isa::current().1;
    check_norm("layer_norm", xs, norm);
    share(xs, norm.width(), |_, rows| kernels.layer_norm(rows, norm));
}

/// The same from `xs` to `ys`.
///
/// # Panics
/// Unless `xs` is whole rows, `ys` as long, and weight and bias are of one length.
///
/// ```
/// use candlewick::kernels::{Norm, layer_norm_of};
///
/// let mut ys = [f32::NAN; 2];
/// layer_norm_of(&[5.0, 9.0], &mut ys, Norm { weight: &[1.0, 2.0], bias: &[0.0, 0.5], eps: 0.0 });
/// assert_eq!(ys, [-1.0, 2.5]);
/// ```
pub fn layer_norm_of(xs: &[f32], ys: &mut [f32], norm: Norm<'_>) {
    let kernels = isa::current().1;
    check_norm("layer_norm_of", ys, norm);
    assert_eq!(xs.len(), ys.len(), "layer_norm_of: xs and ys differ in length");
    share(ys, norm.width(), |start, rows| {
        // Row by row: what was copied is still near.
        for (row, x) in rows.chunks_exact_mut(norm.width()).zip(xs[start..].chunks_exact(norm.width())) {
            row.copy_from_slice(x);
            kernels.layer_norm(row, norm);
        }
    });
}

/// `update + bias + x` in place of `x`, rounded twice.
///
/// # Panics
/// Unless `xs` is whole rows as long as the bias, and `update` as long as `xs`.
///
/// ```
/// let mut xs = [1.0, 2.0, 3.0, 4.0];
/// candlewick::kernels::add(&mut xs, &[10.0, 10.0, 20.0, 20.0], &[0.5, 0.0]);
/// assert_eq!(xs, [11.5, 12.0, 23.5, 24.0]);
/// ```
pub fn add(xs: &mut [f32], update: &[f32], bias: &[f32]) {
    whole_rows("add", xs, bias.len());
    assert_eq!(update.len(), xs.len(), "add: the update and xs differ in length");
    share(xs, bias.len(), |start, rows| {
        for (row, update) in rows.chunks_exact_mut(bias.len()).zip(update[start..].chunks_exact(bias.len())) {
            for ((x, update), bias) in row.iter_mut().zip(update).zip(bias) {
                *x += update + bias;
            }
        }
    });
}

/// `norm(update + bias + x)` in place of `x`: what ends a block that gives `update`, and whose last linear layer has `bias`.
///
/// # Panics
/// Unless `xs` is whole rows, `update` as long as `xs`, and weight and both biases are of one length.
///
/// ```
/// use candlewick::kernels::{Norm, add_layer_norm};
///
/// let mut xs = [0.0, 1.0];
/// add_layer_norm(&mut xs, &[1.0, 4.0], &[2.0, 2.0], Norm { weight: &[1.0, 1.0], bias: &[0.0, 0.0], eps: 0.0 });
/// assert_eq!(xs, [-1.0, 1.0]);
/// ```
pub fn add_layer_norm(xs: &mut [f32], update: &[f32], bias: &[f32], norm: Norm<'_>) {
    let kernels = isa::current().1;
    check_norm("add_layer_norm", xs, norm);
    assert_eq!(bias.len(), norm.width(), "add_layer_norm: the bias and the norm differ in length");
    assert_eq!(update.len(), xs.len(), "add_layer_norm: the update and xs differ in length");
    share(xs, norm.width(), |start, rows| kernels.add_layer_norm(rows, &update[start..][..rows.len()], bias, norm));
}

/// `softmax(scale * x)` over every row of `cols`. A row of nothing but -inf, or with NaN or inf in it, becomes NaN, as
/// in the reference.
///
/// # Panics
/// Unless `xs` is whole rows.
///
/// ```
/// let mut xs = [0.0, 0.0, f32::NEG_INFINITY, 8.0];
/// candlewick::kernels::softmax(&mut xs, 2, 0.125);
/// assert_eq!(xs, [0.5, 0.5, 0.0, 1.0]);
/// ```
pub fn softmax(xs: &mut [f32], cols: usize, scale: f32) {
    let kernels = isa::current().1;
    whole_rows("softmax", xs, cols);
    assert!(scale > 0.0, "softmax: the scale {scale} is not positive");
    share(xs, cols, |_, rows| kernels.softmax(rows, cols, scale));
}

fn check_norm(name: &str, xs: &[f32], norm: Norm<'_>) {
    assert_eq!(norm.bias.len(), norm.width(), "{name}: weight and bias differ in length");
    whole_rows(name, xs, norm.width());
}

fn whole_rows(name: &str, xs: &[f32], width: usize) {
    assert!(xs.len().is_multiple_of(width), "{name}: {} elements are not rows of {width}", xs.len());
}

/// The least number of elements that is worth a thread: some 10 us of norm, softmax or GELU with AVX-512. Sharing costs
/// 2 to 4 us if the other threads are awake and 60 if they sleep; with two threads awake, 50,000 elements were the
/// break-even, and 200,000 of GELU took 0.6 of the time (EPYC, Zen 5, 2 cores).
const GRAIN: usize = 8 * 1024;

/// How many threads so many elements are worth, of those there are.
fn parts(elements: usize) -> usize {
    (elements / GRAIN).clamp(1, threads())
}

/// Calls `kernel` with runs of whole rows and where they start, on as many threads as there is work for.
fn share<N: Send>(xs: &mut [N], width: usize, kernel: impl Fn(usize, &mut [N]) + Sync) {
    if xs.is_empty() {
        return;
    }
    let parts = parts(xs.len());
    if parts == 1 {
        return kernel(0, xs);
    }
    let run = (xs.len() / width).div_ceil(parts) * width;
    let runs: Vec<_> = xs.chunks_mut(run).map(Mutex::new).collect();
    parallel(runs.len(), |index| {
        if let Ok(mut rows) = runs[index].lock() {
            kernel(index * run, &mut rows);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of either sign, no two rows alike.
    fn numbers(count: usize) -> Vec<f32> {
        (0..count).map(|index| (index * 7919 % 10_007) as f32 / 1_000.0 - 5.0).collect()
    }

    type Function<'a> = &'a dyn Fn(&mut [f32]);

    /// Every function on `xs`, rows of 96.
    fn results(xs: &[f32]) -> Vec<Vec<u32>> {
        let [weight, bias] = [1.5, -0.25].map(|by| numbers(96).into_iter().map(|x| x * by).collect::<Vec<_>>());
        let norm = Norm { weight: &weight, bias: &bias, eps: 1e-12 };
        let update: Vec<_> = xs.iter().map(|x| 1.0 - x * x).collect();
        let normalized = |xs: &mut [f32]| {
            let from = xs.to_vec();
            layer_norm_of(&from, xs, norm);
        };
        let functions: [Function<'_>; 5] = [
            &|xs| layer_norm(xs, norm),
            &normalized,
            &|xs| add(xs, &update, &bias),
            &|xs| add_layer_norm(xs, &update, &bias, norm),
            &|xs| softmax(xs, 96, 0.125),
        ];
        let bits = |function: Function<'_>| {
            let mut xs = xs.to_vec();
            function(&mut xs);
            xs.into_iter().map(f32::to_bits).collect()
        };
        functions.into_iter().map(bits).collect()
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        let xs = numbers(96 * 4 * GRAIN.div_ceil(96));
        let [one, two, three] = [1, 2, 3].map(|threads| {
            let pool = Pool::new(std::num::NonZeroUsize::new(threads));
            pool.run(None, &mut || false, |_| results(&xs)).unwrap()
        });
        assert!(one == two && two == three);
    }

    #[test]
    fn a_row_alone_has_the_bits_it_has_among_others() {
        let xs = numbers(96 * 5);
        let together = results(&xs);
        for (index, row) in xs.chunks(96).enumerate() {
            for (alone, together) in results(row).iter().zip(&together) {
                assert_eq!(alone[..], together[index * 96..][..96]);
            }
        }
    }

    #[test]
    fn no_rows_are_fine() {
        softmax(&mut [], 0, 1.0);
        layer_norm(&mut [], Norm { weight: &[], bias: &[], eps: 0.0 });
    }

    #[test]
    #[should_panic(expected = "layer_norm: 5 elements are not rows of 2")]
    fn a_part_of_a_row_panics() {
        layer_norm(&mut [0.0; 5], Norm { weight: &[1.0; 2], bias: &[0.0; 2], eps: 0.0 });
    }

    #[test]
    #[should_panic(expected = "softmax: 5 elements are not rows of 0")]
    fn rows_of_nothing_panic() {
        softmax(&mut [0.0; 5], 0, 1.0);
    }

    #[test]
    #[should_panic(expected = "add_layer_norm: the update and xs differ in length")]
    fn a_short_update_panics() {
        let norm = Norm { weight: &[1.0; 2], bias: &[0.0; 2], eps: 0.0 };
        add_layer_norm(&mut [0.0; 4], &[0.0; 2], &[0.0; 2], norm);
    }
}
