//! From rows of tokens to one row per sequence.

use candle_core::Tensor;

use super::context::Context;
use super::ops::map_rows;
use crate::error::Result;
use crate::types::{Bounds, Rows};

/// The mean of each sequence's rows: `[tokens, hidden]` to `[sequences, hidden]`. A sequence without rows has zeros.
pub(crate) fn mean_rows(xs: &Tensor, context: &Context<'_>) -> Result<Tensor> {
    let hidden = xs.dims()[1];
    map_rows(xs, context.bounds.sequences(), hidden, |xs, means| {
        for (rows, mean) in context.bounds.rows().zip(means.chunks_exact_mut(hidden)) {
            for row in xs[rows.start * hidden..rows.end * hidden].chunks_exact(hidden) {
                mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            }
            let count = rows.len().max(1) as f32;
            for sum in mean {
                *sum /= count;
            }
        }
    })
}

/// Copies the row of each sequence that is wanted: `[tokens, hidden]` to `[sequences, hidden]`. A sequence without rows has
/// zeros.
pub(super) fn one_row_each(xs: &[f32], bounds: &Bounds, wanted: Rows, out: &mut [f32]) {
    let hidden = xs.len() / bounds.tokens().max(1);
    for (rows, out) in bounds.rows().zip(out.chunks_exact_mut(hidden.max(1))) {
        match wanted.of(rows.len()).next() {
            Some(row) => out.copy_from_slice(&xs[(rows.start + row) * hidden..][..hidden]),
            None => out.fill(0.0),
        }
    }
}
