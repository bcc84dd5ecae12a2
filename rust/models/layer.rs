//! One layer's bricks out of a checkpoint.

use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::checkpoint::Checkpoint;
use super::dtypes::Dtypes;
use super::family::{DecoderNames, Names, Place};
use super::shape::{Norms, Projected, Shape, Terms};
use crate::error::{Error, Result};
use crate::layers::{
    AttentionBlock, Convolution, CrossAttention, DecoderLayer, Distances, EncoderLayer, FeedForward, LayerNorm, Linear,
    Relative, Residual, Rotary, T5_BUCKETS,
};
use crate::types::Dtype;

/// What all layers are made from.
pub(super) struct Parts<'a> {
    checkpoint: &'a Checkpoint<'a>,
    names: &'a Names,
    shape: &'a Shape,
    /// Relative embeddings that they share, `[rows, hidden]`, or T5's bias.
    shared: Vec<f32>,
    /// The angles of each base.
    rotaries: Vec<(f64, Arc<Rotary>)>,
}

impl<'a> Parts<'a> {
    pub(super) fn load(checkpoint: &'a Checkpoint<'_>, names: &'a Names, shape: &'a Shape) -> Result<Self> {
        let hidden = shape.hidden;
        let shared = match &shape.terms {
            Terms::None | Terms::PerLayer { .. } | Terms::Projected(Projected { distances: None, .. }) => Vec::new(),
            Terms::Bias(name) => checkpoint.table(name, "", T5_BUCKETS, shape.heads)?.all()?,
            Terms::Projected(Projected { names, distances: Some(Distances { rows, .. }), norm, .. }) => {
                let rows = checkpoint.table(names.table, "", *rows, hidden)?.all()?;
                match norm {
                    Some(norm) => normalized(&checkpoint.norm(Place::Encoder(norm), "", hidden, shape)?, rows, hidden)?,
                    None => rows,
                }
            }
        };
        let mut rotaries: Vec<(f64, Arc<Rotary>)> = Vec::new();
        for theta in shape.views.iter().filter_map(|view| view.theta) {
            if rotaries.iter().all(|(known, _)| known.to_bits() != theta.to_bits()) {
                rotaries.push((theta, Arc::new(Rotary::new(theta, hidden / shape.heads))));
            }
        }
        Ok(Self { checkpoint, names, shape, shared, rotaries })
    }

    /// One of the encoder's layers that have weights.
    pub(super) fn layer(&self, dtypes: &Dtypes, layer: usize) -> Result<EncoderLayer> {
        let Self { checkpoint, shape, .. } = *self;
        let convolution = match &shape.convolution {
            Some(of) if layer == 0 => Some(Convolution {
                kernel: checkpoint.convolution(of.name, shape.hidden, of.groups, of.width)?,
                width: of.width,
                activation: of.activation,
                norm: checkpoint.norm(Place::Encoder(of.norm), "", shape.hidden, shape)?,
            }),
            _ => None,
        };
        let (attention, feed_forward) = (self.attention(dtypes, layer)?, self.feed_forward(dtypes, layer)?);
        Ok(EncoderLayer { attention, feed_forward, convolution })
    }

    /// One of a decoder's.
    pub(super) fn decoder_layer(&self, names: &DecoderNames, dtypes: &Dtypes, layer: usize) -> Result<DecoderLayer> {
        let (hidden, heads, biased) = (self.shape.hidden, self.shape.heads, self.shape.biases.attention);
        let linear = |of: &[_]| self.linear(dtypes, of, layer, [hidden, hidden], biased);
        let attention = self.attention(dtypes, layer)?;
        let cross = CrossAttention {
            query: linear(&[names.query])?,
            key_value: linear(names.key_value)?,
            heads,
            scores: dtypes.scores(),
            output: linear(&[names.output])?,
            residual: self.residual(names.norm, layer, false)?,
        };
        Ok(DecoderLayer { attention, cross, feed_forward: self.feed_forward(dtypes, layer)? })
    }

    fn attention(&self, dtypes: &Dtypes, layer: usize) -> Result<AttentionBlock> {
        let Self { names, shape, .. } = *self;
        let (hidden, biased, view) = (shape.hidden, shape.biases.attention, shape.view(layer));
        let qkv = self.linear(dtypes, names.qkv, layer, [3 * hidden / names.qkv.len(), hidden], biased)?;
        Ok(AttentionBlock {
            heads: shape.heads,
            scores: dtypes.scores(),
            scale: ((hidden / shape.heads * (1 + self.scaled_terms())) as f32).sqrt().recip(),
            relative: self.relative(&qkv, &shape.layers.name(layer), dtypes.scores())?,
            span: view.span,
            rotary: view.theta.and_then(|theta| self.rotary(theta)),
            qkv,
            output: self.linear(dtypes, &[names.attention_output], layer, [hidden, hidden], biased)?,
            residual: self.residual(names.attention_norm, layer, layer == 0)?,
        })
    }

