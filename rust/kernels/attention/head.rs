//! One head of one sequence.
#![allow(unsafe_code, reason = "threads share the output by heads")]

use std::ops::Range;

use super::relative::Terms;
use super::{Attention, Columns, Scores, Span};
use crate::kernels::arch::Kernels;
use crate::kernels::gemm::{Out, Panels, Product};
use crate::types::Dtype;

/// f32 of scores that exist at a time, unless a single row has more.
const BLOCK: usize = 32 * 1024;
/// Queries of a block that sees a window only, or nothing behind it: more would compute scores that no query sees. With
/// rows for distances, more would meet rows that few of them need.
pub(super) const NEIGHBOURS: usize = 64;

#[derive(Default)]
pub(super) struct Scratch {
    /// Packed.
    keys: Vec<u32>,
    /// Packed.
    values: Vec<u32>,
    room: Room,
    scores: Vec<f32>,
    /// Of each row of the block the inverse of its sum.
    factors: Vec<f32>,
    terms: Terms,
}

/// Rows on their way to cells.
#[derive(Default)]
pub(super) struct Room {
    /// Queries or keys that were turned.
    turned: Vec<f32>,
    /// Queries, keys or exponentials, as bfloat16.
    narrow: Vec<u32>,
}

pub(super) struct Head<'a> {
    pub kernels: &'static dyn Kernels,
    pub scheme: &'a Attention<'a>,
    /// Queries, keys and values.
    pub inputs: [Columns<'a>; 3],
    /// Which head.
    pub index: usize,
    /// Its columns.
    pub width: usize,
    /// Rows of the sequence that has the queries.
    pub rows: Range<usize>,
    /// Rows of the one that has keys and values.
    pub keys: Range<usize>,
}

