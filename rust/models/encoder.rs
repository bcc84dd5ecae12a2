//! Embeddings, then one layer after the other.

use std::cell::RefCell;

use candle_core::Tensor;

use super::Work;
use super::checkpoint::Checkpoint;
use super::dtypes::Dtypes;
use super::family::{Place, Shape};
use crate::error::Result;
use crate::layers::{AttentionBlock, Context, Embeddings, EncoderLayer, FeedForward, Linear};
use crate::types::{Batch, Dtype, Rows};

/// A post-norm encoder.
#[derive(Debug)]
pub(super) struct Encoder {
    embeddings: Embeddings,
    layers: Vec<EncoderLayer>,
}

impl Encoder {
    pub(super) fn load(checkpoint: &Checkpoint<'_>, shape: &Shape, dtypes: &Dtypes) -> Result<Self> {
        let embeddings = embeddings(checkpoint, shape)?;
        let layers = (0..shape.layers).map(|index| layer(checkpoint, shape, dtypes, index)).collect::<Result<_>>()?;
        Ok(Self { embeddings, layers })
    }

    /// Hidden states of the rows that are `wanted`: `[tokens, hidden]` or `[sequences, hidden]`. The last layer
    /// computes no others.
    pub(super) fn forward(&self, batch: &Batch, wanted: Rows, context: &Context<'_>) -> Result<Tensor> {
        let mut xs = self.embeddings.forward(batch, context)?;
        for (index, layer) in self.layers.iter().enumerate() {
            let last = index + 1 == self.layers.len();
            xs = layer.forward(xs, if last { wanted } else { Rows::All }, context)?;
        }
        Ok(xs)
    }

    /// Its dense layers.
    pub(super) fn linears(&self) -> impl Iterator<Item = &Linear> {
        self.layers.iter().flat_map(EncoderLayer::linears)
    }

    pub(super) fn work(&self, tokens: usize, wanted: Rows) -> Work {
        let mut work = Work { bytes: 0, dense: 0, attention: 0 };
        for (index, layer) in self.layers.iter().enumerate() {
            let last = index + 1 == self.layers.len();
            let rows = if last && wanted == Rows::First { 1 } else { tokens };
            for (at, linear) in layer.linears().into_iter().enumerate() {
                let packed = linear.packed();
                work.bytes += packed.bytes().len();
                // Keys and values are needed of every row.
                work.dense += 2 * packed.outputs() * packed.inputs() * if at == 0 { tokens } else { rows };
            }
            work.attention += 4 * rows * tokens * layer.attention.output.outputs();
        }
        work
    }

    pub(super) fn linear_parameters(&self) -> usize {
        self.linears().map(Linear::parameters).sum()
    }
}

/// Hidden states of the rows that are `wanted`, in float32, and for each dense layer its name and how far its products
/// move in int8. Layer by layer out of the map, so that no more than one layer is held at a time.
pub(super) fn examine(
    checkpoint: &Checkpoint<'_>,
    shape: &Shape,
    batch: &Batch,
    wanted: Rows,
) -> Result<(Tensor, Vec<(String, f64)>)> {
    let inputs = RefCell::default();
    let context = Context::new(&batch.bounds, &|| false).recorded(&inputs);
    let mut xs = embeddings(checkpoint, shape)?.forward(batch, &context)?;
    let mut moved = Vec::new();
    for index in 0..shape.layers {
        inputs.borrow_mut().clear();
        let [exact, narrow] =
            [Dtype::Float32, Dtype::Int8].map(|dtype| layer(checkpoint, shape, &Dtypes::all(dtype), index));
        let (exact, narrow) = (exact?, narrow?);
        let last = index + 1 == shape.layers;
        xs = exact.forward(xs, if last { wanted } else { Rows::All }, &context)?;
        for ((exact, narrow), input) in exact.linears().into_iter().zip(narrow.linears()).zip(&*inputs.borrow()) {
            moved.push((exact.name().to_owned(), exact.difference(narrow, input)));
        }
    }
    Ok((xs, moved))
}

fn embeddings(checkpoint: &Checkpoint<'_>, shape: &Shape) -> Result<Embeddings> {
    let names = checkpoint.names;
    let table = |name, rows| checkpoint.table(name, rows, shape.embedding);
    Ok(Embeddings {
        word: table(names.word, shape.vocabulary)?,
        segment: (shape.segments > 0).then(|| table(names.segment, shape.segments)).transpose()?,
        position: table(names.position, shape.position_rows)?,
        positions: shape.positions,
        norm: checkpoint.norm(names.embedding_norm, 0, shape.embedding, shape.norm_eps)?,
        projection: (shape.embedding != shape.hidden)
            .then(|| {
                checkpoint.linear(
                    &Dtypes::all(Dtype::Float32),
                    &[Place::Encoder(names.projection)],
                    0,
                    shape.hidden,
                    shape.embedding,
                )
            })
            .transpose()?,
    })
}

fn layer(checkpoint: &Checkpoint<'_>, shape: &Shape, dtypes: &Dtypes, index: usize) -> Result<EncoderLayer> {
    let names = checkpoint.names;
    let (hidden, intermediate) = (shape.hidden, shape.intermediate);
    let linear = |name, rows, columns| checkpoint.linear(dtypes, &[Place::Encoder(name)], index, rows, columns);
    let norm = |name| checkpoint.norm(name, index, hidden, shape.norm_eps);
    let attention = AttentionBlock {
        qkv: checkpoint.linear(
            dtypes,
            &[names.query, names.key, names.value].map(Place::Encoder),
            index,
            hidden,
            hidden,
        )?,
        heads: shape.heads,
        scores: dtypes.scores(),
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