    fn feed_forward(&self, dtypes: &Dtypes, layer: usize) -> Result<FeedForward> {
        let Self { names, shape, .. } = *self;
        let (up, down) = ([shape.intermediate, shape.hidden], [shape.hidden, shape.intermediate]);
        let biased = shape.biases.feed_forward;
        Ok(FeedForward {
            up: if shape.gated {
                self.checkpoint.gated(dtypes, names.up, &shape.layers.name(layer), up, biased)?
            } else {
                self.linear(dtypes, &[names.up], layer, up, biased)?
            },
            activation: shape.activation,
            down: self.linear(dtypes, &[names.down], layer, down, biased)?,
            residual: self.residual(names.output_norm, layer, false)?,
        })
    }

    /// A dense layer from weights of one size that are stacked.
    fn linear(
        &self,
        dtypes: &Dtypes,
        names: &[&'static str],
        layer: usize,
        size: [usize; 2],
        biased: bool,
    ) -> Result<Linear> {
        let places: Vec<_> = names.iter().copied().map(Place::Encoder).collect();
        self.checkpoint.linear(dtypes, &places, &self.shape.layers.name(layer), size, biased)
    }

    /// How a block's update joins its input; `first` = it is the first block of all.
    fn residual(&self, norm: &'static str, layer: usize, first: bool) -> Result<Residual> {
        let Self { checkpoint, shape, .. } = *self;
        let norm = || checkpoint.norm(Place::Encoder(norm), &shape.layers.name(layer), shape.hidden, shape);
        Ok(match shape.norms {
            Norms::After => Residual::After(norm()?),
            Norms::Between if first => Residual::Before(None),
            Norms::Before | Norms::Between => Residual::Before(Some(norm()?)),
        })
    }

    /// Terms that scores are scaled down for, so that sums of more of them vary no more (arXiv:2006.03654, 3.1).
    fn scaled_terms(&self) -> usize {
        match &self.shape.terms {
            Terms::Projected(Projected { keys, queries, .. }) => usize::from(*keys) + usize::from(*queries),
            _ => 0,
        }
    }

    fn rotary(&self, theta: f64) -> Option<Arc<Rotary>> {
        self.rotaries.iter().find(|(known, _)| known.to_bits() == theta.to_bits()).map(|(_, rotary)| Arc::clone(rotary))
    }

    fn relative(&self, qkv: &Linear, layer: &str, scores: Dtype) -> Result<Option<Relative>> {
        let Self { checkpoint, shape: Shape { hidden, heads, terms, .. }, shared, .. } = self;
        Ok(match terms {
            Terms::None | Terms::Projected(Projected { distances: None, .. }) => None,
            Terms::Bias(_) => Some(Relative::Bias(shared.clone())),
            Terms::PerLayer { name, queries, positions } => {
                let (rows, width) = (2 * positions - 1, hidden / heads);
                let of_head = checkpoint.table(name, layer, rows, width)?.all()?;
                let table: Vec<f32> = of_head.chunks_exact(width).flat_map(|row| row.repeat(*heads)).collect();
                let distances = Distances { zero: positions - 1, rows, buckets: None, farthest: *positions };
                let tables = [Some(&table[..]), queries.then_some(&table)];
                Some(Relative::rows(distances, tables, *hidden, *heads, scores))
            }
            Terms::Projected(Projected { names, distances: Some(distances), keys, queries, shared: own, .. }) => {
                // By the layer's own projections of texts, of which a row has queries, keys and values side by side …
                let stacked = if *own { qkv.of_rows(shared) } else { Vec::new() };
                let exact = Dtypes::all(Dtype::Float32);
                let projected = |third: usize, name| {
                    if *own {
                        let part = |row: &[f32]| row[third * hidden..][..*hidden].to_vec();
                        return Ok::<_, Error>(stacked.chunks_exact(3 * hidden).flat_map(part).collect());
                    }
                    // … or by projections for distances.
                    let size = [*hidden, *hidden];
                    let projection = checkpoint.linear(&exact, &[Place::Encoder(name)], layer, size, true)?;
                    Ok(projection.of_rows(shared))
                };
                let keys = keys.then(|| projected(1, names.key)).transpose()?;
                let queries = queries.then(|| projected(0, names.query)).transpose()?;
                let tables = [keys.as_deref(), queries.as_deref()];
                Some(Relative::rows(*distances, tables, *hidden, *heads, scores))
            }
        })
    }
}

fn normalized(norm: &LayerNorm, rows: Vec<f32>, hidden: usize) -> Result<Vec<f32>> {
    let rows = Tensor::from_vec(rows, ((), hidden), &Device::Cpu)?;
    norm.forward(&rows)?;
    Ok(rows.flatten_all()?.to_vec1()?)
}
