//! From rows of tokens to one row per sequence.

use crate::types::Bounds;

/// Copies the first row of each sequence: `[tokens, hidden]` to `[sequences, hidden]`. A sequence without rows has zeros.
pub(super) fn first_rows(xs: &[f32], bounds: &Bounds, out: &mut [f32]) {
    let hidden = xs.len() / bounds.tokens().max(1);
    for (rows, out) in bounds.rows().zip(out.chunks_exact_mut(hidden.max(1))) {
        match xs.get(rows.start * hidden..(rows.start + 1) * hidden) {
            Some(row) if !rows.is_empty() => out.copy_from_slice(row),
            _ => out.fill(0.0),
        }
    }
}
