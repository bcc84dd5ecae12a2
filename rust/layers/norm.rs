//! `(x - mean) / sqrt(var + eps) * weight + bias` over each row, with the biased variance.

use candle_core::Tensor;

use super::context::Context;
use super::ops::in_place;
use super::profile::Stage;
use crate::error::Result;
use crate::kernels;
use crate::weights::Mapped;

/// Layer normalization of the last dimension.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    eps: f32,
}

impl LayerNorm {
    /// Copies weight and bias, both `[width]`, out of the map; without a bias it is 0.
    ///
    /// # Errors
    /// [`crate::Error::ModelFormat`] when a value is not finite.
    pub fn load(weight: &Mapped, bias: Option<&Mapped>, eps: f64) -> Result<Self> {
        let mut norm = Self { weight: Vec::new(), bias: Vec::new(), eps: eps as f32 };
        weight.append_finite(&mut norm.weight)?;
        match bias {
            Some(bias) => bias.append_finite(&mut norm.bias)?,
            None => norm.bias.resize(norm.weight.len(), 0.0),
        }
        Ok(norm)
    }

    /// Normalizes `[rows, width]` in place.
    ///
    /// # Errors
    /// [`crate::Error::Backend`] unless the tensor is contiguous f32.
    pub fn forward(&self, xs: &Tensor) -> Result<()> {
        in_place(xs, "layer_norm", |xs| kernels::layer_norm(xs, self.kernel()))
    }

    /// The same from one slice to another.
    pub(super) fn apply(&self, xs: &[f32], ys: &mut [f32], context: &Context<'_>) {
        context.stage(Stage::Norms, || kernels::layer_norm_of(xs, ys, self.kernel()));
    }

    /// `LN(update + bias + xs)` in place of `xs`: what ends every post-norm block.
    pub(super) fn add(&self, xs: &mut [f32], update: &[f32], bias: &[f32], context: &Context<'_>) {
        context.stage(Stage::Norms, || kernels::add_layer_norm(xs, update, bias, self.kernel()));
    }

    #[cfg(test)]
    pub(super) fn new(weight: Vec<f32>, bias: Vec<f32>, eps: f32) -> Self {
        Self { weight, bias, eps }
    }

    /// The same norm as candle has it: the form that tests compare with.
    #[cfg(test)]
    pub(super) fn candle_form(&self) -> candle_nn::LayerNorm {
        let vector = |values: &[f32]| Tensor::new(values, &candle_core::Device::Cpu).unwrap();
        candle_nn::LayerNorm::new(vector(&self.weight), vector(&self.bias), self.eps.into())
    }

    fn kernel(&self) -> kernels::Norm<'_> {
        kernels::Norm { weight: &self.weight, bias: &self.bias, eps: self.eps }
    }
}
