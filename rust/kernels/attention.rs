//! `softmax(q kᵀ / √d) v` for every head of every sequence.
//!
//! One head of one sequence at a time: its keys and values are packed like weights, and blocks of queries go through
//! the same product as everywhere. No more of the scores than one block of queries exists at any time.

use std::cell::RefCell;

use super::arch::Kernels;
use super::gemm::{Out, Panels, Product};
use super::{isa, parallel};
use crate::types::{Bounds, Dtype, Rows};

/// f32 of scores that exist at a time, unless a single row has more.
const SCORES: usize = 32 * 1024;

/// Mixes the rows of each sequence: `qkv [tokens, 3 * hidden]` (queries, keys, values of every head) to
/// `out [tokens, hidden]`, or `[sequences, hidden]` when only first rows are wanted. With bfloat16 both
/// products are of narrow numbers; scores and their softmax stay float32.
///
/// # Panics
/// Unless the slices are that many whole rows, `heads` divides `hidden`, and `dtype` is not int8.
pub fn attention(dtype: Dtype, qkv: &[f32], bounds: &Bounds, wanted: Rows, heads: usize, out: &mut [f32]) {
    attend_all(isa::current().1, dtype, qkv, bounds, wanted, heads, out);
}

fn attend_all(
    kernels: &'static dyn Kernels,
    dtype: Dtype,
    qkv: &[f32],
    bounds: &Bounds,
    wanted: Rows,
    heads: usize,
    out: &mut [f32],
) {
    let rows = match wanted {
        Rows::All => bounds.tokens(),
        Rows::First => bounds.sequences(),
    };
    if bounds.tokens() == 0 {
        return;
    }
    assert!(dtype != Dtype::Int8, "attention: scores of int8 would be too coarse");
    let hidden = out.len() / rows;
    assert_eq!(out.len(), rows * hidden, "attention: {} elements are not {rows} rows", out.len());
    assert_eq!(qkv.len(), 3 * bounds.tokens() * hidden, "attention: queries, keys and values are {}", qkv.len());
    assert!(hidden.is_multiple_of(heads), "attention: {hidden} is not a multiple of {heads} heads");
    let sequences: Vec<_> = bounds.rows().enumerate().filter(|(_, rows)| !rows.is_empty()).collect();
    let out = Out::new(out, hidden);
    parallel(sequences.len() * heads, |index| {
        let ((sequence, rows), width) = (sequences[index / heads].clone(), hidden / heads);
        let (queries, below) = match wanted {
            Rows::All => (rows.len(), rows.start),
            Rows::First => (1, sequence),
        };
        let head = Head { kernels, dtype, qkv, hidden, width, index: index % heads, rows };
        SCRATCH.with_borrow_mut(|scratch| head.attend(scratch, queries, out.from(below, index % heads * width)));
    });
}

