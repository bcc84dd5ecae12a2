//! From hidden states to logits.

use candle_core::Tensor;

use super::checkpoint::Checkpoint;
use super::dtypes::Dtypes;
use super::family::{Family, HeadActivation, Place, TokenHead};
use super::shape::{Pooling, Shape, activation};
use crate::config::{Config, Task};
use crate::error::{Error, Result};
use crate::kernels::Activation;
use crate::layers::{Context, LayerNorm, Linear, mean_rows};
use crate::types::{Dtype, Rows};

/// What a network does with its last hidden states.
#[derive(Debug)]
pub(super) struct Head {
    /// `None` = every row is answered.
    pooling: Option<Pooling>,
    inner: Option<Inner>,
    /// `[labels, hidden]`.
    output: Linear,
}

/// What rows go through first.
#[derive(Debug)]
struct Inner {
    /// `[hidden, hidden]`.
    dense: Linear,
    activation: Activation,
    norm: Option<LayerNorm>,
}

impl Head {
    pub(super) fn load(
        checkpoint: &Checkpoint<'_>,
        family: &Family,
        task: Task,
        shape: &Shape,
        config: &Config,
    ) -> Result<Self> {
        let (head, labels, hidden) = (&family.sequence_head, config.labels.len(), shape.hidden);
        if task == Task::TokenClassification && head.tokens == TokenHead::None {
            let (what, got) = ("task", format!("{} of {}", task.name(), family.model_type));
            return Err(Error::Unsupported { what, got, supported: Task::TextClassification.name().to_owned() });
        }
        let (output, pooling) = match task {
            Task::TokenClassification => (Place::Top("classifier"), None),
            Task::TextClassification => (Place::Top(head.output), Some(shape.pooling)),
        };
        if !checkpoint.has(output) {
            let task = task.name();
            return Err(checkpoint.error(format!("no {task} head: expected {}, got none", output.name())));
        }
        let exact = Dtypes::all(Dtype::Float32);
        let inner = || {
            Ok::<_, Error>(Inner {
                dense: checkpoint.linear(&exact, &[head.dense], "", [hidden, hidden], shape.biases.head)?,
                activation: match head.activation {
                    HeadActivation::Always(activation) => activation,
                    HeadActivation::Key(key) => activation(config, key)?,
                },
                norm: head.norm.map(|norm| checkpoint.norm(norm, "", hidden, shape)).transpose()?,
            })
        };
        Ok(Self {
            inner: (pooling.is_some() || head.tokens == TokenHead::AsSequences).then(inner).transpose()?,
            output: checkpoint.linear(&exact, &[output], "", [labels, hidden], true)?,
            pooling,
        })
    }

    /// Which of the encoder's hidden states it needs.
    pub(super) fn reads(&self) -> Rows {
        match self.pooling {
            None | Some(Pooling::Mean | Pooling::Decoded) => Rows::All,
            Some(Pooling::First) => Rows::First,
        }
    }

    /// `[rows, hidden]` to `[rows, labels]`, or to `[sequences, labels]`.
    pub(super) fn forward(&self, xs: &Tensor, context: &Context<'_>) -> Result<Tensor> {
        let mut xs = if self.pooling == Some(Pooling::Mean) { mean_rows(xs, context)? } else { xs.clone() };
        if let Some(Inner { dense, activation, norm }) = &self.inner {
            xs = dense.forward(&xs, *activation, context)?;
            norm.as_ref().map_or(Ok(()), |norm| norm.forward(&xs))?;
        }
        self.output.forward(&xs, Activation::Linear, context)
    }

    pub(super) fn parameters(&self) -> usize {
        self.inner.as_ref().map_or(0, |inner| inner.dense.parameters()) + self.output.parameters()
    }
}
