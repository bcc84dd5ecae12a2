//! One step of recurrent layers of long short-term memory: products and gates together.
//!
//! `i, f, g, o = W h + x` and then `c = sigmoid(f) c + sigmoid(i) tanh(g)`, `h = sigmoid(o) tanh(c)`, with torch's order of
//! the gates. Weights lie in *blocks* of four panels, the gates of as many units as a panel has outputs:
//!
//! ```text
//! block 0: [ i of units 0..64 | f of 0..64 | g of 0..64 | o of 0..64 ]   block 1: [ i of 64..128 | … ]
//! ```
//!
//! Whoever has multiplied a block has all that its units need, while it is in the cache: one fork and join for a step,
//! and the weights are read once for all sequences of all layers. With one sequence that is all there is to do: a step of
//! 2,048 units waits for 67 MB in float32.
#![allow(unsafe_code, reason = "threads share the states by columns")]

use std::ops::Range;

use super::arch::{Kernels, Vector, math};
use super::gemm::{Out, Product};
use super::linear::Narrow;
use super::{Packed, Scratch, isa, parallel};

/// Gates of a unit.
pub const GATES: usize = 4;

/// Units of a layer with those that fill up its last block: their gates' inputs are 0, and so they stay 0.
pub fn lstm_units(hidden: usize) -> usize {
    hidden.next_multiple_of(isa::current().1.panel_width())
}

/// Which row of torch's `[4 * hidden, …]` stands at each place of a packed matrix or of a row of inputs; there are
/// `4 * lstm_units(hidden)`, and none at those that fill up.
pub fn lstm_row(place: usize, hidden: usize) -> Option<usize> {
    let width = isa::current().1.panel_width();
    let (panel, inside) = (place / width, place % width);
    let unit = panel / GATES * width + inside;
    (unit < hidden).then_some(panel % GATES * hidden + unit)
}

/// A layer on its way over sequences, in one direction.
pub struct Recurrence<'a> {
    /// `[4 * units, units]`, in blocks.
    weights: &'a Packed,
    inputs: Inputs<'a>,
    states: Vec<f32>,
    next: Vec<f32>,
    cells: Vec<f32>,
    gates: Vec<f32>,
    scratch: Scratch,
}

/// What comes to the gates from outside: rows of `stride` numbers, of which those from `first` on are the layer's.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// The rows.
    pub values: &'a [f32],
    /// Numbers from one row to the next.
    pub stride: usize,
    /// Where in a row the layer's own begin.
    pub first: usize,
}

impl<'a> Recurrence<'a> {
    /// Before the first step of so many sequences.
    ///
    /// # Panics
    /// Unless the weights are of four gates, in whole blocks.
    pub fn new(weights: &'a Packed, inputs: Inputs<'a>, sequences: usize) -> Self {
        let units = weights.inputs();
        let width = weights.kernels().panel_width();
        assert!(weights.outputs() == GATES * units && units.is_multiple_of(width), "lstm: {weights:?} are no blocks");
        assert!(inputs.first + GATES * units <= inputs.stride, "lstm: rows of inputs are too short");
        let [states, next, cells] = [(); 3].map(|()| vec![0.0; sequences * units]);
        let gates = vec![0.0; sequences * GATES * units];
        Self { weights, inputs, states, next, cells, gates, scratch: Scratch::default() }
    }

    /// The state of a sequence, with the units that fill up.
    pub fn state(&self, sequence: usize) -> &[f32] {
        let units = self.weights.inputs();
        &self.states[sequence * units..][..units]
    }

    fn step<'s>(&'s mut self, rows: &'s [u32]) -> Step<'s> {
        let Self { weights, inputs, states, next, cells, gates, scratch } = self;
        let weights = *weights;
        let (panels, units, kernels) = (weights.panels(), weights.inputs(), weights.kernels());
        let last = rows.iter().max().map_or(0, |&row| (row as usize + 1) * inputs.stride);
        assert!(rows.len() * units <= states.len() && last <= inputs.values.len(), "lstm: too many sequences or rows");
        let Narrow { cells: xs, factors } = scratch.narrow(&states[..rows.len() * units], weights);
        let product = Product {
            rows: rows.len(),
            cells: xs,
            stride: panels.depth,
            factors,
            weights: panels,
            bias: None,
            gated: false,
            out: Out::new(gates, GATES * units),
        };
        let (cells, next) = (Out::new(cells, units), Out::new(next, units));
        Step { product, kernels, rows, inputs: *inputs, cells, next }
    }
}

