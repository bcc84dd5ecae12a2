//! One layer of an encoder: attention, then the feed-forward block.

use candle_core::Tensor;

use super::attention_block::AttentionBlock;
use super::context::Context;
use super::feed_forward::FeedForward;
use crate::error::Result;

/// The two blocks of a layer, in their order.
#[derive(Debug)]
pub struct EncoderLayer {
    /// Mixes the rows of a sequence.
    pub attention: AttentionBlock,
    /// Works on each row alone.
    pub feed_forward: FeedForward,
}

impl EncoderLayer {
    /// `[tokens, hidden]` to the same.
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`] when the batch was cancelled, [`crate::Error::Backend`] when a product fails.
    pub fn forward(&self, xs: &Tensor, context: &Context<'_>) -> Result<Tensor> {
        context.check()?;
        let xs = self.attention.forward(xs, context)?;
        self.feed_forward.forward(&xs, context)
    }
}
