//! A decoder that classifies: it reads the ids once more, one place later, and what the encoder made of them, and its row at
//! the last end of a text is the answer. No more than that row is computed of its last layer, and nothing behind it at all.

use candle_core::Tensor;

use super::Work;
use super::checkpoint::Checkpoint;
use super::dtypes::Dtypes;
use super::encoder::embeddings;
use super::layer::Parts;
use super::shape::DecoderShape;
use crate::error::{Error, Result};
use crate::layers::{Context, DecoderLayer, Embeddings, Linear, Memory};
use crate::types::{Batch, Bounds, Rows};

/// Embeddings, then one layer after the other.
#[derive(Debug)]
pub(super) struct Decoder {
    shape: DecoderShape,
    embeddings: Embeddings,
    layers: Vec<DecoderLayer>,
}

impl DecoderShape {
    /// What it reads of a batch: of each sequence the start, then the ids in front of the last end.
    pub(super) fn batch(&self, batch: &Batch) -> Result<Batch> {
        let (mut ids, mut lengths) = (Vec::with_capacity(batch.ids.len()), Vec::new());
        for rows in batch.bounds.rows() {
            let own = &batch.ids[rows];
            let end = own.iter().rposition(|&id| id == self.end);
            let end = end.ok_or_else(|| Error::Backend(format!("a sequence without id {}", self.end)))?;
            ids.push(self.start);
            ids.extend(&own[..end]);
            lengths.push(end + 1);
        }
        Ok(Batch { type_ids: vec![0; ids.len()], ids, bounds: Bounds::from_lengths(lengths), tracks: Vec::new() })
    }
}

impl Decoder {
    pub(super) fn load(checkpoint: &Checkpoint<'_>, shape: &DecoderShape, dtypes: &Dtypes) -> Result<Self> {
        let (names, own) = (shape.names, &*shape.shape);
        let parts = Parts::load(checkpoint, &names.own, own)?;
        let layers = (0..own.layers.distinct()).map(|layer| parts.decoder_layer(names, dtypes, layer));
        Ok(Self {
            embeddings: embeddings(checkpoint, &names.own, own)?,
            layers: layers.collect::<Result<_>>()?,
            shape: shape.clone(),
        })
    }

    /// A row for each sequence, `[sequences, hidden]`, from the encoder's `[tokens, hidden]`.
    pub(super) fn forward(&self, batch: &Batch, rows: &Tensor, context: &Context<'_>) -> Result<Tensor> {
        let own = self.shape.batch(batch)?;
        let (memory, context) = (Memory { rows, bounds: context.bounds }, &context.of_rows(&own.bounds));
        let mut ys = self.embeddings.forward(&own, context)?;
        for (at, layer) in (1..).zip(&self.layers) {
            let wanted = if at == self.layers.len() { Rows::Last } else { Rows::All };
            ys = layer.forward(ys, memory, wanted, context)?;
        }
        Ok(ys)
    }

    /// Its dense layers.
    pub(super) fn linears(&self) -> impl Iterator<Item = &Linear> {
        self.layers.iter().flat_map(DecoderLayer::linears)
    }

    /// What one sequence of so many tokens asks of the machine besides.
    pub(super) fn add_work(&self, tokens: usize, work: &mut Work) {
        for (at, layer) in (1..).zip(&self.layers) {
            let rows = if at == self.layers.len() { 1 } else { tokens };
            for linear in layer.linears() {
                let packed = linear.packed();
                // Keys and values are needed of every row.
                let whole = [&layer.attention.qkv, &layer.cross.key_value].iter().any(|of| std::ptr::eq(*of, linear));
                work.bytes += packed.bytes().len();
                work.dense += 2 * packed.outputs() * packed.inputs() * if whole { tokens } else { rows };
            }
            // Of its own rows each sees half of the others.
            let seen = tokens + if rows == 1 { tokens } else { tokens / 2 };
            work.attention += 4 * rows * seen * layer.attention.output.outputs();
        }
    }
}
