//! Rows that queries or keys meet in every sequence, packed once.

use super::head::{Head, Room};
use super::{Attention, Columns};
use crate::kernels::arch::Kernels;
use crate::kernels::{Pages, isa};
use crate::types::Dtype;

/// A table `[rows, hidden]` whose rows queries or keys are multiplied with, for each head in the order in which products
/// read it.
#[derive(Debug)]
pub struct PackedRows {
    cells: Pages,
    /// What a head has of `cells`.
    of_head: usize,
    rows: usize,
}

impl PackedRows {
    /// Packs a table for attention of so many heads in this type of numbers.
    ///
    /// # Panics
    /// Unless these are whole rows, `heads` divides `hidden`, and `dtype` is not int8.
    pub fn pack(table: &[f32], hidden: usize, heads: usize, dtype: Dtype) -> Self {
        Self::pack_for(isa::current().1, table, hidden, heads, dtype)
    }

    /// The same for the panels of one instruction set.
    pub(super) fn pack_for(
        kernels: &'static dyn Kernels,
        table: &[f32],
        hidden: usize,
        heads: usize,
        dtype: Dtype,
    ) -> Self {
        assert!(
            dtype != Dtype::Int8 && hidden.is_multiple_of(heads),
            "attention: {heads} heads of {hidden} in {dtype}"
        );
        assert!(!table.is_empty() && table.len().is_multiple_of(hidden), "attention: {} are no rows", table.len());
        let (rows, scheme) = (table.len() / hidden, Attention::plain(dtype, heads, hidden));
        let columns = Columns { values: table, stride: hidden, first: 0 };
        let (width, panel) = (hidden / heads, kernels.panel_width());
        let of_head = rows.next_multiple_of(panel) * dtype.cells(width);
        let (mut cells, mut room, mut packed) = (Pages::zeroed(heads * of_head), Room::default(), Vec::new());
        for (index, cells) in cells.as_mut_slice().chunks_exact_mut(of_head).enumerate() {
            let inputs = [columns; 3];
            let head = Head { kernels, scheme: &scheme, inputs, index, width, rows: 0..rows, keys: 0..rows };
            head.pack(columns, 0..rows, None, &mut room, &mut packed);
            cells.copy_from_slice(&packed[..of_head]);
        }
        Self { cells, of_head, rows }
    }

    /// How many there are.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Those of a head.
    pub(super) fn of_head(&self, head: usize) -> &[u32] {
        &self.cells.as_slice()[head * self.of_head..][..self.of_head]
    }
}
