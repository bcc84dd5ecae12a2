//! Embeddings, then one layer after the other.

use std::cell::RefCell;

use candle_core::{Device, Tensor};

use super::Work;
use super::checkpoint::Checkpoint;
use super::dtypes::Dtypes;
use super::family::{Place, Shape};
use crate::error::{Error, Result};
use crate::layers::{
    AttentionBlock, Context, Convolution, Embeddings, EncoderLayer, FeedForward, Linear, Positions, Projection,
    Relative,
};
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
        let distances = distances(checkpoint, shape)?;
        let layers = (0..shape.layers).map(|index| layer(checkpoint, shape, dtypes, &distances, index));
        let layers = layers.collect::<Result<_>>()?;
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
    let (mut moved, distances) = (Vec::new(), distances(checkpoint, shape)?);
    for index in 0..shape.layers {
        inputs.borrow_mut().clear();
        let [exact, narrow] =
            [Dtype::Float32, Dtype::Int8].map(|dtype| layer(checkpoint, shape, &Dtypes::all(dtype), &distances, index));
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
    let (width, hidden) = (shape.embedding, shape.hidden);
    let table = |name, rows| checkpoint.table(name, rows, width);
    let word = table(names.word, shape.vocabulary)?;
    let position = if shape.positions == Positions::Nowhere {
        checkpoint.unused(names.position);
        None
    } else {
        Some(table(names.position, shape.position_rows)?)
    };
    let projection = match (width == hidden, shape.projected_first) {
        (true, _) => Projection::None,
        (false, true) => Projection::BeforeNorm(checkpoint.linear_without_bias(names.projection, hidden, width)?),
        (false, false) => {
            let (exact, place) = (Dtypes::all(Dtype::Float32), Place::Encoder(names.projection));
            Projection::AfterNorm(checkpoint.linear(&exact, &[place], 0, hidden, width)?)
        }
    };
    Ok(Embeddings {
        word,
        segment: (shape.segments > 0).then(|| table(names.segment, shape.segments)).transpose()?,
        position,
        positions: shape.positions,
        norm: checkpoint.norm(
            names.embedding_norm,
            0,
            if shape.projected_first { hidden } else { width },
            shape.norm_eps,
        )?,
        projection,
    })
}

/// Relative embeddings as all layers start from them, `[2 * span, hidden]`; none where scores know no distance.
fn distances(checkpoint: &Checkpoint<'_>, shape: &Shape) -> Result<Vec<f32>> {
    let Some(relative) = shape.relative.as_ref().filter(|relative| relative.distances.span > 0) else {
        return Ok(Vec::new());
    };
    let (rows, hidden) = (2 * relative.distances.span, shape.hidden);
    let values = checkpoint.table(relative.names.table, rows, hidden)?.all()?;
    let xs = Tensor::from_vec(values, (rows, hidden), &Device::Cpu)?;
    if let Some(norm) = relative.norm {
        checkpoint.norm(norm, 0, hidden, shape.norm_eps)?.forward(&xs)?;
    }
    Ok(xs.flatten_all()?.to_vec1()?)
}

fn layer(
    checkpoint: &Checkpoint<'_>,
    shape: &Shape,
    dtypes: &Dtypes,
    distances: &[f32],
    index: usize,
) -> Result<EncoderLayer> {
    let names = checkpoint.names;
    let (hidden, intermediate) = (shape.hidden, shape.intermediate);
    let linear = |name, rows, columns| checkpoint.linear(dtypes, &[Place::Encoder(name)], index, rows, columns);
    let norm = |name| checkpoint.norm(name, index, hidden, shape.norm_eps);
    let places = [names.query, names.key, names.value].map(Place::Encoder);
    let qkv = checkpoint.linear(dtypes, &places, index, hidden, hidden)?;
    let terms =
        shape.relative.as_ref().map_or(0, |relative| usize::from(relative.keys) + usize::from(relative.queries));
    let relative = match &shape.relative {
        Some(relative) if !distances.is_empty() => {
            // By the layer's own projections of texts, of which a row has queries, keys and values side by side …
            let stacked = if relative.shared { qkv.of_rows(distances) } else { Vec::new() };
            let exact = Dtypes::all(Dtype::Float32);
            let projected = |third: usize, name| {
                if relative.shared {
                    let part = |row: &[f32]| row[third * hidden..][..hidden].to_vec();
                    return Ok(stacked.chunks_exact(3 * hidden).flat_map(part).collect());
                }
                // … or by projections for distances.
                let own = checkpoint.linear(&exact, &[Place::Encoder(name)], index, hidden, hidden)?;
                Ok::<_, Error>(own.of_rows(distances))
            };
            Some(Relative {
                distances: relative.distances,
                hidden,
                keys: relative.keys.then(|| projected(1, relative.names.key)).transpose()?,
                queries: relative.queries.then(|| projected(0, relative.names.query)).transpose()?,
            })
        }
        _ => None,
    };
    let attention = AttentionBlock {
        qkv,
        heads: shape.heads,
        scores: dtypes.scores(),
        // One more for each term, so that sums of more terms vary no more (arXiv:2006.03654, 3.1).
        scale: ((hidden / shape.heads * (1 + terms)) as f32).sqrt().recip(),
        relative,
        output: linear(names.attention_output, hidden, hidden)?,
        norm: norm(names.attention_norm)?,
    };
    let feed_forward = FeedForward {
        up: linear(names.up, intermediate, hidden)?,
        activation: shape.activation,
        down: linear(names.down, hidden, intermediate)?,
        norm: norm(names.output_norm)?,
    };
    let convolution = match &shape.convolution {
        Some(of) if index == 0 => Some(Convolution {
            kernel: checkpoint.convolution(of.name, hidden, of.groups, of.width)?,
            width: of.width,
            activation: of.activation,
            norm: norm(of.norm)?,
        }),
        _ => None,
    };
    Ok(EncoderLayer { attention, feed_forward, convolution })
}
