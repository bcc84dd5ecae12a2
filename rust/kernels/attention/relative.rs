//! What scores have beside the product of query and key: terms of the distance between them.

use std::ops::Range;

use super::Scores;
use super::head::{Head, Room, grown};
use crate::kernels::gemm::Out;

impl Scores<'_> {
    /// Panics unless there is a place for each distance in a sequence of `longest` rows.
    pub(super) fn check(&self, longest: usize, heads: usize) {
        let distances = match *self {
            Scores::Plain => return,
            Scores::Table(table) => table.len() / heads,
            Scores::Relative { index, .. } => index.len(),
        };
        assert!(distances % 2 == 1, "attention: {distances} distances are not as many before as behind");
        assert!(distances >= 2 * longest - 1, "attention: {distances} distances are too few for {longest} rows");
    }
}

/// What one head keeps of its terms.
#[derive(Default)]
pub(super) struct Terms {
    /// Packed rows that queries meet.
    keys: Vec<u32>,
    /// Packed rows that keys meet.
    queries: Vec<u32>,
    /// Products of a block's queries with the first.
    of_queries: Vec<f32>,
    /// Products of all keys with the second.
    of_keys: Vec<f32>,
}

impl Terms {
    /// What is the same for all blocks of queries.
    pub(super) fn prepare(&mut self, head: &Head<'_>, room: &mut Room) {
        let Scores::Relative { keys, queries, index } = head.scheme.scores else { return };
        let rows = rows(index);
        if let Some(keys) = keys {
            head.pack(keys, 0..rows, None, room, &mut self.keys);
        }
        if let Some(queries) = queries {
            head.pack(queries, 0..rows, None, room, &mut self.queries);
            let cells = head.cells(head.inputs[1], head.keys.clone(), head.scheme.turns, room);
            multiply(head, head.keys.len(), cells, &self.queries, rows, &mut self.of_keys);
        }
    }

    /// Adds the terms to the scores of a block of queries, `[queries, seen keys]`.
    pub(super) fn add(
        &mut self,
        head: &Head<'_>,
        cells: (&[u32], usize),
        block: Range<usize>,
        seen: &Range<usize>,
        scores: &mut [f32],
    ) {
        let rows_of = block.clone().zip(scores.chunks_exact_mut(seen.len()));
        match head.scheme.scores {
            Scores::Plain => {}
            Scores::Table(table) => {
                let distances = table.len() / head.scheme.heads;
                let table = &table[head.index * distances..][..distances];
                for (query, row) in rows_of {
                    for (score, term) in row.iter_mut().zip(&table[place(distances, query, seen)..]) {
                        *score = *score * head.scheme.scale + term;
                    }
                }
            }
            Scores::Relative { keys, queries, index } => {
                let rows = rows(index);
                if keys.is_some() {
                    multiply(head, block.len(), cells, &self.keys, rows, &mut self.of_queries);
                }
                for ((query, row), at) in rows_of.zip(0..) {
                    let index = &index[place(index.len(), query, seen)..];
                    if keys.is_some() {
                        let terms = &self.of_queries[at * rows..][..rows];
                        for (score, &of) in row.iter_mut().zip(index) {
                            *score += terms[of as usize];
                        }
                    }
                    if queries.is_some() {
                        let terms = self.of_keys[seen.start * rows..].chunks_exact(rows);
                        for ((score, &of), terms) in row.iter_mut().zip(index).zip(terms) {
                            *score += terms[of as usize];
                        }
                    }
                }
            }
        }
    }
}

/// Where in a table of so many distances the one from a query to the first key that is seen stands.
fn place(distances: usize, query: usize, seen: &Range<usize>) -> usize {
    distances / 2 + seen.start - query
}

/// Rows that an index reaches.
fn rows(index: &[u32]) -> usize {
    index.iter().max().map_or(0, |&last| last as usize + 1)
}

/// `[rows, outputs]` products with packed rows.
fn multiply(
    head: &Head<'_>,
    rows: usize,
    cells: (&[u32], usize),
    packed: &[u32],
    outputs: usize,
    products: &mut Vec<f32>,
) {
    head.product(rows, cells, packed, 0..outputs, Out::new(grown(products, rows * outputs), outputs));
}
