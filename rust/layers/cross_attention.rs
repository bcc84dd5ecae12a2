//! Between the halves of a decoder's layer: `LN(Wₒ attention(y, x) + bₒ + y)`, with queries of the decoder's rows and keys
//! and values of the encoder's.

use candle_core::Tensor;

use super::arena::Buffer;
use super::context::Context;
use super::linear::Linear;
use super::ops::{in_place, read};
use super::profile::Stage;
use super::residual::Residual;
use crate::error::Result;
use crate::kernels::{self, Activation, Attention, Columns};
use crate::types::{Bounds, Dtype};

/// Attention to rows of an encoder, with its projections, residual and norm.
#[derive(Debug)]
pub struct CrossAttention {
    /// `[hidden, hidden]`.
    pub query: Linear,
    /// Key and value stacked: `[2 * hidden, hidden]`.
    pub key_value: Linear,
    /// Number of heads; divides `hidden`.
    pub heads: usize,
    /// What scores are computed from, and values mixed in; not int8.
    pub scores: Dtype,
    /// `[hidden, hidden]`.
    pub output: Linear,
    /// How the sum with the block's input is normalized.
    pub residual: Residual,
}

/// What an encoder made of its sequences.
#[derive(Debug, Clone, Copy)]
pub struct Memory<'a> {
    /// `[tokens, hidden]`.
    pub rows: &'a Tensor,
    /// Which of them belong to which sequence.
    pub bounds: &'a Bounds,
}

impl CrossAttention {
    /// `[rows, hidden]` to the same, in place. Each row sees all that the encoder made of its sequence.
    ///
    /// # Errors
    /// [`crate::Error::Backend`] unless the tensors are contiguous f32.
    pub fn forward(&self, ys: Tensor, memory: Memory<'_>, context: &Context<'_>) -> Result<Tensor> {
        read(memory.rows, |rows| {
            in_place(&ys, "cross_attention", |ys| {
                let update = self.update(ys, rows, memory.bounds, context);
                self.residual.add(ys, &update, self.output.bias(), context);
            })
        })??;
        Ok(ys)
    }

    /// What is added to the rows, but for the bias.
    fn update<'a>(&self, ys: &[f32], memory: &[f32], keys: &Bounds, context: &'a Context<'_>) -> Buffer<'a> {
        let hidden = self.output.outputs();
        let mut queries = context.buffer(ys.len()); // (rows, hidden)
        self.query.apply(&self.residual.read(ys, context), Activation::Linear, &mut queries, context);
        let mut pairs = context.buffer(2 * memory.len()); // (tokens, 2 * hidden)
        self.key_value.apply(memory, Activation::Linear, &mut pairs, context);
        let mut mixed = context.buffer(ys.len()); // (rows, hidden)
        context.stage(Stage::Attention, || {
            let of_pairs = |first| Columns { values: &pairs, stride: 2 * hidden, first };
            let queries = Columns { values: &queries, stride: hidden, first: 0 };
            let scheme = Attention::plain(self.scores, self.heads, hidden);
            let inputs = [queries, of_pairs(0), of_pairs(hidden)];
            kernels::cross_attention(&scheme, inputs, [context.bounds, keys], &mut mixed);
        });
        drop(pairs);
        self.output.product(&mixed, &mut queries, context);
        queries
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{D, Module};

    use super::super::fixtures::{assert_close, linear, norm, tensor};
    use super::*;

    const HIDDEN: usize = 24;

    /// The block by candle alone, for one sequence.
    fn candle_form(block: &CrossAttention, ys: &Tensor, memory: &Tensor) -> Tensor {
        let width = HIDDEN / block.heads;
        let heads = |xs: &Tensor| {
            let xs = xs.contiguous().unwrap().reshape(((), block.heads, width)).unwrap();
            xs.transpose(0, 1).unwrap().contiguous().unwrap()
        };
        let queries = heads(&block.query.candle_form().forward(ys).unwrap());
        let pairs = block.key_value.candle_form().forward(memory).unwrap();
        let [keys, values] = [0, 1].map(|part| heads(&pairs.narrow(1, part * HIDDEN, HIDDEN).unwrap()));
        let scores = (queries.matmul(&keys.t().unwrap()).unwrap() / (width as f64).sqrt()).unwrap();
        let mixed = candle_nn::ops::softmax(&scores, D::Minus1).unwrap().matmul(&values).unwrap();
        let mixed = mixed.transpose(0, 1).unwrap().contiguous().unwrap().reshape(((), HIDDEN)).unwrap();
        let sum = (block.output.candle_form().forward(&mixed).unwrap() + ys).unwrap();
        let Residual::After(norm) = &block.residual else { panic!("a norm over the sum") };
        norm.candle_form().forward(&sum).unwrap()
    }

    #[test]
    fn rows_see_their_own_sequence_only() {
        let block = CrossAttention {
            query: linear(1, HIDDEN, HIDDEN),
            key_value: linear(3, 2 * HIDDEN, HIDDEN),
            heads: 3,
            scores: Dtype::Float32,
            output: linear(5, HIDDEN, HIDDEN),
            residual: Residual::After(norm(7, HIDDEN)),
        };
        let [queries, keys] = [[2, 1, 5], [4, 7, 5]].map(Bounds::from_lengths);
        let (ys, xs) = (tensor(9, queries.tokens(), HIDDEN), tensor(11, keys.tokens(), HIDDEN));
        let memory = Memory { rows: &xs, bounds: &keys };
        let got = block.forward(ys.copy().unwrap(), memory, &Context::new(&queries, &|| false)).unwrap();
        for (rows, keys) in queries.rows().zip(keys.rows()) {
            let part = |xs: &Tensor, rows: std::ops::Range<usize>| xs.narrow(0, rows.start, rows.len()).unwrap();
            let alone = candle_form(&block, &part(&ys, rows.clone()), &part(&xs, keys));
            assert_close(&part(&got, rows), &alone, 1e-5);
        }
    }
}
