//! One layer of an encoder: attention, then the feed-forward block.

use candle_core::Tensor;

use super::attention_block::AttentionBlock;
use super::context::Context;
use super::feed_forward::FeedForward;
use super::linear::Linear;
use crate::error::Result;
use crate::types::Rows;

/// The two blocks of a layer, in their order.
#[derive(Debug)]
pub struct EncoderLayer {
    /// Mixes the rows of a sequence.
    pub attention: AttentionBlock,
    /// Works on each row alone.
    pub feed_forward: FeedForward,
}

impl EncoderLayer {
    /// `[tokens, hidden]` to the rows that are `wanted`: the same or `[sequences, hidden]`.
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`] when the batch was cancelled, [`crate::Error::Backend`] when a product fails.
    pub fn forward(&self, xs: Tensor, wanted: Rows, context: &Context<'_>) -> Result<Tensor> {
        context.check()?;
        let xs = self.attention.forward(xs, wanted, context)?;
        self.feed_forward.forward(xs, context)
    }

    /// Its dense layers, in the order in which they are computed.
    pub fn linears(&self) -> [&Linear; 4] {
        [&self.attention.qkv, &self.attention.output, &self.feed_forward.up, &self.feed_forward.down]
    }
}
