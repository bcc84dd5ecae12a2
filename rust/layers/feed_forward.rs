//! The second half of an encoder layer: `LN(W₂ act(W₁ x + b₁) + b₂ + x)`.

use candle_core::Tensor;

use super::context::Context;
use super::linear::Linear;
use super::norm::LayerNorm;
use super::ops::in_place;
use crate::error::Result;
use crate::kernels::{self, Activation};

/// Two dense layers with an activation between them, residual and norm.
#[derive(Debug, Clone)]
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
    /// `[tokens, hidden]` to the same.
    ///
    /// # Errors
    /// [`crate::Error::Backend`] when a product fails.
    pub fn forward(&self, xs: &Tensor, _context: &Context<'_>) -> Result<Tensor> {
        let inner = self.up.product(xs)?; // (tokens, intermediate)
        in_place(&inner, "bias_activation", |ys| kernels::bias_activation(ys, self.up.bias(), self.activation))?;
        let ys = self.down.product(&inner)?; // (tokens, hidden)
        self.norm.forward_residual(&ys, self.down.bias(), xs)?;
        Ok(ys)
    }
}
