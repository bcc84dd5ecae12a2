//! Dense layers: rows are brought into the numbers of their weights, then multiplied on all threads there are.
#![allow(unsafe_code, reason = "threads share the output by columns")]

use std::sync::{Mutex, PoisonError};

use super::gemm::{Out, Product, stays};
use super::pages::Pages;
use super::{Activation, Packed, isa, parallel, parts, threads, whole_rows};
use crate::types::Dtype;

/// Rows that are enough for a thread alone. Where each has as many they share out the rows, and not only the panels: what one
/// has written, it reads again for the next product, from its own cache (0.984 of the time of 128 texts in int8, 0.98 of
/// 256 tokens, two threads, Zen 4; with 32 or 64 rows nothing was gained).
const OWN_ROWS: usize = 128;

/// Rows in the numbers of the weights, kept from product to product, as fresh memory costs more than writing to it.
#[derive(Debug, Default)]
pub struct Scratch {
    cells: Pages,
    factors: Vec<f32>,
}

/// `y = activation(x Wᵀ + bias)`: `xs [rows, inputs]` to `ys [rows, outputs]`; without a bias, the product alone.
///
/// # Panics
/// Unless `xs` and `ys` are whole rows, as many, and the bias has one value for each output.
///
/// ```
/// use candlewick::Dtype;
/// use candlewick::kernels::{Activation, Packed, Scratch, linear};
///
/// let rows = [[1.0, 2.0], [3.0, 4.0], [0.0, -1.0]];
/// let fill = |output: usize, values: &mut [f32]| Ok::<_, ()>(values.copy_from_slice(&rows[output]));
/// let weights = Packed::pack(Dtype::Float32, 3, 2, fill).unwrap();
/// let mut ys = [0.0; 3];
/// let bias = Some((&[0.5; 3][..], Activation::Relu));
/// linear(&[10.0, 1.0], &weights, bias, &mut ys, &mut Scratch::default());
/// assert_eq!(ys, [12.5, 34.5, 0.0]);
/// ```
pub fn linear(xs: &[f32], weights: &Packed, bias: Option<(&[f32], Activation)>, ys: &mut [f32], scratch: &mut Scratch) {
    let (inputs, outputs) = (weights.inputs(), weights.outputs());
    whole_rows("linear", xs, inputs);
    let rows = xs.len().checked_div(inputs).unwrap_or(0);
    assert_eq!(ys.len(), rows * outputs, "linear: the output has {} elements for {rows} rows", ys.len());
    assert!(bias.is_none_or(|(bias, _)| bias.len() == outputs), "linear: the bias and the weights differ in length");
    let cells = scratch.narrow(xs, weights);
    multiply(rows, &cells, weights, bias, ys);
}

/// `y = activation(a + bias) * (g + bias)`, where `[a, g]` are the halves of `x Wᵀ`, whose rows [`gate_row`] has put in
/// order: `xs [rows, inputs]` to `ys [rows, columns]`. The bias is in that order, too.
///
/// # Panics
/// Unless `xs` and `ys` are whole rows, as many, and weights and bias have [`gate_outputs`] of the columns.
pub fn gated(
    xs: &[f32],
    weights: &Packed,
    (bias, activation): (&[f32], Activation),
    columns: usize,
    ys: &mut [f32],
    scratch: &mut Scratch,
) {
    whole_rows("gated", xs, weights.inputs());
    let rows = xs.len() / weights.inputs();
    let expected = gate_outputs(columns);
    assert_eq!([weights.outputs(), bias.len()], [expected; 2], "gated: weights and bias are not of {columns} columns");
    assert_eq!(ys.len(), rows * columns, "gated: the output has {} elements for {rows} rows", ys.len());
    let cells = scratch.narrow(xs, weights);
    share_out(rows, &cells, weights, Some((bias, activation)), Out::new(ys, columns), true);
}

/// Outputs of a product whose halves of `half` rows are gated: whole panels, each half of the one and half of the other.
pub fn gate_outputs(half: usize) -> usize {
    2 * half.next_multiple_of(isa::current().1.panel_width() / 2)
}

