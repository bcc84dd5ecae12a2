//! `softmax(scores) v` for every head of every sequence.
//!
//! One head of one sequence at a time (`head.rs`): its keys and values are packed like weights, and blocks of queries go
//! through the same product as everywhere. No more of the scores than one block of queries exists at any time, and of a
//! window only the columns that the block sees.

use std::cell::RefCell;

use super::arch::Kernels;
use super::gemm::Out;
use super::{isa, parallel};
use crate::types::{Bounds, Dtype, Rows};
use head::{Head, Scratch};

mod head;
mod relative;
#[cfg(test)]
pub(super) mod tests;

/// Rows of numbers that are part of wider rows: row `r` begins at `values[r * stride + first]`.
#[derive(Debug, Clone, Copy)]
pub struct Columns<'a> {
    /// The wider rows.
    pub values: &'a [f32],
    /// Length of a wider row.
    pub stride: usize,
    /// Where in it the first head begins.
    pub first: usize,
}

impl<'a> Columns<'a> {
    /// Queries, keys and values that stand side by side: `[rows, 3 * hidden]`.
    pub fn thirds(values: &'a [f32], hidden: usize) -> [Self; 3] {
        [0, hidden, 2 * hidden].map(|first| Self { values, stride: 3 * hidden, first })
    }

    /// From the `column`-th of a row's own columns on, with all that follows.
    fn from(&self, row: usize, column: usize) -> &'a [f32] {
        &self.values[row * self.stride + self.first + column..]
    }
}

/// What is added to the product of query `i` and key `j`, by the distance `j - i`: tables have a place for each distance
/// from `1 - longest` to `longest - 1`, in that order.
#[derive(Debug, Clone, Copy, Default)]
pub enum Scores<'a> {
    /// Nothing: `scale * q·k`.
    #[default]
    Plain,
    /// A number of each head, `[heads, distances]`: `scale * q·k + table[head, j - i]`.
    Table(&'a [f32]),
    /// Products with rows of their own, which several distances may share:
    /// `scale * (q·k + q·keys[index[j - i]] + k·queries[index[j - i]])`.
    Relative {
        /// What queries meet, `[rows, hidden]`.
        keys: Option<Columns<'a>>,
        /// What keys meet, `[rows, hidden]`.
        queries: Option<Columns<'a>>,
        /// The row of each distance.
        index: &'a [u32],
    },
}

/// Which keys a query sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Span {
    /// All of its sequence.
    #[default]
    Full,
    /// Those up to its own place.
    Causal,
    /// Those at most so many places away.
    Window(usize),
}

impl Span {
    /// The keys that some of the queries see, of `length`.
    fn of(self, queries: std::ops::Range<usize>, length: usize) -> std::ops::Range<usize> {
        match self {
            Self::Full => 0..length,
            Self::Causal => 0..queries.end,
            Self::Window(width) => queries.start.saturating_sub(width)..length.min(queries.end + width),
        }
    }
}

/// How rows of a sequence are mixed.
#[derive(Debug, Clone, Copy)]
pub struct Attention<'a> {
    /// What both products are computed in, not int8; scores and their softmax are float32.
    pub dtype: Dtype,
    /// Number of heads; divides the width of `out`.
    pub heads: usize,
    /// What products of queries and keys are multiplied with.
    pub scale: f32,
    /// What is added to them.
    pub scores: Scores<'a>,
    /// Which of them count.
    pub span: Span,
    /// By what queries and keys are turned first: for each place in a sequence the cosines of half a head's columns, then
    /// the sines.
    pub turns: Option<&'a [f32]>,
}

impl Attention<'_> {
    /// `softmax(q kᵀ / √d)` over whole sequences, of heads of `d = hidden / heads` columns.
    pub fn plain(dtype: Dtype, heads: usize, hidden: usize) -> Self {
        let scale = ((hidden / heads) as f32).sqrt().recip();
        Self { dtype, heads, scale, scores: Scores::Plain, span: Span::Full, turns: None }
    }
}