impl Head<'_> {
    /// Mixes the values for some of the queries.
    pub(super) fn attend(&self, scratch: &mut Scratch, queries: Range<usize>, out: Out<'_>) {
        let (length, panel, [queries_of, keys_of, _]) = (self.keys.len(), self.kernels.panel_width(), self.inputs);
        let Scratch { keys, values, room, scores, factors, terms } = scratch;
        self.pack(keys_of, self.keys.clone(), self.scheme.turns, room, keys);
        self.pack_values(values);
        terms.prepare(self, room);
        let block = match (self.scheme.span, self.scheme.scores) {
            (Span::Window(width), _) => NEIGHBOURS.min(BLOCK / length.min(2 * width + NEIGHBOURS)),
            (Span::Causal, _) | (_, Scores::Relative { .. }) => NEIGHBOURS.min(BLOCK / length),
            (Span::Full, Scores::Plain | Scores::Table(_)) => BLOCK / length,
        };
        let block = block.clamp(1, queries.len());
        for first in queries.clone().step_by(block) {
            let block = first..queries.end.min(first + block);
            let mut seen = self.scheme.span.of(block.clone(), length);
            seen.start -= seen.start % panel; // whole panels are left out, and whole pairs of values
            // Rows have room for what products give beside the keys: to store some lanes of a vector takes longer.
            let (rows, stride) = (block.len(), seen.len().next_multiple_of(panel / 2));
            let scores = grown(scores, rows * stride);
            let (start, turns) = (self.rows.start, self.turns(first));
            let cells = self.cells(queries_of, start + first..start + block.end, turns, room);
            self.product(rows, cells, keys, seen.start..seen.start + stride, Out::new(scores, stride));
            terms.add(self, cells, block.clone(), &seen, scores);
            factors.clear();
            for (query, row) in block.clone().zip(scores.chunks_exact_mut(stride)) {
                factors.push(1.0 / self.exponentials(query, &seen, row));
            }
            self.mix((scores, stride), &seen, values, &mut room.narrow, out.from(first - queries.start, 0));
            for (row, factor) in factors.iter().enumerate() {
                // SAFETY: no other task has this head of these rows; the slice is gone before the next one is made.
                let mixed = unsafe { out.row(first - queries.start + row, 0, self.width) };
                for mixed in mixed {
                    *mixed *= factor;
                }
            }
        }
    }

    /// Scores of one query to exponentials, 0 where it does not see, and their sum.
    fn exponentials(&self, query: usize, seen: &Range<usize>, row: &mut [f32]) -> f32 {
        let own = self.scheme.span.of(query..query + 1, self.keys.len());
        let own = own.start - seen.start..own.end - seen.start;
        row[..own.start].fill(0.0);
        row[own.end..seen.len()].fill(0.0);
        // A table is added after scaling.
        let scale = if matches!(self.scheme.scores, Scores::Table(_)) { 1.0 } else { self.scheme.scale };
        self.kernels.exponentials(&mut row[own.start..], own.len(), scale)
    }

    /// Rows of packed values, as shares `[rows, seen]`, which are a stride apart, say, not yet divided by the sum of these.
    fn mix(
        &self,
        (shares, stride): (&[f32], usize),
        seen: &Range<usize>,
        values: &[u32],
        narrow: &mut Vec<u32>,
        out: Out<'_>,
    ) {
        let (dtype, panel) = (self.scheme.dtype, self.kernels.panel_width());
        let (rows, depth) = (shares.len() / stride, dtype.cells(seen.len()));
        let cells: (&[u32], _) = if dtype == Dtype::Float32 {
            (bytemuck::cast_slice(shares), stride)
        } else {
            let narrow = grown(narrow, rows * depth);
            self.kernels.narrow(shares, seen.len(), stride, narrow);
            (narrow, depth)
        };
        let (whole, start) = (dtype.cells(self.keys.len()), dtype.cells(seen.start));
        for (group, values) in values.chunks_exact(panel * whole).take(self.width.div_ceil(panel)).enumerate() {
            let outputs = panel.min(self.width - group * panel);
            self.multiply(rows, cells, &values[start * panel..], outputs, depth, out.from(0, group * panel));
        }
    }

    /// Products of rows with packed ones, those of `columns`.
    pub(super) fn product(
        &self,
        rows: usize,
        cells: (&[u32], usize),
        packed: &[u32],
        columns: Range<usize>,
        out: Out<'_>,
    ) {
        let (panel, depth) = (self.kernels.panel_width(), self.scheme.dtype.cells(self.width));
        let packed = &packed[columns.start / panel * panel * depth..];
        self.multiply(rows, cells, packed, columns.len(), depth, out);
    }

    /// Products of rows with panels of `depth`.
    fn multiply(
        &self,
        rows: usize,
        (cells, stride): (&[u32], usize),
        panels: &[u32],
        outputs: usize,
        depth: usize,
        out: Out<'_>,
    ) {
        let (dtype, width) = (self.scheme.dtype, self.kernels.panel_width());
        let weights = Panels { cells: panels, outputs, depth, width, dtype, integers: None };
        let product = Product { rows, cells, stride, factors: &[], weights, bias: None, gated: false, out };
        // SAFETY: what is written is scratch memory, or this head's part of rows that no other task has.
        unsafe { self.kernels.multiply(&product, 0..weights.count()) };
    }

    /// By what the rows of the sequence are turned, from one on.
    fn turns(&self, first: usize) -> Option<&[f32]> {
        self.scheme.turns.map(|turns| &turns[first * self.width..])
    }

    /// This head's part of some rows as cells, and how far apart they are: in float32, unless they are turned, those that
    /// are there.
    pub(super) fn cells<'b>(
        &self,
        rows_of: Columns<'b>,
        rows: Range<usize>,
        turns: Option<&[f32]>,
        room: &'b mut Room,
    ) -> (&'b [u32], usize) {
        let (mut values, mut stride) = (rows_of.from(rows.start, self.index * self.width), rows_of.stride);
        if let Some(turns) = turns {
            let turned = grown(&mut room.turned, rows.len() * self.width);
            self.kernels.rotate(values, self.width, stride, turns, turned);
            (values, stride) = (turned, self.width);
        }
        if self.scheme.dtype == Dtype::Float32 {
            return (bytemuck::cast_slice(values), stride);
        }
        let depth = self.scheme.dtype.cells(self.width);
        let cells = grown(&mut room.narrow, rows.len() * depth);
        self.kernels.narrow(values, self.width, stride, cells);
        (cells, depth)
    }

    /// Rows as outputs of a product: each is a column of a panel.
    pub(super) fn pack(
        &self,
        rows_of: Columns<'_>,
        rows: Range<usize>,
        turns: Option<&[f32]>,
        room: &mut Room,
        packed: &mut Vec<u32>,
    ) {
        let (count, panel) = (rows.len(), self.kernels.panel_width());
        let depth = self.scheme.dtype.cells(self.width);
        let packed = grown(packed, count.next_multiple_of(panel) * depth);
        for (first, packed) in (0..count).step_by(panel).zip(packed.chunks_exact_mut(panel * depth)) {
            let group = rows.start + first..rows.start + count.min(first + panel);
            let turns = turns.map(|turns| &turns[first * self.width..]);
            let (cells, stride) = self.cells(rows_of, group.clone(), turns, room);
            for (key, row) in cells.chunks(stride).take(group.len()).enumerate() {
                for (packed, &cell) in packed.chunks_exact_mut(panel).zip(&row[..depth]) {
                    packed[key] = cell;
                }
            }
        }
    }

    /// Columns of the values are the outputs of their product: each row is a row of the panels, or half of one.
    fn pack_values(&self, packed: &mut Vec<u32>) {
        let (length, panel, dtype) = (self.keys.len(), self.kernels.panel_width(), self.scheme.dtype);
        let depth = dtype.cells(length);
        let packed = grown(packed, self.width.next_multiple_of(panel) * depth);
        let value = |row: usize| &self.inputs[2].from(self.keys.start + row, self.index * self.width)[..self.width];
        let nothing = vec![0.0; self.width];
        for (group, packed) in packed.chunks_exact_mut(panel * depth).enumerate() {
            let columns = group * panel..self.width.min((group + 1) * panel);
            for (at, packed) in packed.chunks_exact_mut(panel).enumerate() {
                if dtype == Dtype::Float32 {
                    packed[..columns.len()].copy_from_slice(bytemuck::cast_slice(&value(at)[columns.clone()]));
                } else {
                    let high = if 2 * at + 1 < length { value(2 * at + 1) } else { &nothing };
                    self.kernels.interleave(&value(2 * at)[columns.clone()], &high[columns.clone()], packed);
                }
            }
        }
    }
}

/// The first elements of a buffer, which hold anything: of packed cells those behind the last output are never looked at.
pub(super) fn grown<T: Clone + Default>(buffer: &mut Vec<T>, length: usize) -> &mut [T] {
    if buffer.len() < length {
        buffer.resize(length, T::default());
    }
    &mut buffer[..length]
}
