//! The second half of an encoder layer: `LN(W₂ act(W₁ x + b₁) + b₂ + x)`.

use candle_core::Tensor;

use super::context::Context;
use super::linear::Linear;
use super::norm::LayerNorm;
use super::ops::in_place;
use crate::error::Result;
use crate::kernels::Activation;

/// Two dense layers with an activation between them, residual and norm.
#[derive(Debug)]
pub struct FeedForward {
    /// `[intermediate, hidden]`.
    pub up: Linear,
    /// What stands between the two products.
    pub activation: Activation,
    /// `[hidden, intermediate]`.
    pub down: Linear,
    /// Over the sum with the block's input.
    pub norm: LayerNorm,
}

impl FeedForward {
    /// `[rows, hidden]` to the same, in place.
    ///
    /// # Errors
    /// [`crate::Error::Backend`] unless the tensor is contiguous f32.
    pub fn forward(&self, xs: Tensor, context: &Context<'_>) -> Result<Tensor> {
        let rows = xs.dims()[0];
        in_place(&xs, "feed_forward", |xs| {
            let mut inner = context.buffer(rows * self.up.outputs()); // (rows, intermediate)
            self.up.apply(xs, self.activation, &mut inner, context);
            let mut update = context.buffer(xs.len()); // (rows, hidden)
            self.down.product(&inner, &mut update, context);
            self.norm.add(xs, &update, self.down.bias(), context);
        })?;
        Ok(xs)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Module;

    use super::super::fixtures::{assert_close, linear, norm, tensor};
    use super::*;
    use crate::types::Bounds;

    #[test]
    fn the_block_is_its_candle_form() {
        let (hidden, inner) = (16, 40);
        let block = FeedForward {
            up: linear(1, inner, hidden),
            activation: Activation::Gelu,
            down: linear(3, hidden, inner),
            norm: norm(5, hidden),
        };
        let bounds = Bounds::from_lengths([6, 2]);
        let xs = tensor(9, bounds.tokens(), hidden);
        let ys = block.forward(xs.copy().unwrap(), &Context::new(&bounds, &|| false)).unwrap();
        let inner = block.up.candle_form().forward(&xs).unwrap().gelu_erf().unwrap();
        let sum = (block.down.candle_form().forward(&inner).unwrap() + &xs).unwrap();
        assert_close(&ys, &block.norm.candle_form().forward(&sum).unwrap(), 1e-5);
    }
}