/// The row of `W [2 * half, inputs]` that is such an output; none = it is there to fill a panel.
pub fn gate_row(half: usize, output: usize) -> Option<usize> {
    let width = isa::current().1.panel_width();
    let (panel, at) = (output / width, output % width);
    let column = panel * (width / 2) + at % (width / 2);
    (column < half).then_some(if at < width / 2 { column } else { half + column })
}

/// Rows in the numbers of the weights.
pub(super) struct Narrow<'a> {
    pub(super) cells: &'a [u32],
    pub(super) factors: &'a [f32],
}

/// The product alone.
pub(super) fn multiply(
    rows: usize,
    xs: &Narrow<'_>,
    weights: &Packed,
    bias: Option<(&[f32], Activation)>,
    ys: &mut [f32],
) {
    share_out(rows, xs, weights, bias, Out::new(ys, weights.outputs()), false);
}

fn share_out(
    rows: usize,
    xs: &Narrow<'_>,
    weights: &Packed,
    bias: Option<(&[f32], Activation)>,
    out: Out<'_>,
    gated: bool,
) {
    let (panels, kernels) = (weights.panels(), weights.kernels());
    let (stride, count, threads) = (panels.depth, panels.count(), threads());
    let groups = (rows / OWN_ROWS).clamp(1, threads);
    // Panel by panel shares out best. But many rows have to be read for several panels at once: long runs, all of one
    // length.
    let runs = if stays(rows.div_ceil(groups), stride) {
        count
    } else {
        let of_a_group = threads.div_ceil(groups);
        let even = |runs: &usize| count.is_multiple_of(*runs) && runs.is_multiple_of(of_a_group);
        (2 * of_a_group..count).find(even).unwrap_or(count)
    };
    let Narrow { cells, factors } = *xs;
    let product = Product { rows, cells, stride, factors, weights: panels, bias, gated, out };
    parallel(groups * runs, |part| {
        let (group, run) = (part / runs, part % runs);
        let product = product.of(group * rows / groups..(group + 1) * rows / groups);
        // SAFETY: every panel of every group is in one part.
        unsafe { kernels.multiply(&product, run * count / runs..(run + 1) * count / runs) };
    });
}

