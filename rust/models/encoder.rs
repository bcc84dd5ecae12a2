//! Embeddings, then one layer after the other.

use candle_core::Tensor;

use super::checkpoint::Checkpoint;
use super::family::{Place, Shape};
use crate::error::Result;
use crate::kernels::isa::has_bfloat16;
use crate::layers::{AttentionBlock, Context, Embeddings, EncoderLayer, FeedForward};
use crate::types::{Batch, Dtype, Rows};

/// A post-norm encoder.
#[derive(Debug)]
pub(super) struct Encoder {
    embeddings: Embeddings,
    layers: Vec<EncoderLayer>,
}

impl Encoder {
    pub(super) fn load(checkpoint: &Checkpoint<'_>, shape: &Shape, dtype: Dtype) -> Result<Self> {
        let names = checkpoint.names;
        let table = |name, rows| checkpoint.table(name, rows, shape.embedding);
        let embeddings = Embeddings {
            word: table(names.word, shape.vocabulary)?,
            segment: (shape.segments > 0).then(|| table(names.segment, shape.segments)).transpose()?,
            position: table(names.position, shape.position_rows)?,
            positions: shape.positions,
            norm: checkpoint.norm(names.embedding_norm, 0, shape.embedding, shape.norm_eps)?,
            projection: (shape.embedding != shape.hidden)
                .then(|| {
                    checkpoint.linear(
                        Dtype::Float32,
                        &[Place::Encoder(names.projection)],
                        0,
                        shape.hidden,
                        shape.embedding,
                    )
                })
                .transpose()?,
        };
        let layers = (0..shape.layers).map(|index| layer(checkpoint, shape, dtype, index)).collect::<Result<_>>()?;
        Ok(Self { embeddings, layers })
    }

    /// Hidden states of the rows that are `wanted`: `[tokens, hidden]` or `[sequences, hidden]`. The last layer
    /// computes no others.
    pub(super) fn forward(&self, batch: &Batch, wanted: Rows, context: &Context<'_>) -> Result<Tensor> {
        let mut xs = self.embeddings.forward(batch, context)?;
        for (index, layer) in self.layers.iter().enumerate() {
            let last = index + 1 == self.layers.len();
            xs = layer.forward(&xs, if last { wanted } else { Rows::All }, context)?;
        }
        Ok(xs)
    }

    pub(super) fn linear_parameters(&self) -> usize {
        let of_layer = |layer: &EncoderLayer| {
            let (attention, feed_forward) = (&layer.attention, &layer.feed_forward);
            [&attention.qkv, &attention.output, &feed_forward.up, &feed_forward.down]
                .map(crate::layers::Linear::parameters)
                .into_iter()
                .sum::<usize>()
        };
        self.layers.iter().map(of_layer).sum()
    }
}

fn layer(checkpoint: &Checkpoint<'_>, shape: &Shape, dtype: Dtype, index: usize) -> Result<EncoderLayer> {
    let names = checkpoint.names;
    let (hidden, intermediate) = (shape.hidden, shape.intermediate);
    let linear = |name, rows, columns| checkpoint.linear(dtype, &[Place::Encoder(name)], index, rows, columns);
    let norm = |name| checkpoint.norm(name, index, hidden, shape.norm_eps);
    let attention = AttentionBlock {
        qkv: checkpoint.linear(
            dtype,
            &[names.query, names.key, names.value].map(Place::Encoder),
            index,
            hidden,
            hidden,
        )?,
        heads: shape.heads,
        scores: scores(dtype),
        output: linear(names.attention_output, hidden, hidden)?,
        norm: norm(names.attention_norm)?,
    };
    let feed_forward = FeedForward {
        up: linear(names.up, intermediate, hidden)?,
        activation: shape.activation,
        down: linear(names.down, hidden, intermediate)?,
        norm: norm(names.output_norm)?,
    };
    Ok(EncoderLayer { attention, feed_forward })
}

/// What attention computes in beside layers of `dtype`: int8 is too coarse for it, and bfloat16 pays where it has an
/// instruction.
fn scores(dtype: Dtype) -> Dtype {
    match dtype {
        Dtype::Int8 if has_bfloat16() => Dtype::Bfloat16,
        Dtype::Int8 => Dtype::Float32,
        other => other,
    }
}