thread_local! {
    /// What one head needs at a time, kept from call to call.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

#[derive(Default)]
struct Scratch {
    /// Packed.
    keys: Vec<u32>,
    /// Packed.
    values: Vec<u32>,
    /// One block of queries, then one of exponentials, as bfloat16.
    narrow: Vec<u32>,
    scores: Vec<f32>,
    /// Of each row of the block the inverse of its sum.
    factors: Vec<f32>,
}

/// One head of one sequence.
struct Head<'a> {
    kernels: &'static dyn Kernels,
    dtype: Dtype,
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
    fn attend(&self, scratch: &mut Scratch, queries: usize, out: Out<'_>) {
        let Self { kernels, dtype, width, .. } = *self;
        let (length, panel) = (self.rows.len(), kernels.panel_width());
        let scale = (width as f32).sqrt().recip();
        let Scratch { keys, values, narrow, scores, factors } = scratch;
        self.pack_keys(narrow, keys);
        self.pack_values(values);
        let keys =
            Panels { cells: keys, outputs: length, depth: dtype.cells(width), width: panel, dtype, integers: None };
        let values =
            Panels { cells: values, outputs: width, depth: dtype.cells(length), width: panel, dtype, integers: None };
        let block = (SCORES / length).max(1).min(queries);
        scores.resize(block * length, 0.0);
        for first in (0..queries).step_by(block) {
            let rows = block.min(queries - first);
            let scores = &mut scores[..rows * length];
            // In float32 queries and shares are cells where they are.
            let (cells, stride): (&[u32], _) = match dtype {
                Dtype::Float32 => (bytemuck::cast_slice(self.from(0, first)), 3 * self.hidden),
                Dtype::Bfloat16 | Dtype::Int8 => {
                    narrow.clear();
                    (first..first + rows).for_each(|query| self.narrow(self.part(0, query), narrow));
                    (narrow, keys.depth)
                }
            };
            let into = Out::new(scores, length);
            let product = Product { rows, cells, stride, factors: &[], weights: keys, next: 1, bias: None, out: into };
            // SAFETY: the scores are ours alone.
            unsafe { kernels.multiply(&product, 0..keys.count()) };
            // A row's exponentials are turned into cells while they are near, and divided by their sum as mixed values.
            narrow.clear();
            factors.clear();
            for row in scores.chunks_exact_mut(length) {
                factors.push(1.0 / kernels.exponentials(row, scale));
                if dtype != Dtype::Float32 {
                    self.narrow(row, narrow);
                }
            }
            let (cells, stride): (&[u32], _) =
                if dtype == Dtype::Float32 { (bytemuck::cast_slice(scores), length) } else { (narrow, values.depth) };
            let into = out.from(first, 0);
            let product =
                Product { rows, cells, stride, factors: &[], weights: values, next: 1, bias: None, out: into };
            // SAFETY: no other task has this head of these rows.
            unsafe { kernels.multiply(&product, 0..values.count()) };
            for (row, factor) in factors.iter().enumerate() {
                // SAFETY: as above; the slice is gone before the next one is made.
                unsafe { into.row(row, 0, width) }.iter_mut().for_each(|mixed| *mixed *= factor);
            }
        }
    }

    /// Appends a row as cells.
    fn narrow(&self, row: &[f32], cells: &mut Vec<u32>) {
        match self.dtype {
            Dtype::Float32 => cells.extend_from_slice(bytemuck::cast_slice(row)),
            Dtype::Bfloat16 | Dtype::Int8 => {
                let start = cells.len();
                cells.resize(start + self.dtype.cells(row.len()), 0);
                self.kernels.narrow(row, row.len(), &mut cells[start..]);
            }
        }
    }

    /// Keys are the outputs of their product: each is a column of a panel.
    fn pack_keys(&self, row: &mut Vec<u32>, packed: &mut Vec<u32>) {
        let (length, panel) = (self.rows.len(), self.kernels.panel_width());
        let depth = self.dtype.cells(self.width);
        let packed = grown(packed, length.next_multiple_of(panel) * depth);
        for (group, packed) in packed.chunks_exact_mut(panel * depth).enumerate() {
            for key in group * panel..length.min((group + 1) * panel) {
                row.clear();
                self.narrow(self.part(1, key), row);
                for (packed, &cell) in packed.chunks_exact_mut(panel).zip(&*row) {
                    packed[key % panel] = cell;
                }
            }
        }
    }

    /// Columns of the values are the outputs of their product: each row is a row of the panels, or half of one.
    fn pack_values(&self, packed: &mut Vec<u32>) {
        let (length, panel) = (self.rows.len(), self.kernels.panel_width());
        let depth = self.dtype.cells(length);
        let packed = grown(packed, self.width.next_multiple_of(panel) * depth);
        let nothing = vec![0.0; self.width];
        for (group, packed) in packed.chunks_exact_mut(panel * depth).enumerate() {
            let columns = group * panel..self.width.min((group + 1) * panel);
            for (at, packed) in packed.chunks_exact_mut(panel).enumerate() {
                match self.dtype {
                    Dtype::Float32 => {
                        let row = &self.part(2, at)[columns.clone()];
                        packed[..row.len()].copy_from_slice(bytemuck::cast_slice(row));
                    }
                    Dtype::Bfloat16 | Dtype::Int8 => {
                        let high = if 2 * at + 1 < length { self.part(2, 2 * at + 1) } else { &nothing };
                        let low = &self.part(2, 2 * at)[columns.clone()];
                        self.kernels.interleave(low, &high[columns.clone()], packed);
                    }
                }
            }
        }
    }

    /// This head's query (0), key (1) or value (2) of a row of the sequence.
    fn part(&self, which: usize, row: usize) -> &[f32] {
        &self.from(which, row)[..self.width]
    }

    /// The same with all that follows.
    fn from(&self, which: usize, row: usize) -> &[f32] {
        &self.qkv[(self.rows.start + row) * 3 * self.hidden + which * self.hidden + self.index * self.width..]
    }
}

/// The first cells of a buffer, which hold anything: what stands behind the last output of a panel is never looked at.
fn grown(buffer: &mut Vec<u32>, length: usize) -> &mut [u32] {
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    &mut buffer[..length]
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::kernels::arch::every;

    pub(in crate::kernels) fn numbers(count: usize) -> Vec<f32> {
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
            for (kernels, (dtype, close)) in every()
                .into_iter()
                .flat_map(|kernels| [(Dtype::Float32, 1e-5), (Dtype::Bfloat16, 0.03)].map(|dtype| (kernels, dtype)))
            {
                let mut out = vec![f32::NAN; bounds.tokens() * hidden];
                attend_all(kernels, dtype, &qkv, &bounds, Rows::All, heads, &mut out);
                let mut firsts = vec![f32::NAN; bounds.sequences() * hidden];
                attend_all(kernels, dtype, &qkv, &bounds, Rows::First, heads, &mut firsts);
                for (first, rows) in firsts.chunks(hidden).zip(bounds.rows()).filter(|(_, rows)| !rows.is_empty()) {
                    assert_eq!(first, &out[rows.start * hidden..][..hidden], "first rows alone have other bits");
                }
                for rows in bounds.rows() {
                    let qkv = &qkv[rows.start * 3 * hidden..rows.end * 3 * hidden];
                    let out = &out[rows.start * hidden..rows.end * hidden];
                    for (got, exact) in out.iter().zip(definition(qkv, heads, hidden)) {
                        assert!((f64::from(*got) - exact).abs() < close, "{dtype}: {got}, not {exact}");
                    }
                    let mut alone = vec![f32::NAN; out.len()];
                    attend_all(kernels, dtype, qkv, &Bounds::from_lengths([rows.len()]), Rows::All, heads, &mut alone);
                    assert_eq!(alone, out, "alone has other bits");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "attention: 6 is not a multiple of 4 heads")]
    fn heads_divide_the_width() {
        attention(Dtype::Float32, &[0.0; 18], &Bounds::from_lengths([1]), Rows::All, 4, &mut [0.0; 6]);
    }
}