/// A step of one layer, to be shared out by blocks.
struct Step<'s> {
    product: Product<'s>,
    kernels: &'static dyn Kernels,
    rows: &'s [u32],
    inputs: Inputs<'s>,
    cells: Out<'s>,
    next: Out<'s>,
}

impl Step<'_> {
    fn blocks(&self) -> usize {
        if self.rows.is_empty() { 0 } else { self.product.weights.count() / GATES }
    }

    /// # Safety
    /// - Nobody else computes this block.
    unsafe fn block(&self, block: usize) {
        let width = self.product.weights.width;
        let (first, gates) = (block * width, block * width * GATES..(block + 1) * width * GATES);
        // SAFETY: the block's panels and units are the caller's alone; each slice is gone before the next one is made.
        unsafe {
            self.kernels.multiply(&self.product, block * GATES..(block + 1) * GATES);
            for (sequence, &row) in self.rows.iter().enumerate() {
                let start = row as usize * self.inputs.stride + self.inputs.first;
                let inputs = &self.inputs.values[start..][gates.clone()];
                let sums = self.product.out.row(sequence, gates.start, gates.len());
                let (cells, states) = (self.cells.row(sequence, first, width), self.next.row(sequence, first, width));
                self.kernels.lstm_gates(sums, inputs, cells, states);
            }
        }
    }
}

