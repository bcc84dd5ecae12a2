//! A recurrent layer that reads in both directions.

use candle_core::Tensor;

use super::context::Context;
use super::fold::Inner;
use super::linear::Linear;
use super::lstm::{Lstm, Reading, Steps, gate_rows, read};
use super::ops::map_rows;
use crate::error::Result;
use crate::kernels::{Activation, Inputs};
use crate::types::Dtype;
use crate::weights::{Mapped, Weights};

/// Both directions of a layer.
#[derive(Debug)]
pub struct BiLstm {
    /// What comes to the gates of both from outside, one after the other: `[2 * gates, inputs]`.
    inputs: Linear,
    directions: [Lstm; 2],
}

/// The tensors of one direction, by torch's names.
#[derive(Debug, Clone, Copy)]
pub struct Direction<'a> {
    /// `weight_ih`, `[4 * hidden, inputs]`.
    pub input: &'a Mapped,
    /// `weight_hh`, `[4 * hidden, hidden]`.
    pub recurrent: &'a Mapped,
    /// `bias_ih` and `bias_hh`, `[4 * hidden]`.
    pub biases: [&'a Mapped; 2],
}

impl Direction<'_> {
    /// `weight_ih`, widened.
    fn values(&self) -> Result<Vec<f32>> {
        let mut values = Vec::new();
        self.input.append_finite(&mut values)?;
        Ok(values)
    }

    /// The sum of both biases, in f64, as nothing comes between them.
    pub(super) fn bias(&self) -> Result<Vec<f64>> {
        let mut sums = vec![0.0; self.recurrent.shape()[0]];
        for bias in self.biases {
            let mut values = Vec::new();
            bias.append_finite(&mut values)?;
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += f64::from(value);
            }
        }
        Ok(sums)
    }
}

impl BiLstm {
    /// Packs a layer, forward and backward; `dtypes` says by name what its dense layers are held in. With `inner`, which
    /// gives what the layer reads, it reads what that one does.
    ///
    /// # Errors
    /// [`crate::Error::ModelFormat`] when a value is not finite.
    pub fn load(
        name: &str,
        parts: [Direction<'_>; 2],
        inner: Option<Inner<'_>>,
        dtypes: &dyn Fn(&str) -> Dtype,
        weights: &Weights,
    ) -> Result<Self> {
        let rows: Vec<_> = gate_rows(parts[0].recurrent.shape()[1]).collect();
        let mut bias = Vec::with_capacity(2 * rows.len());
        let outer = inner.map_or(Ok(Vec::new()), |_| parts.iter().map(Direction::values).collect::<Result<_>>())?;
        for (direction, part) in parts.iter().enumerate() {
            let mut sums = part.bias()?;
            if let Some(inner) = &inner {
                inner.fold_bias(&outer[direction])?.iter().zip(&mut sums).for_each(|(more, sum)| *sum += more);
            }
            bias.extend(rows.iter().map(|row| row.map_or(0.0, |row| sums[row] as f32)));
        }
        let input = inner.map_or_else(|| format!("{name}.input"), |inner| inner.name.to_owned());
        let (dtype, width) = (dtypes(&input), inner.map_or(parts[0].input, |inner| inner.weight).shape()[1]);
        let folded = match inner {
            Some(inner) if weights.packed(&input, dtype, bias.len(), width).is_none() => {
                outer.iter().map(|rows| inner.fold(rows)).collect::<Result<Vec<_>>>()?
            }
            _ => Vec::new(),
        };
        let inputs = Linear::load_rows(&input, dtype, bias, width, weights, |place, values| {
            let (direction, row) = (place / rows.len(), rows[place % rows.len()]);
            match (row, folded.get(direction)) {
                (Some(row), Some(folded)) => values.copy_from_slice(&folded[row * width..][..width]),
                (Some(row), None) => parts[direction].input.read_finite(row * width, values)?,
                (None, _) => values.fill(0.0),
            }
            Ok(())
        })?;
        let recurrent = |direction: &str, part: &Direction<'_>| {
            let name = format!("{name}.{direction}");
            Lstm::load(&name, dtypes(&name), part.recurrent, weights)
        };
        let directions = [recurrent("forward", &parts[0])?, recurrent("backward", &parts[1])?];
        Ok(Self { inputs, directions })
    }

    /// `[tokens, inputs]` to `[tokens, 2 * hidden]`, forward states first.
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`] when the batch was cancelled.
    pub fn forward(&self, xs: &Tensor, context: &Context<'_>) -> Result<Tensor> {
        let tokens = context.bounds.tokens();
        let (hidden, stride) = (self.directions[0].hidden(), self.inputs.outputs());
        let gates = self.inputs.forward(xs, Activation::Linear, context)?;
        let mut done = Ok(());
        let states = map_rows(&gates, tokens, 2 * hidden, |values, out| {
            let readings: Vec<Reading<'_>> = self
                .directions
                .iter()
                .enumerate()
                .map(|(at, lstm)| Reading {
                    lstm,
                    inputs: Inputs { values, stride, first: at * stride / 2 },
                    sequences: context.bounds.rows().map(|rows| steps(rows, at == 1)).collect(),
                    column: at * hidden,
                })
                .collect();
            done = read(&readings, out, 2 * hidden, context);
        })?;
        done.map(|()| states)
    }

    /// Its dense layers.
    pub fn linears(&self) -> impl Iterator<Item = &Linear> {
        std::iter::once(&self.inputs).chain(self.directions.iter().map(Lstm::linear))
    }
}

/// The rows of a sequence one by one, every state being wanted.
fn steps(rows: std::ops::Range<usize>, backward: bool) -> Steps {
    let rows: Vec<u32> =
        if backward { rows.rev().map(|row| row as u32).collect() } else { rows.map(|row| row as u32).collect() };
    let wanted = (0..).zip(&rows).map(|(step, &row)| (step, row as usize)).collect();
    Steps { rows, wanted }
}
