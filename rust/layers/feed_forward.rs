//! The second half of an encoder layer: `LN(W₂ act(W₁ x + b₁) + b₂ + x)`, or with the norm in front.

use candle_core::Tensor;

use super::context::Context;
use super::linear::Linear;
use super::ops::in_place;
use super::residual::Residual;
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
    /// How the sum with the block's input is normalized.
    pub residual: Residual,
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
            self.up.apply(&self.residual.read(xs, context), self.activation, &mut inner, context);
            let mut update = context.buffer(xs.len()); // (rows, hidden)
            self.down.product(&inner, &mut update, context);
            self.residual.add(xs, &update, self.down.bias(), context);
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
            residual: Residual::After(norm(5, hidden)),
        };
        let bounds = Bounds::from_lengths([6, 2]);
        let xs = tensor(9, bounds.tokens(), hidden);
        let ys = block.forward(xs.copy().unwrap(), &Context::new(&bounds, &|| false)).unwrap();
        let inner = block.up.candle_form().forward(&xs).unwrap().gelu_erf().unwrap();
        let sum = (block.down.candle_form().forward(&inner).unwrap() + &xs).unwrap();
        let Residual::After(norm) = &block.residual else { panic!("a norm over the sum") };
        assert_close(&ys, &norm.candle_form().forward(&sum).unwrap(), 1e-5);
    }

    #[test]
    fn a_norm_in_front_leaves_the_input_in_the_sum() {
        let hidden = 16;
        let block = |residual| FeedForward {
            up: linear(1, hidden, hidden),
            activation: Activation::Relu,
            down: linear(3, hidden, hidden),
            residual,
        };
        let bounds = Bounds::from_lengths([3, 4]);
        let (xs, context) = (tensor(9, bounds.tokens(), hidden), Context::new(&bounds, &|| false));
        let inner = |block: &FeedForward, xs: &Tensor| {
            let inner = block.up.candle_form().forward(xs).unwrap().relu().unwrap();
            block.down.candle_form().forward(&inner).unwrap()
        };
        let before = block(Residual::Before(Some(norm(5, hidden))));
        let normalized = norm(5, hidden).candle_form().forward(&xs).unwrap();
        let expected = (inner(&before, &normalized) + &xs).unwrap();
        assert_close(&before.forward(xs.copy().unwrap(), &context).unwrap(), &expected, 1e-5);
        let none = block(Residual::Before(None));
        let expected = (inner(&none, &xs) + &xs).unwrap();
        assert_close(&none.forward(xs.copy().unwrap(), &context).unwrap(), &expected, 1e-5);
    }
}
