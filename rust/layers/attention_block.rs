//! The first half of an encoder layer: `LN(Wₒ attention(x) + bₒ + x)`, or with the norm in front, with
//! `attention = softmax(scale * (q kᵀ + terms of the distance)) v` per head, over the rows of one sequence.

use std::sync::Arc;

use candle_core::Tensor;

use super::arena::Buffer;
use super::context::Context;
use super::linear::Linear;
use super::ops::{in_place, map_rows};
use super::pooling::one_row_each;
use super::profile::Stage;
use super::relative::{Reached, Relative};
use super::residual::Residual;
use super::rotary::Rotary;
use crate::error::Result;
use crate::kernels::{self, Activation, Attention, Columns, Scores, Span};
use crate::types::{Dtype, Rows};

/// Self-attention with its projections, residual and norm.
#[derive(Debug)]
pub struct AttentionBlock {
    /// Query, key and value stacked: `[3 * hidden, hidden]`.
    pub qkv: Linear,
    /// Number of heads; divides `hidden`.
    pub heads: usize,
    /// What scores are computed from, and values mixed in; not int8.
    pub scores: Dtype,
    /// What scores are multiplied with.
    pub scale: f32,
    /// What they have beside the product of query and key.
    pub relative: Option<Relative>,
    /// Which keys a query sees.
    pub span: Span,
    /// By what queries and keys are turned at their places.
    pub rotary: Option<Arc<Rotary>>,
    /// `[hidden, hidden]`.
    pub output: Linear,
    /// How the sum with the block's input is normalized.
    pub residual: Residual,
}

impl AttentionBlock {
    /// `[tokens, hidden]` to the rows that are `wanted`: the same, in place, or `[sequences, hidden]`.
    ///
    /// # Errors
    /// [`crate::Error::Backend`] unless the tensor is contiguous f32.
    pub fn forward(&self, xs: Tensor, wanted: Rows, context: &Context<'_>) -> Result<Tensor> {
        match wanted {
            Rows::All => {
                in_place(&xs, "attention_block", |xs| {
                    let update = self.update(xs, context.bounds.tokens(), wanted, context);
                    self.residual.add(xs, &update, self.output.bias(), context);
                })?;
                Ok(xs)
            }
            Rows::First | Rows::Last => {
                let rows = context.bounds.sequences();
                map_rows(&xs, rows, self.output.outputs(), |xs, picked| {
                    let update = self.update(xs, rows, wanted, context);
                    one_row_each(xs, context.bounds, wanted, picked);
                    self.residual.add(picked, &update, self.output.bias(), context);
                })
            }
        }
    }

    /// How many keys of so many a query sees at most.
    pub fn seen(&self, tokens: usize) -> usize {
        match self.span {
            Span::Full | Span::Causal => tokens,
            Span::Window(width) => tokens.min(2 * width + 1),
        }
    }

    /// Products that a query needs of each key that it sees: with the key, with its value, and those with rows for their
    /// distance.
    pub fn products(&self) -> usize {
        2 + self.relative.as_ref().map_or(0, Relative::products)
    }

    /// What is added to the rows that are wanted, but for the bias.
    fn update<'a>(&self, xs: &[f32], rows: usize, wanted: Rows, context: &'a Context<'_>) -> Buffer<'a> {
        let mut qkv = context.buffer(3 * xs.len()); // (tokens, 3 * hidden)
        self.qkv.apply(&self.residual.read(xs, context), Activation::Linear, &mut qkv, context);
        let mut mixed = context.buffer(rows * self.output.outputs()); // (rows, hidden)
        let hidden = self.output.outputs();
        context.stage(Stage::Attention, || {
            let longest = context.bounds.rows().map(|rows| rows.len()).max().unwrap_or(0).max(1);
            let reached = self.relative.as_ref().map(|relative| relative.reach(longest));
            let turns = self.rotary.as_ref().map(|rotary| rotary.reach(longest));
            let scheme = Attention {
                dtype: self.scores,
                heads: self.heads,
                scale: self.scale,
                scores: reached.as_ref().map_or(Scores::Plain, Reached::scores),
                span: self.span,
                turns: turns.as_deref(),
            };
            kernels::attention(&scheme, Columns::thirds(&qkv, hidden), context.bounds, wanted, &mut mixed);
        });
        let mut update = context.buffer(mixed.len());
        self.output.product(&mixed, &mut update, context);
        update
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{D, Module};

    use super::super::fixtures::{assert_close, linear, norm, tensor};
    use super::*;
    use crate::types::Bounds;

    const HIDDEN: usize = 24;

    fn block() -> AttentionBlock {
        AttentionBlock {
            qkv: linear(1, 3 * HIDDEN, HIDDEN),
            heads: 3,
            scores: Dtype::Float32,
            scale: ((HIDDEN / 3) as f32).sqrt().recip(),
            relative: None,
            span: Span::Full,
            rotary: None,
            output: linear(3, HIDDEN, HIDDEN),
            residual: Residual::After(norm(5, HIDDEN)),
        }
    }

    /// The block by candle alone, for one sequence.
    fn candle_form(block: &AttentionBlock, xs: &Tensor) -> Tensor {
        let (length, width) = (xs.dim(0).unwrap(), HIDDEN / block.heads);
        let qkv = block.qkv.candle_form().forward(xs).unwrap();
        let part = |index| {
            let part = qkv.narrow(1, index * HIDDEN, HIDDEN).unwrap().contiguous().unwrap();
            part.reshape((length, block.heads, width)).unwrap().transpose(0, 1).unwrap().contiguous().unwrap()
        };
        let scores = (part(0).matmul(&part(1).t().unwrap()).unwrap() / (width as f64).sqrt()).unwrap();
        let mixed = candle_nn::ops::softmax(&scores, D::Minus1).unwrap().matmul(&part(2)).unwrap();
        let mixed = mixed.transpose(0, 1).unwrap().contiguous().unwrap().reshape((length, HIDDEN)).unwrap();
        let ys = (block.output.candle_form().forward(&mixed).unwrap() + xs).unwrap();
        let Residual::After(norm) = &block.residual else { panic!("a norm over the sum") };
        norm.candle_form().forward(&ys).unwrap()
    }

    #[test]
    fn sequences_of_a_batch_do_not_see_each_other() {
        let block = block();
        let bounds = Bounds::from_lengths([5, 1, 9]);
        let xs = tensor(7, bounds.tokens(), HIDDEN);
        let ys = block.forward(xs.copy().unwrap(), Rows::All, &Context::new(&bounds, &|| false)).unwrap();
        let firsts = block.forward(xs.clone(), Rows::First, &Context::new(&bounds, &|| false)).unwrap();
        for (sequence, rows) in bounds.rows().enumerate() {
            assert_close(&firsts.narrow(0, sequence, 1).unwrap(), &ys.narrow(0, rows.start, 1).unwrap(), 0.0);
            let alone = candle_form(&block, &xs.narrow(0, rows.start, rows.len()).unwrap());
            assert_close(&ys.narrow(0, rows.start, rows.len()).unwrap(), &alone, 1e-5);
        }
    }
}
