//! One layer of a decoder: attention to what stands before, attention to the encoder's rows, then the feed-forward block.

use candle_core::Tensor;

use super::attention_block::AttentionBlock;
use super::context::Context;
use super::cross_attention::{CrossAttention, Memory};
use super::feed_forward::FeedForward;
use super::linear::Linear;
use crate::error::Result;
use crate::types::{Bounds, Rows};

/// The three blocks of a layer, in their order.
#[derive(Debug)]
pub struct DecoderLayer {
    /// Mixes the rows of a sequence.
    pub attention: AttentionBlock,
    /// Brings in the encoder's rows.
    pub cross: CrossAttention,
    /// Works on each row alone.
    pub feed_forward: FeedForward,
}

impl DecoderLayer {
    /// `[tokens, hidden]` to the rows that are `wanted`: the same or `[sequences, hidden]`.
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`] when the batch was cancelled, [`crate::Error::Backend`] when a product fails.
    pub fn forward(&self, ys: Tensor, memory: Memory<'_>, wanted: Rows, context: &Context<'_>) -> Result<Tensor> {
        context.check()?;
        let ys = self.attention.forward(ys, wanted, context)?;
        let left = Bounds::from_lengths(context.bounds.rows().map(|rows| wanted.of(rows.len()).len()));
        let context = &context.of_rows(&left);
        let ys = self.cross.forward(ys, memory, context)?;
        self.feed_forward.forward(ys, context)
    }

    /// Its dense layers, in the order in which they are computed.
    pub fn linears(&self) -> [&Linear; 7] {
        let Self { attention, cross, feed_forward } = self;
        [
            &attention.qkv,
            &attention.output,
            &cross.query,
            &cross.key_value,
            &cross.output,
            &feed_forward.up,
            &feed_forward.down,
        ]
    }
}
