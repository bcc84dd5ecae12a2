//! A checkpoint under its family's names.

use std::cell::RefCell;
use std::collections::HashSet;

use super::dtypes::Dtypes;
use super::family::{Names, Place};
use super::shape::Shape;
use crate::error::{Error, Result};
use crate::layers::{LayerNorm, Linear, Table};
use crate::types::Dtype;
use crate::weights::{Mapped, Weights};

/// Tensors that neither task needs, by how their names start behind the encoder's prefix or beside the encoder.
const UNUSED: &[&str] = &[
    "cls.",
    "lm_head.",
    "lm_predictions.",
    "mask_predictions.",
    "discriminator_predictions.",
    "generator_predictions.",
    "vocab_",
    "pooler.",
    "final_logits_bias",
    // Where they are stored, the same as the table that encoder and decoder share.
    "encoder.embed_tokens.",
    "decoder.embed_tokens.",
    // Class weights of a training loss.
    "loss_fct.",
    "criterion.",
];

/// Integer buffers that older releases of transformers saved, by how their names end.
const BUFFERS: &[&str] = &["position_ids", "token_type_ids"];

/// The tensors of one model.
pub(super) struct Checkpoint<'a> {
    weights: &'a Weights,
    pub(super) names: &'a Names,
    /// What stands before every name of the encoder: the family's prefix, nothing in a bare encoder, or either of them
    /// behind the name of a module that the model was wrapped in (`module.`).
    encoder: &'a str,
    /// What stands before the names beside the encoder.
    top: &'a str,
    used: RefCell<HashSet<String>>,
}

impl<'a> Checkpoint<'a> {
    /// Finds the prefix: it is what stands before the name of the word embeddings.
    pub(super) fn new(weights: &'a Weights, names: &'a Names) -> Result<Self> {
        let word = format!("{}.weight", names.word);
        let mut prefixes =
            weights.names().filter_map(|name| name.strip_suffix(&word)).filter(|p| p.is_empty() || p.ends_with('.'));
        let missing = |got: &str| {
            let expected = format!("tensor {}{word}: expected one", names.prefix);
            Error::format(weights.file(), format!("{expected}, got {got}"))
        };
        let encoder = prefixes.next().ok_or_else(|| missing("none"))?;
        if let Some(second) = prefixes.next() {
            return Err(missing(&format!("two: under {encoder:?} and under {second:?}")));
        }
        let top = encoder.strip_suffix(names.prefix).unwrap_or(encoder);
        Ok(Self { weights, names, encoder, top, used: RefCell::default() })
    }

    /// A dense layer from one or several weights `[rows, columns]` that are stacked.
    pub(super) fn linear(
        &self,
        dtypes: &Dtypes,
        places: &[Place],
        layer: &str,
        size: [usize; 2],
        biased: bool,
    ) -> Result<Linear> {
        let names: Vec<_> = places.iter().map(|place| self.full_name(*place, layer)).collect();
        let parts = names.iter().map(|name| self.part(name, size, biased)).collect::<Result<Vec<_>>>()?;
        Linear::load(&names[0], dtypes.of(&names[0]), &parts, self.weights)
    }

    /// A dense layer of the encoder whose weight has a half that is activated and one that gates it.
    pub(super) fn gated(
        &self,
        dtypes: &Dtypes,
        name: &'static str,
        layer: &str,
        [rows, columns]: [usize; 2],
        biased: bool,
    ) -> Result<Linear> {
        let name = self.full_name(Place::Encoder(name), layer);
        let halves = self.part(&name, [2 * rows, columns], biased)?;
        Linear::load_gated(&name, dtypes.of(&name), halves, self.weights)
    }

    fn part(&self, name: &str, [rows, columns]: [usize; 2], biased: bool) -> Result<(&'a Mapped, Option<&'a Mapped>)> {
        let weight = self.tensor(&format!("{name}.weight"), &[rows, columns])?;
        let bias = biased.then(|| self.tensor(&format!("{name}.bias"), &[rows])).transpose()?;
        Ok((weight, bias))
    }

