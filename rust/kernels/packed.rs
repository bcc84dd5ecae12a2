//! Weights in the order in which the product reads them.

use bytemuck::{cast_slice, cast_slice_mut};
use memmap2::MmapMut;

use super::arch::Kernels;
use super::gemm::Panels;
use super::isa;

/// A matrix `W [outputs, inputs]` in panels. A panel has the outputs that a tile has side by side, `k` by `k`, and the
/// last one is filled up with zeros:
///
/// ```text
/// k=0: o0 o1 … o63 | k=1: o0 o1 … o63 | …
/// ```
pub struct Packed {
    cells: Cells,
    outputs: usize,
    inputs: usize,
    kernels: &'static dyn Kernels,
}

impl Packed {
    /// Packs a matrix that is given row by row: `row(output, values)` writes the weights of one output.
    ///
    /// # Errors
    /// The first that `row` gives.
    pub fn pack<E>(
        outputs: usize,
        inputs: usize,
        row: impl FnMut(usize, &mut [f32]) -> Result<(), E>,
    ) -> Result<Self, E> {
        Self::pack_for(isa::current().1, outputs, inputs, row)
    }

    /// The same for the panels of one instruction set.
    pub(super) fn pack_for<E>(
        kernels: &'static dyn Kernels,
        outputs: usize,
        inputs: usize,
        mut row: impl FnMut(usize, &mut [f32]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let width = kernels.panel_width();
        let mut cells = Cells::new(outputs.next_multiple_of(width) * inputs);
        let mut values = vec![0.0; inputs];
        for output in 0..outputs {
            row(output, &mut values)?;
            let panel = &mut cells.as_mut_slice()[output / width * width * inputs..][..width * inputs];
            for (cells, value) in panel.chunks_exact_mut(width).zip(&values) {
                cells[output % width] = value.to_bits();
            }
        }
        Ok(Self { cells, outputs, inputs, kernels })
    }

    /// Rows of the matrix.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Columns of the matrix.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// As the product sees it.
    pub(super) fn panels(&self) -> Panels<'_> {
        let (outputs, depth, width) = (self.outputs, self.inputs, self.kernels.panel_width());
        Panels { cells: self.cells.as_slice(), outputs, depth, width }
    }

    /// What knows how to multiply with it.
    pub(super) fn kernels(&self) -> &'static dyn Kernels {
        self.kernels
    }
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Packed[{}, {}]", self.outputs, self.inputs)
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
