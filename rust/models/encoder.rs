//! Embeddings, then one layer after the other.

use std::cell::RefCell;

use candle_core::Tensor;

use super::Work;
use super::checkpoint::Checkpoint;
use super::dtypes::Dtypes;
use super::family::Place;
use super::layer::Parts;
use super::shape::{self, Layers, Norms, Shape};
use crate::error::Result;
use crate::layers::{Context, Embeddings, EncoderLayer, LayerNorm, Linear, Positions, Projection};
use crate::types::{Batch, Dtype, Rows};

/// A stack of layers.
#[derive(Debug)]
pub(super) struct Encoder {
    embeddings: Embeddings,
    /// Those that have weights.
    layers: Vec<EncoderLayer>,
    /// Which of them is computed when.
    order: Layers,
    /// After the last one, where blocks have none at their ends.
    norm: Option<LayerNorm>,
}

impl Encoder {
    pub(super) fn load(checkpoint: &Checkpoint<'_>, shape: &Shape, dtypes: &Dtypes) -> Result<Self> {
        let embeddings = embeddings(checkpoint, shape)?;
        let parts = Parts::load(checkpoint, shape)?;
        let layers = (0..shape.layers.distinct()).map(|layer| parts.layer(dtypes, layer)).collect::<Result<_>>()?;
        Ok(Self { embeddings, layers, order: shape.layers, norm: last_norm(checkpoint, shape)? })
    }

    /// The layers as they are computed, and whether each is the last.
    fn steps(&self) -> impl Iterator<Item = (&EncoderLayer, bool)> {
        let steps = self.order.computed();
        (0..steps).map(move |step| (&self.layers[self.order.at(step)], step + 1 == steps))
    }

    /// Hidden states of the rows that are `wanted`: `[tokens, hidden]` or `[sequences, hidden]`. The last layer
    /// computes no others.
    pub(super) fn forward(&self, batch: &Batch, wanted: Rows, context: &Context<'_>) -> Result<Tensor> {
        let mut xs = self.embeddings.forward(batch, context)?;
        for (layer, last) in self.steps() {
            xs = layer.forward(xs, if last { wanted } else { Rows::All }, context)?;
        }
        self.norm.as_ref().map_or(Ok(()), |norm| norm.forward(&xs))?;
        Ok(xs)
    }

    /// Its dense layers.
    pub(super) fn linears(&self) -> impl Iterator<Item = &Linear> {
        self.layers.iter().flat_map(EncoderLayer::linears)
    }

    pub(super) fn work(&self, tokens: usize, wanted: Rows) -> Work {
        let mut work = Work { bytes: 0, dense: 0, attention: 0 };
        for (layer, last) in self.steps() {
            let rows = if last && wanted == Rows::First { 1 } else { tokens };
            for (at, linear) in layer.linears().into_iter().enumerate() {
                let packed = linear.packed();
                work.bytes += packed.bytes().len();
                // Keys and values are needed of every row.
                work.dense += 2 * packed.outputs() * packed.inputs() * if at == 0 { tokens } else { rows };
            }
            work.attention += 4 * rows * layer.attention.seen(tokens) * layer.attention.output.outputs();
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
    let (parts, steps) = (Parts::load(checkpoint, shape)?, shape.layers.computed());
    let mut moved: Vec<(String, f64)> = Vec::new();
    for step in 0..steps {
        inputs.borrow_mut().clear();
        let of = |dtype| parts.layer(&Dtypes::all(dtype), shape.layers.at(step));
        let (exact, narrow) = (of(Dtype::Float32)?, of(Dtype::Int8)?);
        let last = step + 1 == steps;
        xs = exact.forward(xs, if last { wanted } else { Rows::All }, &context)?;
        for ((exact, narrow), input) in exact.linears().into_iter().zip(narrow.linears()).zip(&*inputs.borrow()) {
            let by = exact.difference(narrow, input);
            match moved.iter_mut().find(|(name, _)| name == exact.name()) {
                Some((_, most)) => *most = most.max(by),
                None => moved.push((exact.name().to_owned(), by)),
            }
        }
    }
    last_norm(checkpoint, shape)?.map_or(Ok(()), |norm| norm.forward(&xs))?;
    Ok((xs, moved))
}

fn last_norm(checkpoint: &Checkpoint<'_>, shape: &Shape) -> Result<Option<LayerNorm>> {
    let norm = || checkpoint.norm(Place::Encoder(checkpoint.names.last_norm), "", shape.hidden, shape);
    (shape.norms != Norms::After).then(norm).transpose()
}

fn embeddings(checkpoint: &Checkpoint<'_>, shape: &Shape) -> Result<Embeddings> {
    let names = checkpoint.names;
    let (width, hidden) = (shape.embedding, shape.hidden);
    let table = |name, rows| checkpoint.table(name, "", rows, width);
    let word = table(names.word, shape.vocabulary)?;
    let position = if shape.positions == Positions::Nowhere {
        checkpoint.unused(names.position);
        None
    } else {
        Some(table(names.position, shape.position_rows)?)
    };
    let (exact, place) = (Dtypes::all(Dtype::Float32), [Place::Encoder(names.projection)]);
    let projection = match shape.projection {
        shape::Projection::None => Projection::None,
        shape::Projection::BeforeNorm => {
            Projection::BeforeNorm(checkpoint.linear(&exact, &place, "", [hidden, width], false)?)
        }
        shape::Projection::AfterNorm => {
            Projection::AfterNorm(checkpoint.linear(&exact, &place, "", [hidden, width], true)?)
        }
    };
    let normalized = if shape.projection == shape::Projection::BeforeNorm { hidden } else { width };
    Ok(Embeddings {
        word,
        segment: (shape.segments > 0).then(|| table(names.segment, shape.segments)).transpose()?,
        position,
        positions: shape.positions,
        norm: match shape.norms {
            Norms::Before => None,
            Norms::After | Norms::Between => {
                Some(checkpoint.norm(Place::Encoder(names.embedding_norm), "", normalized, shape)?)
            }
        },
        projection,
    })
}