impl Scratch {
    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        (self.cells.count() + self.factors.capacity()) * size_of::<u32>()
    }

    /// Brings rows into the numbers of `weights`; f32 are cells as they are.
    pub(super) fn narrow<'a>(&'a mut self, xs: &'a [f32], weights: &Packed) -> Narrow<'a> {
        if weights.dtype() == Dtype::Float32 {
            return Narrow { cells: bytemuck::cast_slice(xs), factors: &[] };
        }
        let (inputs, depth) = (weights.inputs(), weights.panels().depth);
        let rows = xs.len() / inputs;
        let cells = self.cells.first(rows * depth);
        self.factors.resize(rows, 0.0);
        let run = rows.div_ceil(parts(xs.len())).max(1);
        let runs = xs.chunks(run * inputs).zip(cells.chunks_mut(run * depth)).zip(self.factors.chunks_mut(run));
        let runs: Vec<_> = runs.map(Mutex::new).collect();
        parallel(runs.len(), |index| {
            let mut run = runs[index].lock().unwrap_or_else(PoisonError::into_inner);
            let ((xs, cells), factors) = &mut *run;
            match weights.dtype() {
                Dtype::Int8 => weights.kernels().quantize(xs, inputs, cells, factors),
                _ => weights.kernels().narrow(xs, inputs, inputs, cells),
            }
        });
        drop(runs);
        Narrow { cells, factors: &self.factors }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::kernels::Pool;

    const DTYPES: [Dtype; 3] = [Dtype::Float32, Dtype::Bfloat16, Dtype::Int8];

    fn numbers(seed: usize, count: usize) -> Vec<f32> {
        (0..count).map(|at| ((at * 7_919 + seed * 104_729) % 10_007) as f32 / 5_003.5 - 1.0).collect()
    }

    #[test]
    fn halves_are_gated_as_if_one_after_the_other() {
        let inputs = 70;
        for (dtype, half) in DTYPES.into_iter().flat_map(|dtype| [1, 8, 20, 33, 64, 100].map(|half| (dtype, half))) {
            let (w, bias) = (numbers(1, 2 * half * inputs), numbers(2, 2 * half));
            let pack = |outputs: usize, row_of: &(dyn Fn(usize) -> Option<usize> + Sync)| {
                let fill = |output: usize, values: &mut [f32]| {
                    match row_of(output) {
                        Some(row) => values.copy_from_slice(&w[row * inputs..][..inputs]),
                        None => values.fill(0.0),
                    }
                    Ok::<_, ()>(())
                };
                Packed::pack(dtype, outputs, inputs, fill).unwrap()
            };
            let plain = pack(2 * half, &Some);
            let ordered = pack(gate_outputs(half), &|output| gate_row(half, output));
            let of_output = |output| gate_row(half, output).map_or(0.0, |row| bias[row]);
            let ordered_bias: Vec<f32> = (0..gate_outputs(half)).map(of_output).collect();
            for rows in [1, 5, 40] {
                let (xs, mut scratch) = (numbers(3, rows * inputs), Scratch::default());
                let mut ys = vec![f32::NAN; rows * half];
                gated(&xs, &ordered, (&ordered_bias, Activation::Silu), half, &mut ys, &mut scratch);
                let mut whole = vec![f32::NAN; rows * 2 * half];
                linear(&xs, &plain, Some((&bias, Activation::Linear)), &mut whole, &mut scratch);
                for (ys, whole) in ys.chunks(half).zip(whole.chunks_mut(2 * half)) {
                    let (activated, gates) = whole.split_at_mut(half);
                    isa::current().1.activate(activated, Activation::Silu);
                    let expected: Vec<f32> = activated.iter().zip(gates).map(|(a, gate)| *a * *gate).collect();
                    assert_eq!(ys, expected, "{dtype}, {half} columns, {rows} rows");
                }
            }
        }
    }

    #[test]
    fn rows_are_the_same_on_several_threads() {
        let (inputs, outputs) = (1_100, 200);
        let (w, bias) = (numbers(1, outputs * inputs), numbers(2, outputs));
        for dtype in DTYPES {
            let fill = |output: usize, values: &mut [f32]| {
                values.copy_from_slice(&w[output * inputs..][..inputs]);
                Ok::<_, ()>(())
            };
            let weights = Packed::pack(dtype, outputs, inputs, fill).unwrap();
            for rows in [OWN_ROWS - 1, OWN_ROWS, 2 * OWN_ROWS + 1, 4 * OWN_ROWS - 1] {
                let xs = numbers(3, rows * inputs);
                let product = |threads| {
                    let (mut ys, mut scratch) = (vec![f32::NAN; rows * outputs], Scratch::default());
                    let bias = Some((&bias[..], Activation::Gelu));
                    let pool = Pool::new(NonZeroUsize::new(threads));
                    pool.run(None, &mut || false, |_| linear(&xs, &weights, bias, &mut ys, &mut scratch)).unwrap();
                    ys
                };
                let alone = product(1);
                assert!([2, 3, 5].iter().all(|&threads| product(threads) == alone), "{dtype}, {rows} rows");
            }
        }
    }

    #[test]
    fn every_row_has_one_place() {
        for half in [1, 7, 32, 70] {
            let mut rows: Vec<_> = (0..gate_outputs(half)).filter_map(|output| gate_row(half, output)).collect();
            rows.sort_unstable();
            assert_eq!(rows, (0..2 * half).collect::<Vec<_>>());
        }
    }

    #[test]
    #[should_panic(expected = "weights and bias are not of 9 columns")]
    fn other_weights_panic() {
        let Ok(weights) = Packed::pack(Dtype::Float32, 9, 2, |_, _| Ok::<_, std::convert::Infallible>(()));
        gated(&[0.0; 2], &weights, (&[0.0; 9], Activation::Relu), 9, &mut [0.0; 9], &mut Scratch::default());
    }
}
