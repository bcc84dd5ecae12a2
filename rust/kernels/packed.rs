//! Weights in the order in which the product reads them.

use bytemuck::{cast_slice, cast_slice_mut};
use memmap2::MmapMut;

use super::arch::Kernels;
use super::gemm::Panels;
use super::{bf16, isa};
use crate::types::Dtype;

/// A matrix `W [outputs, inputs]` in panels of cells; a cell has one float32 or two bfloat16. A panel has the outputs that a tile has side by side, `k` by `k`, and the
/// last one is filled up with zeros:
///
/// ```text
/// k=0: o0 o1 … o63 | k=1: o0 o1 … o63 | …
/// ```
pub struct Packed {
    cells: Cells,
    outputs: usize,
    inputs: usize,
    dtype: Dtype,
    kernels: &'static dyn Kernels,
}

impl Packed {
    /// Packs a matrix that is given row by row: `row(output, values)` writes the weights of one output.
    ///
    /// # Errors
    /// The first that `row` gives.
    pub fn pack<E>(
        dtype: Dtype,
        outputs: usize,
        inputs: usize,
        row: impl FnMut(usize, &mut [f32]) -> Result<(), E>,
    ) -> Result<Self, E> {
        Self::pack_for(isa::current().1, dtype, outputs, inputs, row)
    }

    /// The same for the panels of one instruction set.
    pub(super) fn pack_for<E>(
        kernels: &'static dyn Kernels,
        dtype: Dtype,
        outputs: usize,
        inputs: usize,
        mut row: impl FnMut(usize, &mut [f32]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let width = kernels.panel_width();
        let depth = dtype.cells(inputs);
        let mut cells = Cells::new(outputs.next_multiple_of(width) * depth);
        let (mut values, mut narrow) = (vec![0.0; inputs], vec![0; depth]);
        for output in 0..outputs {
            row(output, &mut values)?;
            let row = match dtype {
                Dtype::Float32 => cast_slice(&values),
                Dtype::Bfloat16 => {
                    kernels.narrow(&values, inputs, &mut narrow);
                    &narrow
                }
            };
            let panel = &mut cells.as_mut_slice()[output / width * width * depth..][..width * depth];
            for (cells, &cell) in panel.chunks_exact_mut(width).zip(row) {
                cells[output % width] = cell;
            }
        }
        Ok(Self { cells, outputs, inputs, dtype, kernels })
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

    /// As the product sees it.
    pub(super) fn panels(&self) -> Panels<'_> {
        let (outputs, width, dtype) = (self.outputs, self.kernels.panel_width(), self.dtype);
        Panels { cells: self.cells.as_slice(), outputs, depth: dtype.cells(self.inputs), width, dtype }
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
        }
    }
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Packed[{}, {}] {}", self.outputs, self.inputs, self.dtype)
    }
}

/// Cells on pages of their own: aligned, zero to begin with, and large pages where the system has them, as a pass over
/// all weights would miss the table of small ones at every step.
struct Cells(MmapMut, usize);

impl Cells {
    fn new(count: usize) -> Self {
        // An anonymous map fails only where an allocation would abort.
        let map = MmapMut::map_anon((count * size_of::<u32>()).max(1)).expect("memory for weights");
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage); // only advice: without it, it is slower
        Self(map, count)
    }

    fn as_slice(&self) -> &[u32] {
        cast_slice(&self.0[..self.1 * size_of::<u32>()])
    }

    fn as_mut_slice(&mut self) -> &mut [u32] {
        cast_slice_mut(&mut self.0[..self.1 * size_of::<u32>()])
    }
}
