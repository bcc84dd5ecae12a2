//! `softmax(q kᵀ / √d) v` for every head of every sequence.
//!
//! One head of one sequence at a time: its keys and values are packed like weights, and blocks of queries go through
//! the same product as everywhere. No more of the scores than one block of queries exists at any time.

use std::cell::RefCell;

use super::arch::Kernels;
use super::gemm::{Out, Panels, Product};
use super::{isa, parallel};
use crate::types::{Bounds, Dtype};

/// f32 of scores that exist at a time, unless a single row has more.
const SCORES: usize = 32 * 1024;

/// Mixes the rows of each sequence: `qkv [tokens, 3 * hidden]` (queries, keys, values of every head) to
/// `out [tokens, hidden]`.
///
/// # Panics
/// Unless the slices are whole rows of `bounds.tokens()` and `heads` divides `hidden`.
pub fn attention(qkv: &[f32], bounds: &Bounds, heads: usize, out: &mut [f32]) {
    attend_all(isa::current().1, qkv, bounds, heads, out);
}

fn attend_all(kernels: &'static dyn Kernels, qkv: &[f32], bounds: &Bounds, heads: usize, out: &mut [f32]) {
    let tokens = bounds.tokens();
    if tokens == 0 {
        return;
    }
    let hidden = out.len() / tokens;
    assert_eq!(out.len(), tokens * hidden, "attention: {} elements are not {tokens} rows", out.len());
    assert_eq!(qkv.len(), 3 * out.len(), "attention: queries, keys and values are {} elements", qkv.len());
    assert!(hidden.is_multiple_of(heads), "attention: {hidden} is not a multiple of {heads} heads");
    let sequences: Vec<_> = bounds.rows().filter(|rows| !rows.is_empty()).collect();
    let out = Out::new(out, hidden);
    parallel(sequences.len() * heads, |index| {
        let head =
            Head { qkv, hidden, width: hidden / heads, index: index % heads, rows: sequences[index / heads].clone() };
        SCRATCH.with_borrow_mut(|scratch| head.attend(kernels, scratch, out));
    });
}

thread_local! {
    /// Packed keys and values and a block of scores, kept from call to call.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

#[derive(Default)]
struct Scratch {
    keys: Vec<u32>,
    values: Vec<u32>,
    scores: Vec<f32>,
}

/// One head of one sequence.
struct Head<'a> {
    qkv: &'a [f32],
    hidden: usize,
    /// Columns of a head.
    width: usize,
    index: usize,
    /// Rows of the sequence.
    rows: std::ops::Range<usize>,
}

