//! One layer of an encoder: attention, then the feed-forward block, and in one family a convolution beside them.

use candle_core::Tensor;

use super::attention_block::AttentionBlock;
use super::context::Context;
use super::convolution::Convolution;
use super::feed_forward::FeedForward;
use super::linear::Linear;
use super::ops::map_rows;
use super::pooling::one_row_each;
use crate::error::Result;
use crate::types::Rows;

/// The two blocks of a layer, in their order.
#[derive(Debug)]
pub struct EncoderLayer {
    /// Mixes the rows of a sequence.
    pub attention: AttentionBlock,
    /// Works on each row alone.
    pub feed_forward: FeedForward,
    /// Beside both of them.
    pub convolution: Option<Convolution>,
}

impl EncoderLayer {
    /// `[tokens, hidden]` to the rows that are `wanted`: the same or `[sequences, hidden]`.
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`] when the batch was cancelled, [`crate::Error::Backend`] when a product fails.
    pub fn forward(&self, xs: Tensor, wanted: Rows, context: &Context<'_>) -> Result<Tensor> {
        context.check()?;
        let Some(convolution) = &self.convolution else {
            let xs = self.attention.forward(xs, wanted, context)?;
            return self.feed_forward.forward(xs, context);
        };
        let ys = self.attention.forward(xs.copy()?, Rows::All, context)?;
        let ys = self.feed_forward.forward(ys, context)?;
        convolution.add(&xs, &ys, context)?;
        match wanted {
            Rows::All => Ok(ys),
            Rows::First | Rows::Last => {
                let (sequences, hidden) = (context.bounds.sequences(), ys.dims()[1]);
                map_rows(&ys, sequences, hidden, |ys, picked| one_row_each(ys, context.bounds, wanted, picked))
            }
        }
    }

    /// Its dense layers, in the order in which they are computed.
    pub fn linears(&self) -> [&Linear; 4] {
        [&self.attention.qkv, &self.attention.output, &self.feed_forward.up, &self.feed_forward.down]
    }
}
