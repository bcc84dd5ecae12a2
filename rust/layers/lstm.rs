//! Long short-term memory over ragged sequences: all of a batch advance together, step by step.

use super::context::Context;
use super::linear::Linear;
use super::profile::Stage;
use crate::error::Result;
use crate::kernels::{GATES, Inputs, Recurrence, lstm_row, lstm_step, lstm_units};
use crate::types::Dtype;
use crate::weights::{Mapped, Weights};

/// Sequences that advance together: enough for a product that is bound by arithmetic, few enough that their gates stay
/// in the cache.
const TOGETHER: usize = 128;

/// The recurrent weights of one layer in one direction.
#[derive(Debug)]
pub struct Lstm {
    weight: Linear,
    hidden: usize,
}

impl Lstm {
    /// Packs `weight_hh`, `[4 * hidden, hidden]`, out of the map.
    ///
    /// # Errors
    /// [`crate::Error::ModelFormat`] when a value is not finite.
    pub fn load(name: &str, dtype: Dtype, weight: &Mapped, weights: &Weights) -> Result<Self> {
        let hidden = weight.shape()[1];
        let units = lstm_units(hidden);
        let weight = Linear::load_rows(name, dtype, vec![0.0; GATES * units], units, weights, |place, values| {
            values.fill(0.0);
            lstm_row(place, hidden).map_or(Ok(()), |row| weight.read_finite(row * hidden, &mut values[..hidden]))
        })?;
        Ok(Self { weight, hidden })
    }

    /// Numbers of a state.
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// The layer that holds the weights.
    pub fn linear(&self) -> &Linear {
        &self.weight
    }
}

/// Numbers of a row of inputs to the gates of a layer, and which row of torch's weights each belongs to.
pub(super) fn gate_rows(hidden: usize) -> impl ExactSizeIterator<Item = Option<usize>> {
    (0..GATES * lstm_units(hidden)).map(move |place| lstm_row(place, hidden))
}

/// A layer that reads the sequences of a batch.
pub(super) struct Reading<'a> {
    pub(super) lstm: &'a Lstm,
    pub(super) inputs: Inputs<'a>,
    pub(super) sequences: Vec<Steps>,
    /// Where in a row of the output its states go.
    pub(super) column: usize,
}

/// What a layer reads of one sequence.
pub(super) struct Steps {
    /// For each step the row of inputs.
    pub(super) rows: Vec<u32>,
    /// Steps whose states are wanted, in their order, and the row of the output that each goes to.
    pub(super) wanted: Vec<(u32, usize)>,
}

/// Lets layers read side by side; the states that are wanted go into rows of `stride` numbers.
pub(super) fn read(readings: &[Reading<'_>], out: &mut [f32], stride: usize, context: &Context<'_>) -> Result<()> {
    let orders: Vec<Vec<usize>> = readings
        .iter()
        .map(|reading| {
            let mut order: Vec<usize> = (0..reading.sequences.len()).collect();
            order.sort_by_key(|&sequence| std::cmp::Reverse(reading.sequences[sequence].rows.len()));
            order
        })
        .collect();
    let sequences = orders.iter().map(Vec::len).max().unwrap_or(0);
    for first in (0..sequences).step_by(TOGETHER) {
        let group = |order: &[usize]| order[first.min(order.len())..(first + TOGETHER).min(order.len())].to_vec();
        let mut passes: Vec<Pass<'_>> = readings
            .iter()
            .zip(&orders)
            .map(|(reading, order)| Pass { reading, order: group(order), next: vec![0; TOGETHER], seen: Vec::new() })
            .collect();
        let mut layers: Vec<Recurrence<'_>> = passes
            .iter()
            .map(|pass| Recurrence::new(pass.reading.lstm.weight.packed(), pass.reading.inputs, pass.order.len()))
            .collect();
        for step in 0.. {
            let rows: Vec<Vec<u32>> = passes.iter().map(|pass| pass.rows(step)).collect();
            if rows.iter().all(Vec::is_empty) {
                break;
            }
            context.check()?;
            context.stage(Stage::Linear, || lstm_step(&mut layers, &rows));
            for (pass, layer) in passes.iter_mut().zip(&layers) {
                pass.keep(step, layer, out, stride);
                if context.records() {
                    pass.see(step, layer);
                }
            }
        }
        for pass in passes {
            context.record(pass.reading.lstm.weight.name(), || pass.seen);
        }
    }
    Ok(())
}

/// A reading on its way over some of its sequences, the longest first.
struct Pass<'a> {
    reading: &'a Reading<'a>,
    order: Vec<usize>,
    /// For each of them, the first state that is wanted and not there yet.
    next: Vec<usize>,
    /// What was recorded of the states.
    seen: Vec<f32>,
}

impl Pass<'_> {
    /// The rows of inputs of a step, of the sequences that have it.
    fn rows(&self, step: usize) -> Vec<u32> {
        let row = |&sequence: &usize| self.reading.sequences[sequence].rows.get(step).copied();
        self.order.iter().map_while(row).collect()
    }

    /// Records one state of a step, in turn of each sequence: all of them would be hundreds of megabytes.
    fn see(&mut self, step: usize, layer: &Recurrence<'_>) {
        let going = self.rows(step).len();
        self.seen.extend(step.checked_rem(going).map_or(&[][..], |sequence| layer.state(sequence)));
    }

    /// Writes down the states that are wanted of a step.
    fn keep(&mut self, step: usize, layer: &Recurrence<'_>, out: &mut [f32], stride: usize) {
        let (hidden, column) = (self.reading.lstm.hidden, self.reading.column);
        for (at, (&sequence, next)) in self.order.iter().zip(&mut self.next).enumerate() {
            let wanted = &self.reading.sequences[sequence].wanted;
            while let Some(&(_, row)) = wanted.get(*next).filter(|(wanted, _)| *wanted as usize == step) {
                out[row * stride + column..][..hidden].copy_from_slice(&layer.state(at)[..hidden]);
                *next += 1;
            }
        }
    }
}
