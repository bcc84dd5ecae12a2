//! One layer's bricks out of a checkpoint.

use candle_core::{Device, Tensor};

use super::checkpoint::Checkpoint;
use super::dtypes::Dtypes;
use super::family::Place;
use super::shape::{Norms, Projected, Shape, Terms};
use crate::error::{Error, Result};
use crate::layers::{
    AttentionBlock, Convolution, Distances, EncoderLayer, FeedForward, LayerNorm, Linear, Relative, Residual,
    T5_BUCKETS,
};
use crate::types::Dtype;

/// What all layers are made from.
pub(super) struct Parts<'a> {
    checkpoint: &'a Checkpoint<'a>,
    shape: &'a Shape,
    /// Relative embeddings that they share, `[rows, hidden]`, or T5's bias.
    shared: Vec<f32>,
}

impl<'a> Parts<'a> {
    pub(super) fn load(checkpoint: &'a Checkpoint<'_>, shape: &'a Shape) -> Result<Self> {
        let hidden = shape.hidden;
        let shared = match &shape.terms {
            Terms::None | Terms::PerLayer { .. } | Terms::Projected(Projected { distances: None, .. }) => Vec::new(),
            Terms::Bias(name) => checkpoint.table(name, "", T5_BUCKETS, shape.heads)?.all()?,
            Terms::Projected(Projected { names, distances: Some(Distances { rows, .. }), norm, .. }) => {
                let rows = checkpoint.table(names.table, "", *rows, hidden)?.all()?;
                match norm {
                    Some(norm) => normalized(&checkpoint.norm(norm, "", hidden, shape.norm_eps)?, rows, hidden)?,
                    None => rows,
                }
            }
        };
        Ok(Self { checkpoint, shape, shared })
    }

    /// One of the layers that have weights.
    pub(super) fn layer(&self, dtypes: &Dtypes, layer: usize) -> Result<EncoderLayer> {
        let Self { checkpoint, shape, .. } = *self;
        let (names, hidden, intermediate) = (checkpoint.names, shape.hidden, shape.intermediate);
        let name = &*shape.layers.name(layer);
        let linear = |of, rows, columns| checkpoint.linear(dtypes, &[Place::Encoder(of)], name, rows, columns);
        let norm = |of| checkpoint.norm(of, name, hidden, shape.norm_eps);
        let residual = |of| {
            Ok::<_, Error>(match shape.norms {
                Norms::AfterBlocks => Residual::After(norm(of)?),
                Norms::BeforeBlocks => Residual::Before(Some(norm(of)?)),
            })
        };
        let places = [names.query, names.key, names.value].map(Place::Encoder);
        let qkv = checkpoint.linear(dtypes, &places, name, hidden, hidden)?;
        let attention = AttentionBlock {
            heads: shape.heads,
            scores: dtypes.scores(),
            scale: ((hidden / shape.heads * (1 + self.scaled_terms())) as f32).sqrt().recip(),
            relative: self.relative(&qkv, name)?,
            qkv,
            output: linear(names.attention_output, hidden, hidden)?,
            residual: residual(names.attention_norm)?,
        };
        let feed_forward = FeedForward {
            up: linear(names.up, intermediate, hidden)?,
            activation: shape.activation,
            down: linear(names.down, hidden, intermediate)?,
            residual: residual(names.output_norm)?,
        };
        let convolution = match &shape.convolution {
            Some(of) if layer == 0 => Some(Convolution {
                kernel: checkpoint.convolution(of.name, hidden, of.groups, of.width)?,
                width: of.width,
                activation: of.activation,
                norm: norm(of.norm)?,
            }),
            _ => None,
        };
        Ok(EncoderLayer { attention, feed_forward, convolution })
    }

    /// Terms that scores are scaled down for, so that sums of more of them vary no more (arXiv:2006.03654, 3.1).
    fn scaled_terms(&self) -> usize {
        match &self.shape.terms {
            Terms::Projected(Projected { keys, queries, .. }) => usize::from(*keys) + usize::from(*queries),
            _ => 0,
        }
    }

    fn relative(&self, qkv: &Linear, layer: &str) -> Result<Option<Relative>> {
        let Self { checkpoint, shape: Shape { hidden, heads, terms, .. }, shared } = self;
        Ok(match terms {
            Terms::None | Terms::Projected(Projected { distances: None, .. }) => None,
            Terms::Bias(_) => Some(Relative::Bias(shared.clone())),
            Terms::PerLayer { name, queries, positions } => {
                let (rows, width) = (2 * positions - 1, hidden / heads);
                let of_head = checkpoint.table(name, layer, rows, width)?.all()?;
                let keys: Vec<f32> = of_head.chunks_exact(width).flat_map(|row| row.repeat(*heads)).collect();
                let distances = Distances { zero: positions - 1, rows, buckets: None, farthest: *positions };
                Some(Relative::Rows {
                    distances,
                    hidden: *hidden,
                    queries: queries.then(|| keys.clone()),
                    keys: Some(keys),
                })
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
                    let projection = checkpoint.linear(&exact, &[Place::Encoder(name)], layer, *hidden, *hidden)?;
                    Ok(projection.of_rows(shared))
                };
                let keys = keys.then(|| projected(1, names.key)).transpose()?;
                let queries = queries.then(|| projected(0, names.query)).transpose()?;
                Some(Relative::Rows { distances: *distances, hidden: *hidden, keys, queries })
            }
        })
    }
}

fn normalized(norm: &LayerNorm, rows: Vec<f32>, hidden: usize) -> Result<Vec<f32>> {
    let rows = Tensor::from_vec(rows, ((), hidden), &Device::Cpu)?;
    norm.forward(&rows)?;
    Ok(rows.flatten_all()?.to_vec1()?)
}