    /// A convolution over rows, `[hidden, hidden / groups, width]`, as a dense layer of `width` rows side by side, in
    /// float32.
    pub(super) fn convolution(&self, name: &'static str, hidden: usize, groups: usize, width: usize) -> Result<Linear> {
        let name = self.full_name(Place::Encoder(name), "");
        let inputs = hidden / groups; // of one output
        let weight = self.tensor(&format!("{name}.weight"), &[hidden, inputs, width])?;
        let mut bias = Vec::new();
        self.tensor(&format!("{name}.bias"), &[hidden])?.append_finite(&mut bias)?;
        Linear::pack(&name, Dtype::Float32, bias, width * hidden, |output, values| {
            let mut own = vec![0.0; inputs * width];
            weight.read_finite(output * own.len(), &mut own)?;
            values.fill(0.0);
            let first = output / inputs * inputs; // the group's
            for (input, own) in own.chunks_exact(width).enumerate() {
                for (row, weight) in own.iter().enumerate() {
                    values[row * hidden + first + input] = *weight;
                }
            }
            Ok(())
        })
    }

    /// A norm; Google's first checkpoints call its parameters `gamma` and `beta`.
    pub(super) fn norm(&self, place: Place, layer: &str, width: usize, shape: &Shape) -> Result<LayerNorm> {
        let name = self.full_name(place, layer);
        let legacy = self.weights.get(&format!("{name}.gamma")).is_some();
        let (weight, bias) = if legacy { ("gamma", "beta") } else { ("weight", "bias") };
        let weight = self.tensor(&format!("{name}.{weight}"), &[width])?;
        let bias = shape.biases.norms.then(|| self.tensor(&format!("{name}.{bias}"), &[width])).transpose()?;
        LayerNorm::load(weight, bias, shape.norm_eps)
    }

    /// Lets a tensor of the encoder be there that this configuration has no use for.
    pub(super) fn unused(&self, name: &'static str) {
        self.used.borrow_mut().insert(format!("{}.weight", self.full_name(Place::Encoder(name), "")));
    }

    /// An embedding table of the encoder.
    pub(super) fn table(&self, name: &'static str, layer: &str, rows: usize, width: usize) -> Result<Table> {
        let name = format!("{}.weight", self.full_name(Place::Encoder(name), layer));
        Ok(Table::new(self.tensor(&name, &[rows, width])?.clone()))
    }

    /// Whether a tensor is there.
    pub(super) fn has(&self, place: Place) -> bool {
        self.weights.get(&format!("{}.weight", self.full_name(place, ""))).is_some()
    }

    /// An error about the checkpoint as a whole.
    pub(super) fn error(&self, message: impl Into<String>) -> Error {
        Error::format(self.weights.file(), message)
    }

    /// Refuses what is left over: a tensor that nobody asked for means another network than the one that was built.
    pub(super) fn finish(&self) -> Result<()> {
        let used = self.used.borrow();
        let unexpected = |name: &&str| {
            let inner = name.strip_prefix(self.encoder).or(name.strip_prefix(self.top)).unwrap_or(name);
            !used.contains(*name)
                && !BUFFERS.iter().any(|buffer| inner.ends_with(buffer))
                && !UNUSED.iter().any(|unused| inner.starts_with(unused))
        };
        match self.weights.names().filter(unexpected).min() {
            Some(name) => Err(self.error(format!("tensor {name}: expected none of this name in this architecture"))),
            None => Ok(()),
        }
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<&'a Mapped> {
        let tensor = self
            .weights
            .get(name)
            .ok_or_else(|| self.error(format!("tensor {name}: expected shape {shape:?}, got none")))?;
        self.used.borrow_mut().insert(name.to_owned());
        tensor.expect(shape)
    }

    /// With the layer's own name where there is room for one.
    fn full_name(&self, place: Place, layer: &str) -> String {
        let (prefix, name) = match place {
            Place::Encoder(name) => (self.encoder, name),
            Place::Top(name) => (self.top, name),
        };
        format!("{prefix}{}", name.replace("{}", layer))
    }
}
