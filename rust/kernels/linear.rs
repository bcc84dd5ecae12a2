//! Dense layers: rows are brought into the numbers of their weights, then multiplied on all threads there are.
#![allow(unsafe_code, reason = "threads share the output by columns")]

use std::sync::{Mutex, PoisonError};

use super::gemm::{Out, Product, stays};
use super::pages::Pages;
use super::{Activation, Packed, parallel, parts, threads, whole_rows};
use crate::types::Dtype;

/// Below so many rows a product waits for its weights.
const FEW: usize = 16;

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

/// Rows in the numbers of the weights.
pub(super) struct Narrow<'a> {
    cells: &'a [u32],
    factors: &'a [f32],
}

/// The product alone.
pub(super) fn multiply(
    rows: usize,
    xs: &Narrow<'_>,
    weights: &Packed,
    bias: Option<(&[f32], Activation)>,
    ys: &mut [f32],
) {
    let (panels, kernels) = (weights.panels(), weights.kernels());
    let (stride, out) = (panels.depth, Out::new(ys, panels.outputs));
    let (count, threads) = (panels.count(), threads());
    // Panel by panel shares out best. But few rows stream their weights, and many rows have to be read for several panels
    // at once: long runs, all of one length.
    let (parts, next) = if rows >= FEW && stays(rows, stride) {
        (count, threads)
    } else {
        let even = |parts: &usize| count.is_multiple_of(*parts) && parts.is_multiple_of(threads);
        ((2 * threads..count).find(even).unwrap_or(count), 1)
    };
    let Narrow { cells, factors } = *xs;
    let product = Product { rows, cells, stride, factors, weights: panels, next, bias, out };
    parallel(parts, |part| {
        // SAFETY: every panel is in one part.
        unsafe { kernels.multiply(&product, part * count / parts..(part + 1) * count / parts) };
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
