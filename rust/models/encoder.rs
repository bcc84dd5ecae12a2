//! Embeddings, then one layer after the other.

use candle_core::Tensor;

use super::Work;
use super::checkpoint::Checkpoint;
use super::decoder::Decoder;
use super::dtypes::Dtypes;
use super::family::{Names, Place};
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
    /// What reads its rows, where there is one.
    decoder: Option<Decoder>,
}

impl Encoder {
    pub(super) fn load(checkpoint: &Checkpoint<'_>, shape: &Shape, dtypes: &Dtypes) -> Result<Self> {
        let embeddings = embeddings(checkpoint, checkpoint.names, shape)?;
        let parts = Parts::load(checkpoint, checkpoint.names, shape)?;
        let layers = (0..shape.layers.distinct()).map(|layer| parts.layer(dtypes, layer)).collect::<Result<_>>()?;
        let decoder = shape.decoder.as_ref().map(|shape| Decoder::load(checkpoint, shape, dtypes)).transpose()?;
        Ok(Self { embeddings, layers, order: shape.layers, norm: last_norm(checkpoint, shape)?, decoder })
    }

    /// The layers as they are computed, and whether each is the last.
    fn steps(&self) -> impl Iterator<Item = (&EncoderLayer, bool)> {
        let steps = self.order.computed();
        (0..steps).map(move |step| (&self.layers[self.order.at(step)], step + 1 == steps))
    }

    /// Hidden states of the rows that are `wanted`: `[tokens, hidden]` or `[sequences, hidden]`. The last layer
    /// computes no others. With a decoder, what it makes of them, `[sequences, hidden]`.
    pub(super) fn forward(&self, batch: &Batch, wanted: Rows, context: &Context<'_>) -> Result<Tensor> {
        let mut xs = self.embeddings.forward(batch, context)?;
        for (layer, last) in self.steps() {
            xs = layer.forward(xs, if last { wanted } else { Rows::All }, context)?;
        }
        self.norm.as_ref().map_or(Ok(()), |norm| norm.forward(&xs))?;
        match &self.decoder {
            Some(decoder) => decoder.forward(batch, &xs, context),
            None => Ok(xs),
        }
    }

    /// Its dense layers.
    pub(super) fn linears(&self) -> impl Iterator<Item = &Linear> {
        let of_decoder = self.decoder.iter().flat_map(Decoder::linears);
        self.layers.iter().flat_map(EncoderLayer::linears).chain(of_decoder)
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
            let attention = &layer.attention;
            work.attention += 2 * attention.products() * rows * attention.seen(tokens) * attention.output.outputs();
        }
        if let Some(decoder) = &self.decoder {
            decoder.add_work(tokens, &mut work);
        }
        work
    }

    pub(super) fn linear_parameters(&self) -> usize {
        self.linears().map(Linear::parameters).sum()
    }
}

pub(super) fn last_norm(checkpoint: &Checkpoint<'_>, shape: &Shape) -> Result<Option<LayerNorm>> {
    let norm = || checkpoint.norm(Place::Encoder(checkpoint.names.last_norm), "", shape.hidden, shape);
    (shape.norms != Norms::After).then(norm).transpose()
}

pub(super) fn embeddings(checkpoint: &Checkpoint<'_>, names: &Names, shape: &Shape) -> Result<Embeddings> {
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
        scale: shape.word_scale,
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
