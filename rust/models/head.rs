//! From hidden states to logits.

use candle_core::Tensor;

use super::checkpoint::Checkpoint;
use super::dtypes::Dtypes;
use super::family::{Family, HeadActivation, Place};
use super::shape::activation;
use crate::config::{Config, Task};
use crate::error::Result;
use crate::kernels::Activation;
use crate::layers::{Context, Linear};
use crate::types::{Dtype, Rows};

/// What a network does with its last hidden states.
#[derive(Debug)]
pub(super) enum Head {
    /// Every row through one dense layer.
    Token(Linear),
    /// The first row of a sequence through two.
    Sequence {
        /// `[hidden, hidden]`.
        dense: Linear,
        /// Between the two.
        activation: Activation,
        /// `[labels, hidden]`.
        output: Linear,
    },
}

impl Head {
    pub(super) fn load(
        checkpoint: &Checkpoint<'_>,
        family: &Family,
        task: Task,
        hidden: usize,
        config: &Config,
    ) -> Result<Self> {
        let (head, labels) = (&family.sequence_head, config.labels.len());
        let output = Place::Top(match task {
            Task::TokenClassification => "classifier",
            Task::TextClassification => head.output,
        });
        if !checkpoint.has(output) {
            let task = task.name();
            return Err(checkpoint.error(format!("no {task} head: expected {}, got none", output.name())));
        }
        let exact = Dtypes::all(Dtype::Float32);
        let output = checkpoint.linear(&exact, &[output], "", labels, hidden)?;
        Ok(match task {
            Task::TokenClassification => Self::Token(output),
            Task::TextClassification => Self::Sequence {
                dense: checkpoint.linear(&exact, &[head.dense], "", hidden, hidden)?,
                activation: match head.activation {
                    HeadActivation::Always(activation) => activation,
                    HeadActivation::Key(key) => activation(config, key)?,
                },
                output,
            },
        })
    }

    /// Which hidden states it needs.
    pub(super) fn reads(&self) -> Rows {
        match self {
            Self::Token(_) => Rows::All,
            Self::Sequence { .. } => Rows::First,
        }
    }

    /// `[rows, hidden]` to `[rows, labels]`.
    pub(super) fn forward(&self, xs: &Tensor, context: &Context<'_>) -> Result<Tensor> {
        match self {
            Self::Token(output) => output.forward(xs, Activation::Linear, context),
            Self::Sequence { dense, activation, output } => {
                let xs = dense.forward(xs, *activation, context)?; // (sequences, hidden)
                output.forward(&xs, Activation::Linear, context)
            }
        }
    }

    pub(super) fn parameters(&self) -> usize {
        match self {
            Self::Token(output) => output.parameters(),
            Self::Sequence { dense, output, .. } => dense.parameters() + output.parameters(),
        }
    }
}
