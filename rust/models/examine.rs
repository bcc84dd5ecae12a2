//! What int8 does to each dense layer, measured on what it really gets.

use candle_core::Tensor;

use super::checkpoint::Checkpoint;
use super::dtypes::Dtypes;
use super::encoder::{embeddings, last_norm};
use super::layer::Parts;
use super::shape::{DecoderShape, Shape};
use crate::error::Result;
use crate::layers::{Context, Linear, Memory, Recorded};
use crate::types::{Batch, Dtype, Rows};

/// For each dense layer its name and how far its products move.
pub(super) type Moved = Vec<(String, f64)>;

/// Hidden states of the rows that are `wanted`, in float32, and how far int8 moves the products of each dense layer. Layer
/// by layer out of the map, so that no more than one layer is held at a time.
pub(super) fn examine(
    checkpoint: &Checkpoint<'_>,
    shape: &Shape,
    batch: &Batch,
    wanted: Rows,
) -> Result<(Tensor, Moved)> {
    let inputs = Recorded::default();
    let context = Context::new(&batch.bounds, &|| false).recorded(&inputs);
    let mut xs = embeddings(checkpoint, checkpoint.names, shape)?.forward(batch, &context)?;
    let (parts, steps) = (Parts::load(checkpoint, checkpoint.names, shape)?, shape.layers.computed());
    let mut moved = Moved::new();
    for step in 0..steps {
        inputs.borrow_mut().clear();
        let [exact, narrow] = TYPES.map(|dtype| parts.layer(&Dtypes::all(dtype), shape.layers.at(step)));
        let (exact, narrow) = (exact?, narrow?);
        xs = exact.forward(xs, if step + 1 == steps { wanted } else { Rows::All }, &context)?;
        note(&mut moved, &exact.linears(), &narrow.linears(), &inputs.borrow());
    }
    last_norm(checkpoint, shape)?.map_or(Ok(()), |norm| norm.forward(&xs))?;
    if let Some(decoder) = &shape.decoder {
        let own = decoder.batch(batch)?;
        xs = decode(checkpoint, decoder, &own, Memory { rows: &xs, bounds: &batch.bounds }, &mut moved)?;
    }
    Ok((xs, moved))
}

/// The same of a decoder, which gives a row for each sequence.
fn decode(
    checkpoint: &Checkpoint<'_>,
    DecoderShape { names, shape, .. }: &DecoderShape,
    batch: &Batch,
    memory: Memory<'_>,
    moved: &mut Moved,
) -> Result<Tensor> {
    let inputs = Recorded::default();
    let context = Context::new(&batch.bounds, &|| false).recorded(&inputs);
    let mut ys = embeddings(checkpoint, &names.own, shape)?.forward(batch, &context)?;
    let (parts, layers) = (Parts::load(checkpoint, &names.own, shape)?, shape.layers.computed());
    for layer in 0..layers {
        inputs.borrow_mut().clear();
        let [exact, narrow] = TYPES.map(|dtype| parts.decoder_layer(names, &Dtypes::all(dtype), layer));
        let (exact, narrow) = (exact?, narrow?);
        ys = exact.forward(ys, memory, if layer + 1 == layers { Rows::Last } else { Rows::All }, &context)?;
        note(moved, &exact.linears(), &narrow.linears(), &inputs.borrow());
    }
    Ok(ys)
}

/// What is exact, and what is looked at.
pub(super) const TYPES: [Dtype; 2] = [Dtype::Float32, Dtype::Int8];

/// A layer that is computed several times moves as far as it does at most.
pub(super) fn note(moved: &mut Moved, exact: &[&Linear], narrow: &[&Linear], inputs: &[(String, Vec<f32>)]) {
    for (exact, narrow) in exact.iter().zip(narrow) {
        let name = exact.name();
        for (_, input) in inputs.iter().filter(|(of, _)| of == name) {
            let by = exact.difference(narrow, input);
            match moved.iter_mut().find(|(noted, _)| noted == name) {
                Some((_, most)) => *most = most.max(by),
                None => moved.push((name.to_owned(), by)),
            }
        }
    }
}