/// Mixes the rows of each sequence: queries, keys and values, each `[tokens, hidden]`, to `out [tokens, hidden]`, or to
/// `[sequences, hidden]` when only first rows are wanted. Keys and values may be of other rows than the queries, with the
/// same bounds.
///
/// # Panics
/// Unless the slices are that many whole rows, `heads` divides `hidden`, tables have a place for each distance, and
/// `dtype` is not int8.
///
/// ```
/// use candlewick::kernels::{Attention, Columns, Span, attention};
/// use candlewick::types::{Bounds, Dtype, Rows};
///
/// // Two rows of one number: queries 0, so that all keys are alike, and values 1 and 5.
/// let qkv = [0.0, 7.0, 1.0, 0.0, -7.0, 5.0];
/// let mut scheme = Attention::plain(Dtype::Float32, 1, 1);
/// let (bounds, mut out) = (Bounds::from_lengths([2]), [0.0; 2]);
/// attention(&scheme, Columns::thirds(&qkv, 1), &bounds, Rows::All, &mut out);
/// assert_eq!(out, [3.0, 3.0]);
/// scheme.span = Span::Causal;
/// attention(&scheme, Columns::thirds(&qkv, 1), &bounds, Rows::All, &mut out);
/// assert_eq!(out, [1.0, 3.0]);
/// ```
pub fn attention(scheme: &Attention<'_>, inputs: [Columns<'_>; 3], bounds: &Bounds, wanted: Rows, out: &mut [f32]) {
    attend_all(isa::current().1, scheme, inputs, bounds, wanted, out);
}

fn attend_all(
    kernels: &'static dyn Kernels,
    scheme: &Attention<'_>,
    inputs: [Columns<'_>; 3],
    bounds: &Bounds,
    wanted: Rows,
    out: &mut [f32],
) {
    let rows = match wanted {
        Rows::All => bounds.tokens(),
        Rows::First => bounds.sequences(),
    };
    if bounds.tokens() == 0 {
        return;
    }
    let heads = scheme.heads;
    assert!(scheme.dtype != Dtype::Int8, "attention: scores of int8 would be too coarse");
    let hidden = out.len() / rows;
    assert_eq!(out.len(), rows * hidden, "attention: {} elements are not {rows} rows", out.len());
    assert!(hidden.is_multiple_of(heads), "attention: {hidden} is not a multiple of {heads} heads");
    for Columns { values, stride, first } in inputs {
        let needed = (bounds.tokens() - 1) * stride + first + hidden;
        assert!(values.len() >= needed, "attention: {} elements, and {needed} are needed", values.len());
    }
    let longest = bounds.rows().map(|rows| rows.len()).max().unwrap_or(0);
    scheme.scores.check(longest, heads);
    if let Some(turns) = scheme.turns {
        let (width, needed) = (hidden / heads, longest * hidden / heads);
        assert!(width.is_multiple_of(2), "attention: heads of {width} columns have no halves");
        assert!(turns.len() >= needed, "attention: {} cosines and sines, and {needed} are needed", turns.len());
    }
    let sequences: Vec<_> = bounds.rows().enumerate().filter(|(_, rows)| !rows.is_empty()).collect();
    let out = Out::new(out, hidden);
    parallel(sequences.len() * heads, |task| {
        let ((sequence, rows), index) = (sequences[task / heads].clone(), task % heads);
        let (queries, below) = match wanted {
            Rows::All => (rows.len(), rows.start),
            Rows::First => (1, sequence),
        };
        let head = Head { kernels, scheme, inputs, index, width: hidden / heads, rows };
        SCRATCH.with_borrow_mut(|scratch| head.attend(scratch, queries, out.from(below, index * head.width)));
    });
}

thread_local! {
    /// What one head needs at a time, kept from call to call.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}