impl Head<'_> {
    #[allow(unsafe_code)]
    fn attend(&self, kernels: &dyn Kernels, scratch: &mut Scratch, out: Out<'_>) {
        let (length, panel) = (self.rows.len(), kernels.panel_width());
        let scale = (self.width as f32).sqrt().recip();
        self.pack_keys(&mut scratch.keys, panel);
        self.pack_values(&mut scratch.values, panel);
        let dtype = Dtype::Float32;
        let keys = Panels { cells: &scratch.keys, outputs: length, depth: self.width, width: panel, dtype };
        let values = Panels { cells: &scratch.values, outputs: self.width, depth: length, width: panel, dtype };
        let block = (SCORES / length).max(1);
        scratch.scores.resize(block.min(length) * length, 0.0);
        for first in (0..length).step_by(block) {
            let rows = block.min(length - first);
            let scores = &mut scratch.scores[..rows * length];
            let queries = &self.qkv[(self.rows.start + first) * 3 * self.hidden + self.index * self.width..];
            let product = Product {
                rows,
                cells: bytemuck::cast_slice(queries),
                stride: 3 * self.hidden,
                weights: keys,
                bias: None,
                out: Out::new(scores, length),
                column: 0,
            };
            // SAFETY: the scores are ours alone.
            unsafe { kernels.multiply(&product, 0..keys.count()) };
            kernels.softmax(scores, length, scale);
            let product = Product {
                rows,
                cells: bytemuck::cast_slice(scores),
                stride: length,
                weights: values,
                bias: None,
                out: out.below(self.rows.start + first),
                column: self.index * self.width,
            };
            // SAFETY: no other task has this head of these rows.
            unsafe { kernels.multiply(&product, 0..values.count()) };
        }
    }

    /// Keys are the outputs of their product: each is a column of a panel.
    fn pack_keys(&self, cells: &mut Vec<u32>, panel: usize) {
        let length = self.rows.len();
        cells.clear();
        cells.resize(length.next_multiple_of(panel) * self.width, 0);
        for (group, cells) in cells.chunks_exact_mut(panel * self.width).enumerate() {
            for key in group * panel..length.min((group + 1) * panel) {
                for (cells, value) in cells.chunks_exact_mut(panel).zip(self.part(1, key)) {
                    cells[key % panel] = value.to_bits();
                }
            }
        }
    }

    /// Columns of the values are the outputs of their product: each row is a row of the panels.
    fn pack_values(&self, cells: &mut Vec<u32>, panel: usize) {
        let length = self.rows.len();
        cells.clear();
        cells.resize(self.width.next_multiple_of(panel) * length, 0);
        for (group, cells) in cells.chunks_exact_mut(panel * length).enumerate() {
            let columns = group * panel..self.width.min((group + 1) * panel);
            for (row, cells) in cells.chunks_exact_mut(panel).enumerate() {
                cells[..columns.len()].copy_from_slice(bytemuck::cast_slice(&self.part(2, row)[columns.clone()]));
            }
        }
    }

    /// This head's query (0), key (1) or value (2) of a row of the sequence.
    fn part(&self, which: usize, row: usize) -> &[f32] {
        &self.qkv[(self.rows.start + row) * 3 * self.hidden + which * self.hidden + self.index * self.width..]
            [..self.width]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::arch::twins;

    fn numbers(count: usize) -> Vec<f32> {
        (0..count).map(|at| (at * 7_919 % 10_007) as f32 / 2_500.0 - 2.0).collect()
    }

    /// One sequence by the definition, in f64.
    fn definition(qkv: &[f32], heads: usize, hidden: usize) -> Vec<f64> {
        let (length, width) = (qkv.len() / (3 * hidden), hidden / heads);
        let at = |which: usize, row: usize, column: usize| f64::from(qkv[row * 3 * hidden + which * hidden + column]);
        let mut out = vec![0.0; length * hidden];
        for (row, head) in (0..length).flat_map(|row| (0..heads).map(move |head| (row, head))) {
            let columns = head * width..(head + 1) * width;
            let score = |key| {
                let sum: f64 = columns.clone().map(|column| at(0, row, column) * at(1, key, column)).sum();
                (sum / (width as f64).sqrt()).exp()
            };
            let scores: Vec<f64> = (0..length).map(score).collect();
            let sum: f64 = scores.iter().sum();
            for column in columns {
                out[row * hidden + column] = (0..length).map(|key| scores[key] / sum * at(2, key, column)).sum();
            }
        }
        out
    }

    #[test]
    fn every_instruction_set_is_the_definition_and_sequences_do_not_see_each_other() {
        for (lengths, heads, hidden) in
            [(vec![1], 1, 1), (vec![3, 1, 17], 3, 24), (vec![70, 2], 2, 128), (vec![300], 1, 65), (vec![0, 5, 0], 2, 6)]
        {
            let bounds = Bounds::from_lengths(lengths);
            let qkv = numbers(bounds.tokens() * 3 * hidden);
            let (twin, others) = twins();
            for kernels in others.into_iter().map(|(_, kernels)| kernels).chain([twin]) {
                let mut out = vec![f32::NAN; bounds.tokens() * hidden];
                attend_all(kernels, &qkv, &bounds, heads, &mut out);
                for rows in bounds.rows() {
                    let qkv = &qkv[rows.start * 3 * hidden..rows.end * 3 * hidden];
                    let out = &out[rows.start * hidden..rows.end * hidden];
                    for (got, exact) in out.iter().zip(definition(qkv, heads, hidden)) {
                        assert!((f64::from(*got) - exact).abs() < 1e-5, "{got}, not {exact}");
                    }
                    let mut alone = vec![f32::NAN; out.len()];
                    attend_all(kernels, qkv, &Bounds::from_lengths([rows.len()]), heads, &mut alone);
                    assert_eq!(alone, out, "alone has other bits");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "attention: 6 is not a multiple of 4 heads")]
    fn heads_divide_the_width() {
        attention(&[0.0; 18], &Bounds::from_lengths([1]), 4, &mut [0.0; 6]);
    }
}
