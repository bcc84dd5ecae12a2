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
pub use packed_rows::PackedRows;

mod head;
mod packed_rows;
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
        /// What queries meet.
        keys: Option<&'a PackedRows>,
        /// What keys meet.
        queries: Option<&'a PackedRows>,
        /// The row of each distance; fast where each has the one behind the last one's.
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
/// `[sequences, hidden]` when only one row of each is wanted.
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
    attend_all(isa::current().1, scheme, inputs, [bounds; 2], wanted, out);
}

/// The same with keys and values of other rows than the queries: those of each sequence of `bounds[0]` see those of its
/// counterpart in `bounds[1]`.
///
/// # Panics
/// As [`attention`], unless there are as many sequences of keys as of queries, none of them empty where there are
/// queries, and all keys are seen, wherever they stand.
///
/// ```
/// use candlewick::kernels::{Attention, Columns, cross_attention};
/// use candlewick::types::{Bounds, Dtype};
///
/// // One query, which is 0, so that all three keys are alike, and their values 1, 2 and 9.
/// let (query, keys_and_values) = ([0.0], [5.0, 1.0, 6.0, 2.0, 7.0, 9.0]);
/// let [keys, values] = [0, 1].map(|first| Columns { values: &keys_and_values, stride: 2, first });
/// let inputs = [Columns { values: &query, stride: 1, first: 0 }, keys, values];
/// let bounds = [1, 3].map(|length| Bounds::from_lengths([length]));
/// let mut out = [0.0];
/// cross_attention(&Attention::plain(Dtype::Float32, 1, 1), inputs, [&bounds[0], &bounds[1]], &mut out);
/// assert_eq!(out, [4.0]);
/// ```
pub fn cross_attention(scheme: &Attention<'_>, inputs: [Columns<'_>; 3], bounds: [&Bounds; 2], out: &mut [f32]) {
    let plain = matches!(scheme.scores, Scores::Plain) && scheme.span == Span::Full && scheme.turns.is_none();
    assert!(plain, "attention: rows of other sequences have no distance");
    attend_all(isa::current().1, scheme, inputs, bounds, Rows::All, out);
}

fn attend_all(
    kernels: &'static dyn Kernels,
    scheme: &Attention<'_>,
    inputs: [Columns<'_>; 3],
    bounds: [&Bounds; 2],
    wanted: Rows,
    out: &mut [f32],
) {
    let rows = wanted.count(bounds[0]);
    if bounds[0].tokens() == 0 {
        return;
    }
    let heads = scheme.heads;
    assert!(scheme.dtype != Dtype::Int8, "attention: scores of int8 would be too coarse");
    let hidden = out.len() / rows;
    assert_eq!(out.len(), rows * hidden, "attention: {} elements are not {rows} rows", out.len());
    assert!(hidden.is_multiple_of(heads), "attention: {hidden} is not a multiple of {heads} heads");
    let sequences = bounds.map(Bounds::sequences);
    assert!(sequences[0] == sequences[1], "attention: queries of {} sequences, keys of {}", sequences[0], sequences[1]);
    for (Columns { values, stride, first }, of) in inputs.into_iter().zip([bounds[0], bounds[1], bounds[1]]) {
        let needed = of.tokens().saturating_sub(1) * stride + first + hidden;
        assert!(values.len() >= needed, "attention: {} elements, and {needed} are needed", values.len());
    }
    let longest = bounds[1].rows().map(|rows| rows.len()).max().unwrap_or(0);
    scheme.scores.check(longest, heads);
    if let Some(turns) = scheme.turns {
        let (width, needed) = (hidden / heads, longest * hidden / heads);
        assert!(width.is_multiple_of(2), "attention: heads of {width} columns have no halves");
        assert!(turns.len() >= needed, "attention: {} cosines and sines, and {needed} are needed", turns.len());
    }
    let pairs = bounds[0].rows().zip(bounds[1].rows()).enumerate();
    let sequences: Vec<_> = pairs.filter(|(_, (rows, _))| !rows.is_empty()).collect();
    assert!(sequences.iter().all(|(_, (_, keys))| !keys.is_empty()), "attention: a query has no keys");
    let out = Out::new(out, hidden);
    parallel(sequences.len() * heads, |task| {
        let ((sequence, (rows, keys)), index) = (sequences[task / heads].clone(), task % heads);
        let queries = wanted.of(rows.len());
        let below = if wanted == Rows::All { rows.start } else { sequence };
        // Keys behind the last one that is seen are not looked at.
        let keys = keys.start..keys.start + scheme.span.of(queries.clone(), keys.len()).end;
        let head = Head { kernels, scheme, inputs, index, width: hidden / heads, rows, keys };
        SCRATCH.with_borrow_mut(|scratch| head.attend(scratch, queries, out.from(below, index * head.width)));
    });
}

thread_local! {
    /// What one head needs at a time, kept from call to call.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}