/// One step of layers side by side: for each, the rows of inputs of its first sequences; the others have ended.
///
/// # Panics
/// When a layer has fewer sequences or rows of inputs than are asked for.
pub fn lstm_step(layers: &mut [Recurrence<'_>], rows: &[Vec<u32>]) {
    let steps: Vec<Step<'_>> = layers.iter_mut().zip(rows).map(|(layer, rows)| layer.step(rows)).collect();
    let mut end = 0;
    let blocks: Vec<Range<usize>> = steps
        .iter()
        .map(|step| {
            let start = end;
            end += step.blocks();
            start..end
        })
        .collect();
    parallel(end, |part| {
        for (step, blocks) in steps.iter().zip(&blocks).filter(|(_, blocks)| blocks.contains(&part)) {
            // SAFETY: every block is in one part.
            unsafe { step.block(part - blocks.start) };
        }
    });
    drop(steps);
    for layer in layers {
        std::mem::swap(&mut layer.states, &mut layer.next);
    }
}

/// The units of a block: gates are `sums + inputs`, four rows of as many as there are cells, which are whole vectors.
#[inline(always)]
pub(super) fn gates<V: Vector>(isa: V::Isa, sums: &[f32], inputs: &[f32], cells: &mut [f32], states: &mut [f32]) {
    let width = cells.len();
    for first in (0..width).step_by(V::LANES) {
        let mut gates = [V::splat(isa, 0.0); GATES];
        for (gate, at) in gates.iter_mut().zip((first..).step_by(width)) {
            *gate = V::load(isa, &sums[at..][..V::LANES]) + V::load(isa, &inputs[at..][..V::LANES]);
        }
        let [input, forget, candidate, output] = gates;
        let cell = V::load(isa, &cells[first..][..V::LANES]) * math::sigmoid(forget);
        let cell = math::sigmoid(input).mul_add(math::tanh(candidate), cell);
        cell.store(&mut cells[first..][..V::LANES]);
        (math::sigmoid(output) * math::tanh(cell)).store(&mut states[first..][..V::LANES]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Pool;
    use crate::kernels::arch::twins;
    use crate::types::Dtype;

    fn numbers(seed: usize, count: usize) -> Vec<f32> {
        (0..count).map(|at| ((at * 7_919 + seed * 104_729) % 10_007) as f32 / 5_003.5 - 1.0).collect()
    }

    #[test]
    fn every_instruction_set_has_the_gates_of_the_twin() {
        let (twin, others) = twins();
        for (isa, kernels) in others {
            let width = kernels.panel_width();
            let (sums, inputs, cells) = (numbers(1, 4 * width), numbers(2, 4 * width), numbers(3, width));
            let run = |kernels: &dyn Kernels| {
                let (mut cells, mut states) = (cells.clone(), vec![0.0; width]);
                let sums: Vec<f32> = sums.iter().map(|sum| sum * 6.0).collect();
                kernels.lstm_gates(&sums, &inputs, &mut cells, &mut states);
                [cells, states].concat()
            };
            for (got, expected) in run(kernels).iter().zip(run(twin)) {
                assert!((got - expected).abs() < 4e-7, "{isa}: {got}, not {expected}");
            }
        }
    }

    /// The definition in f64: the last state.
    fn exact(weights: &[f32], inputs: &[f32], hidden: usize, steps: &[usize]) -> Vec<f64> {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let (mut state, mut cell) = (vec![0.0; hidden], vec![0.0; hidden]);
        for &row in steps {
            let gate = |at: usize| {
                let terms = weights[at * hidden..][..hidden].iter().zip(&state).map(|(w, h)| f64::from(*w) * h);
                terms.sum::<f64>() + f64::from(inputs[row * 4 * hidden + at])
            };
            let gates: Vec<f64> = (0..4 * hidden).map(gate).collect();
            for (unit, (cell, state)) in cell.iter_mut().zip(&mut state).enumerate() {
                let [i, f, g, o] = [0, 1, 2, 3].map(|gate| gates[gate * hidden + unit]);
                *cell = sigmoid(f) * *cell + sigmoid(i) * g.tanh();
                *state = sigmoid(o) * cell.tanh();
            }
        }
        state
    }

    #[test]
    fn steps_are_the_definition_alone_and_together_on_any_number_of_threads() {
        let (hidden, rows) = (70, 5);
        let units = lstm_units(hidden);
        let weights: Vec<f32> = numbers(1, 4 * hidden * hidden).iter().map(|weight| weight * 0.3).collect();
        let plain = numbers(2, rows * 4 * hidden);
        let mut inputs = vec![0.0; rows * 4 * units];
        for (at, input) in inputs.iter_mut().enumerate() {
            let row = lstm_row(at % (4 * units), hidden);
            *input = row.map_or(0.0, |row| plain[at / (4 * units) * 4 * hidden + row]);
        }
        let fill = |place: usize, values: &mut [f32]| {
            values.fill(0.0);
            if let Some(row) = lstm_row(place, hidden) {
                values[..hidden].copy_from_slice(&weights[row * hidden..][..hidden]);
            }
            Ok::<_, ()>(())
        };
        let packed = Packed::pack(Dtype::Float32, 4 * units, units, fill).unwrap();
        let inputs = Inputs { values: &inputs, stride: 4 * units, first: 0 };
        let run = |sequences: &[&[usize]]| {
            let mut layers = [Recurrence::new(&packed, inputs, sequences.len())];
            for step in 0..sequences[0].len() {
                let rows = sequences.iter().filter_map(|steps| steps.get(step)).map(|&row| row as u32).collect();
                lstm_step(&mut layers, &[rows]);
            }
            layers[0].state(0).to_vec()
        };
        let steps: [&[usize]; 2] = [&[0, 3, 1, 4, 2], &[2, 2, 1]];
        let state = exact(&weights, &plain, hidden, steps[0]);
        let got = run(&steps);
        for (got, expected) in got.iter().zip(&state) {
            assert!((f64::from(*got) - expected).abs() < 2e-6, "{got}, not {expected}");
        }
        assert!(got[hidden..].iter().all(|&state| state == 0.0));
        assert_eq!(run(&steps[..1]), got, "alone it has other bits");
        let pool = Pool::new(std::num::NonZeroUsize::new(3));
        assert_eq!(pool.run(None, &mut || false, |_| run(&steps)).unwrap(), got);
    }
}
