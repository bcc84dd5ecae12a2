//! From rows of tokens to one row per sequence.

use candle_core::{Device, Tensor};

use crate::error::Result;
use crate::types::Bounds;

/// The first row of each sequence: `[tokens, hidden]` to `[sequences, hidden]`.
///
/// # Errors
/// [`crate::Error::Backend`] when a row lies outside `xs`.
pub fn first_rows(xs: &Tensor, bounds: &Bounds) -> Result<Tensor> {
    let rows: Vec<u32> = bounds.rows().map(|rows| rows.start as u32).collect();
    let count = rows.len();
    Ok(xs.index_select(&Tensor::from_vec(rows, count, &Device::Cpu)?, 0)?)
}
