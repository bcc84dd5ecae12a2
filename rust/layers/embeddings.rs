//! The sum of a token's word, segment and position rows, normalized, and projected where its width differs.

use std::sync::{Mutex, PoisonError};

use candle_core::{Device, Tensor};

use super::context::Context;
use super::linear::Linear;
use super::norm::LayerNorm;
use super::profile::Stage;
use crate::error::Result;
use crate::kernels::{self, Activation};
use crate::types::Batch;
use crate::weights::Mapped;

/// A table of rows that stays in the map: a text touches few of them.
#[derive(Debug, Clone)]
pub struct Table(Mapped);

impl Table {
    /// A table `[rows, width]`.
    pub fn new(tensor: Mapped) -> Self {
        Self(tensor)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.0.shape()[0]
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.0.shape()[1]
    }

    /// All rows, `[rows, width]`.
    ///
    /// # Errors
    /// [`crate::Error::ModelFormat`] when one holds NaN or infinity.
    pub fn all(&self) -> Result<Vec<f32>> {
        let mut values = vec![0.0; self.rows() * self.width()];
        for (row, out) in (0..).zip(values.chunks_exact_mut(self.width())) {
            self.read(row, out)?;
        }
        Ok(values)
    }

    pub(crate) fn read(&self, row: u32, out: &mut [f32]) -> Result<()> {
        self.0.read(row as usize * self.width(), out);
        // Of all values, as a search that may end early is not vectorised.
        if out.iter().fold(true, |finite, value| finite & value.is_finite()) {
            return Ok(());
        }
        let value = out.iter().find(|value| !value.is_finite());
        Err(self.0.error(format!("expected finite values, got {} in row {row}", value.unwrap_or(&f32::NAN))))
    }
}

/// Which row of the position table a token takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Positions {
    /// Counted from this row on.
    From(u32),
    /// None: the network has no table of places.
    Nowhere,
    /// RoBERTa's: counted from the padding id + 1 over the tokens that are not padding; padding takes its own row.
    AfterPadding(u32),
}

impl Positions {
    /// How many tokens a table of `rows` rows has positions for.
    pub fn limit(self, rows: usize) -> usize {
        match self {
            Self::From(first) => rows.saturating_sub(first as usize),
            Self::Nowhere => usize::MAX,
            Self::AfterPadding(padding) => rows.saturating_sub(padding as usize + 1),
        }
    }

    /// The rows of one sequence.
    fn of(self, ids: &[u32]) -> Vec<u32> {
        match self {
            Self::From(first) => (first..).take(ids.len()).collect(),
            Self::Nowhere => vec![0; ids.len()],
            Self::AfterPadding(padding) => {
                let mut last = padding;
                let next = |&id: &u32| {
                    if id == padding {
                        padding
                    } else {
                        last += 1;
                        last
                    }
                };
                ids.iter().map(next).collect()
            }
        }
    }
}

/// Tokens whose rows one thread gathers at a time.
const RUN: usize = 8;

/// The first brick of every encoder.
#[derive(Debug)]
pub struct Embeddings {
    /// A row per vocabulary entry.
    pub word: Table,
    /// What its rows are multiplied with.
    pub scale: f32,
    /// A row per segment, where the network knows segments.
    pub segment: Option<Table>,
    /// A row per position, where the network has them.
    pub position: Option<Table>,
    /// Which of them a token takes.
    pub positions: Positions,
    /// Over the sum, where there is one.
    pub norm: Option<LayerNorm>,
    /// From the tables' width to the network's, where they differ.
    pub projection: Projection,
}

/// Where rows get the network's width.
#[derive(Debug)]
pub enum Projection {
    /// They have it.
    None,
    /// Before the norm.
    BeforeNorm(Linear),
    /// After it.
    AfterNorm(Linear),
}

impl Embeddings {
    /// `[tokens]` ids to `[tokens, hidden]`. Ids, segments and lengths were checked against the tables when the batch
    /// was made.
    ///
    /// # Errors
    /// [`crate::Error::ModelFormat`] when a row that is met holds NaN or infinity.
    pub fn forward(&self, batch: &Batch, context: &Context<'_>) -> Result<Tensor> {
        let xs = context.stage(Stage::Embeddings, || self.sum(batch, context))?;
        let normalized = |xs: Tensor| {
            context.stage(Stage::Embeddings, || self.norm.as_ref().map_or(Ok(()), |norm| norm.forward(&xs)))?;
            Ok(xs)
        };
        match &self.projection {
            Projection::None => normalized(xs),
            Projection::BeforeNorm(projection) => normalized(projection.forward(&xs, Activation::Linear, context)?),
            Projection::AfterNorm(projection) => projection.forward(&normalized(xs)?, Activation::Linear, context),
        }
    }

    /// `[tokens, width of the tables]`.
    fn sum(&self, batch: &Batch, context: &Context<'_>) -> Result<Tensor> {
        let width = self.word.width();
        let positions: Vec<u32> = context.bounds.rows().flat_map(|rows| self.positions.of(&batch.ids[rows])).collect();
        let mut values = vec![0.0; batch.ids.len() * width];
        let runs: Vec<_> = values.chunks_mut(RUN * width).map(Mutex::new).collect();
        let done = kernels::map(runs.len(), |run| {
            let mut values = runs[run].lock().unwrap_or_else(PoisonError::into_inner);
            let mut row = vec![0.0; width];
            for (token, out) in (run * RUN..).zip(values.chunks_exact_mut(width)) {
                self.word.read(batch.ids[token], out)?;
                if self.scale != 1.0 {
                    for value in out.iter_mut() {
                        *value *= self.scale;
                    }
                }
                if let Some(segment) = &self.segment {
                    segment.read(batch.type_ids[token], &mut row)?;
                    add(out, &row);
                }
                if let Some(position) = &self.position {
                    position.read(positions[token], &mut row)?;
                    add(out, &row);
                }
            }
            Ok(())
        });
        drop(runs);
        done.into_iter().collect::<Result<()>>()?;
        Ok(Tensor::from_vec(values, (batch.ids.len(), width), &Device::Cpu)?)
    }
}

fn add(sum: &mut [f32], row: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(row) {
        *sum += value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_follow_the_padding_id() {
        assert_eq!(Positions::From(0).of(&[5, 5, 5]), [0, 1, 2]);
        assert_eq!((Positions::From(2).of(&[5, 5, 5]), Positions::From(2).limit(66)), (vec![2, 3, 4], 64));
        assert_eq!(Positions::AfterPadding(1).of(&[0, 9, 1, 8]), [2, 3, 1, 4]);
        assert_eq!(Positions::AfterPadding(1).limit(514), 512);
    }
}
