//! Weights in the order in which the product reads them.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytemuck::cast_slice;
use memmap2::Mmap;

use super::arch::Kernels;
use super::gemm::Panels;
use super::pages::Pages;
use super::{bf16, int8, isa, map};
use crate::types::Dtype;

/// A matrix `W [outputs, inputs]` in panels of cells; a cell has one float32, two bfloat16 or four int8. A panel has the
/// outputs that a tile has side by side, `k` by `k`, and the last one is filled up with zeros:
///
/// ```text
/// k=0: o0 o1 … o63 | k=1: o0 o1 … o63 | …
/// ```
///
/// Behind the panels stand, for each output, what its sum starts with and its factor (0 unless cells are int8).
pub struct Packed {
    cells: Cells,
    outputs: usize,
    inputs: usize,
    dtype: Dtype,
    kernels: &'static dyn Kernels,
}

impl Packed {
    /// Packs a matrix that is given row by row, on the threads of the pool it runs in: `row(output, values)` writes the
    /// weights of one output. Rows that are too long for sums of int8 are held in float32.
    ///
    /// # Errors
    /// One that `row` gives.
    pub fn pack<E: Send>(
        dtype: Dtype,
        outputs: usize,
        inputs: usize,
        row: impl Fn(usize, &mut [f32]) -> Result<(), E> + Sync,
    ) -> Result<Self, E> {
        Self::pack_for(isa::current().1, dtype, outputs, inputs, row)
    }

    /// The same for the panels of one instruction set.
    pub(super) fn pack_for<E: Send>(
        kernels: &'static dyn Kernels,
        dtype: Dtype,
        outputs: usize,
        inputs: usize,
        row: impl Fn(usize, &mut [f32]) -> Result<(), E> + Sync,
    ) -> Result<Self, E> {
        let dtype = if inputs > int8::MOST_INPUTS && dtype == Dtype::Int8 { Dtype::Float32 } else { dtype };
        let (width, depth) = (kernels.panel_width(), dtype.cells(inputs));
        let whole = outputs.next_multiple_of(width);
        let mut cells = Pages::zeroed(whole * (depth + 2));
        let (panels, ends) = cells.as_mut_slice().split_at_mut(whole * depth);
        let (starts, factors) = ends.split_at_mut(whole);
        let panels =
            panels.chunks_mut((width * depth).max(1)).zip(starts.chunks_mut(width)).zip(factors.chunks_mut(width));
        let panels: Vec<_> = panels.map(Mutex::new).collect();
        let packed = map(panels.len(), |panel| {
            let mut panel_parts = panels[panel].lock().unwrap_or_else(PoisonError::into_inner);
            let ((cells, starts), factors) = &mut *panel_parts;
            let (mut values, mut rows) = (vec![0.0; inputs], vec![0; width * depth]);
            let present = width.min(outputs - panel * width);
            for (at, cells) in rows.chunks_exact_mut(depth).take(present).enumerate() {
                row(panel * width + at, &mut values)?;
                match dtype {
                    Dtype::Float32 => cells.copy_from_slice(cast_slice(&values)),
                    Dtype::Bfloat16 => kernels.narrow(&values, inputs, inputs, cells),
                    Dtype::Int8 => {
                        let (factor, start) = int8::quantize_weights(&values, cells, kernels.shift());
                        (starts[at], factors[at]) = (start as u32, factor.to_bits());
                    }
                }
            }
            interleave(&rows, depth, cells);
            Ok(())
        });
        packed.into_iter().collect::<Result<(), E>>()?;
        drop(panels);
        Ok(Self { cells: Cells::Own(cells), outputs, inputs, dtype, kernels })
    }

    /// Rows of the matrix.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Columns of the matrix.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// What it is held in.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// All that it holds, as [`Packed::from_map`] takes it.
    pub fn bytes(&self) -> &[u8] {
        cast_slice(self.cells.as_slice())
    }

    /// A matrix that was packed before, for the instruction set of this process: `bytes` of a map. `None` unless they are
    /// as many as they have to be, at a place where cells may lie.
    pub fn from_map(dtype: Dtype, outputs: usize, inputs: usize, map: Arc<Mmap>, bytes: Range<usize>) -> Option<Self> {
        let kernels = isa::current().1;
        let count = outputs.next_multiple_of(kernels.panel_width()) * (dtype.cells(inputs) + 2);
        let whole = bytes.len() == count * size_of::<u32>() && bytes.end <= map.len();
        let aligned = bytes.start.is_multiple_of(size_of::<u32>());
        (whole && aligned).then(|| Self { cells: Cells::Shared(map, bytes), outputs, inputs, dtype, kernels })
    }

    /// As the product sees it.
    pub(super) fn panels(&self) -> Panels<'_> {
        let (outputs, width, dtype) = (self.outputs, self.kernels.panel_width(), self.dtype);
        let (depth, whole) = (dtype.cells(self.inputs), outputs.next_multiple_of(width));
        let (cells, ends) = self.cells.as_slice().split_at(whole * depth);
        let (starts, factors) = cast_slice(ends).split_at(whole);
        let integers = (dtype == Dtype::Int8).then_some((starts, factors));
        Panels { cells, outputs, depth, width, dtype, integers }
    }

    /// What knows how to multiply with it.
    pub(super) fn kernels(&self) -> &'static dyn Kernels {
        self.kernels
    }
}

impl Dtype {
    /// Cells of a row of so many numbers.
    pub(super) fn cells(self, numbers: usize) -> usize {
        match self {
            Self::Float32 => numbers,
            Self::Bfloat16 => bf16::cells(numbers),
            Self::Int8 => int8::cells(numbers),
        }
    }
}

/// Rows of `depth` cells to columns of a panel: some cells of all rows at a time, so that whole lines of the panel are
/// written.
fn interleave(rows: &[u32], depth: usize, panel: &mut [u32]) {
    const BLOCK: usize = 16;
    let width = panel.len().checked_div(depth).unwrap_or(0);
    for first in (0..depth).step_by(BLOCK) {
        for (at, row) in rows.chunks_exact(depth).enumerate() {
            for (k, &cell) in row.iter().enumerate().skip(first).take(BLOCK) {
                panel[k * width + at] = cell;
            }
        }
    }
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Packed[{}, {}] {}", self.outputs, self.inputs, self.dtype)
    }
}

/// Cells, aligned.
enum Cells {
    Own(Pages),
    /// A part of a file, shared with all who map it.
    Shared(Arc<Mmap>, Range<usize>),
}

impl Cells {
    fn as_slice(&self) -> &[u32] {
        match self {
            Self::Own(pages) => pages.as_slice(),
            Self::Shared(map, bytes) => cast_slice(&map[bytes.clone()]),
        }
    }
}
