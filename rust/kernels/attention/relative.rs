//! What scores have beside the product of query and key: terms of the distance between them.

use std::ops::Range;

use super::head::{Head, NEIGHBOURS, Room, grown};
use super::{PackedRows, Scores};
use crate::kernels::gemm::Out;

impl Scores<'_> {
    /// Panics unless there is a place for each distance in a sequence of `longest` rows.
    pub(super) fn check(&self, longest: usize, heads: usize) {
        let distances = match *self {
            Scores::Plain => return,
            Scores::Table(table) => table.len() / heads,
            Scores::Relative { keys, queries, index } => {
                let rows = keys.into_iter().chain(queries).map(PackedRows::rows).min().unwrap_or(0);
                assert!(
                    index.iter().all(|&row| (row as usize) < rows),
                    "attention: a distance has none of {rows} rows"
                );
                index.len()
            }
        };
        assert!(distances % 2 == 1, "attention: {distances} distances are not as many before as behind");
        assert!(distances >= 2 * longest - 1, "attention: {distances} distances are too few for {longest} rows");
    }
}

/// What one head keeps of its terms.
#[derive(Default)]
pub(super) struct Terms {
    /// Products of a block's queries with rows in their reach.
    of_queries: Vec<f32>,
    /// Products of each key with rows in its reach.
    of_keys: Vec<f32>,
    /// Rows in reach of any key; the first one begins a panel.
    reach: Range<usize>,
    /// Places of the index, each with the row behind the last one's.
    straight: Range<usize>,
}

impl Terms {
    /// What is the same for all blocks of queries.
    pub(super) fn prepare(&mut self, head: &Head<'_>, room: &mut Room) {
        let Scores::Relative { queries, index, .. } = head.scheme.scores else { return };
        self.straight = straight(index);
        let Some(queries) = queries else { return };
        // Of the places that this sequence has.
        let (middle, length) = (index.len() / 2, head.keys.len());
        let own = middle + 1 - length..middle + length;
        self.reach = reach(&index[own], head.kernels.panel_width());
        let (cells, apart) = head.cells(head.inputs[1], head.keys.clone(), head.scheme.turns, room);
        let stride = stride(&self.reach);
        let products = Out::new(grown(&mut self.of_keys, length * stride), stride);
        for first in (0..length).step_by(NEIGHBOURS) {
            let keys = first..length.min(first + NEIGHBOURS);
            let reach = reach(&index[middle + 1 + first - length..middle + keys.end], head.kernels.panel_width());
            let out = products.from(first, reach.start - self.reach.start);
            head.product(keys.len(), (&cells[first * apart..], apart), queries.of_head(head.index), reach, out);
        }
    }

    /// Adds the terms to the scores of a block of queries, `[queries, seen keys]`, whose rows may be longer.
    pub(super) fn add(
        &mut self,
        head: &Head<'_>,
        cells: (&[u32], usize),
        block: Range<usize>,
        seen: &Range<usize>,
        scores: &mut [f32],
    ) {
        let rows_of = scores.chunks_exact_mut(scores.len() / block.len());
        let rows_of = block.clone().zip(rows_of.map(|row| &mut row[..seen.len()]));
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
                let Self { of_queries, of_keys, reach: all, straight } = self;
                let own = place(index.len(), block.end - 1, seen)..place(index.len(), block.start, seen) + seen.len();
                let reach = &reach(&index[own], head.kernels.panel_width());
                if let Some(keys) = keys {
                    let of_queries = grown(of_queries, block.len() * reach.len());
                    let out = Out::new(of_queries, reach.len());
                    head.product(block.len(), cells, keys.of_head(head.index), reach.clone(), out);
                }
                for ((query, row), at) in rows_of.zip(0..) {
                    let first = place(index.len(), query, seen);
                    let straight = [straight.start, straight.end].map(|end| end.saturating_sub(first).min(row.len()));
                    let way = Way { index: &index[first..][..row.len()], straight: straight[0]..straight[1] };
                    if keys.is_some() {
                        way.add(&of_queries[at * reach.len()..][..reach.len()], reach.start, 0, row);
                    }
                    if queries.is_some() {
                        way.add(&of_keys[seen.start * stride(all)..], all.start, stride(all), row);
                    }
                }
            }
        }
    }
}

/// From the first key that a query sees to the last one.
struct Way<'a> {
    /// The row of each.
    index: &'a [u32],
    /// Keys of which each has the row behind the last one's.
    straight: Range<usize>,
}

impl Way<'_> {
    /// Adds to each score the term of its row. The first term is that of row `start`; those of the next key begin `step`
    /// terms later.
    fn add(&self, terms: &[f32], start: usize, step: usize, scores: &mut [f32]) {
        let Range { start: first, end } = self.straight;
        for keys in [0..first, end..scores.len()] {
            let bases = (keys.start..).map(|key| key * step);
            for ((score, &row), base) in scores[keys.clone()].iter_mut().zip(&self.index[keys]).zip(bases) {
                *score += terms[base + row as usize - start];
            }
        }
        // Without looking up each: terms side by side are added as vectors.
        let Some(&row) = self.index[self.straight.clone()].first() else { return };
        let (terms, scores) = (&terms[first * step + row as usize - start..], &mut scores[self.straight.clone()]);
        if step == 0 {
            scores.iter_mut().zip(terms).for_each(|(score, term)| *score += term);
        } else {
            scores.iter_mut().zip(terms.iter().step_by(step + 1)).for_each(|(score, term)| *score += term);
        }
    }
}

/// Where in a table of so many distances the one from a query to the first key that is seen stands.
fn place(distances: usize, query: usize, seen: &Range<usize>) -> usize {
    distances / 2 + seen.start - query
}

/// Rows that places of an index reach, from the beginning of a panel on.
fn reach(index: &[u32], panel: usize) -> Range<usize> {
    let [first, last] = [index.iter().min(), index.iter().max()].map(|row| row.map_or(0, |&row| row as usize));
    first - first % panel..last + 1
}

/// Places around the middle, each with the row behind the last one's.
fn straight(index: &[u32]) -> Range<usize> {
    let (before, behind) = index.split_at(index.len() / 2);
    let steps = |pair: &&[u32]| pair[0] + 1 == pair[1];
    let up = behind.windows(2).take_while(steps).count();
    let down = before.windows(2).rev().take_while(steps).count();
    let joined = before.last().is_some_and(|last| last + 1 == behind[0]);
    (if joined { before.len() - 1 - down } else { before.len() })..before.len() + 1 + up
}

/// Terms from one key's row of them to the next one's. A query reads a diagonal, `stride + 1` terms from key to key: an odd
/// number of lines, as then all sets of the cache are used and not a few of them (0.93 of the time with 512 tokens).
fn stride(reach: &Range<usize>) -> usize {
    const LINE: usize = 16;
    ((reach.len() + 1).div_ceil(LINE) | 1) * LINE - 1
}
