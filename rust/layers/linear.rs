//! `y = x Wᵀ + b`.

use candle_core::{Device, Tensor};

use super::ops::in_place;
use crate::error::Result;
use crate::kernels;
use crate::weights::Mapped;

/// A dense layer; `weight` is `[out, in]` as in the checkpoint.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Tensor,
    bias: Vec<f32>,
}

impl Linear {
    /// Copies weight `[out, in]` and bias `[out]` out of the map; of several pairs, stacks them along `out`, so that
    /// one product serves all of them.
    ///
    /// # Errors
    /// [`crate::Error::ModelFormat`] when a value is not finite.
    pub fn load(parts: &[(&Mapped, &Mapped)]) -> Result<Self> {
        let width = parts[0].0.shape()[1];
        let rows: usize = parts.iter().map(|(weight, _)| weight.shape()[0]).sum();
        let (mut values, mut bias) = (Vec::with_capacity(rows * width), Vec::with_capacity(rows));
        for (weight, part) in parts {
            weight.append_finite(&mut values)?;
            part.append_finite(&mut bias)?;
        }
        Ok(Self { weight: Tensor::from_vec(values, (rows, width), &Device::Cpu)?, bias })
    }

    /// `[rows, in]` to `[rows, out]`.
    ///
    /// # Errors
    /// [`crate::Error::Backend`] when the product fails.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let ys = self.product(xs)?;
        in_place(&ys, "add_bias", |ys| kernels::add_bias(ys, &self.bias))?;
        Ok(ys)
    }

    /// `x Wᵀ` alone: the blocks add the bias together with what follows it.
    pub(super) fn product(&self, xs: &Tensor) -> Result<Tensor> {
        Ok(xs.matmul(&self.weight.t()?)?)
    }

    pub(super) fn bias(&self) -> &[f32] {
        &self.bias
    }

    #[cfg(test)]
    pub(super) fn new(weight: Tensor, bias: Vec<f32>) -> Self {
        Self { weight, bias }
    }

    /// The same layer as candle has it: the form that tests compare with.
    #[cfg(test)]
    pub(super) fn candle_form(&self) -> candle_nn::Linear {
        let bias = Tensor::new(self.bias.as_slice(), &Device::Cpu).unwrap();
        candle_nn::Linear::new(self.weight.clone(), Some(bias))
    }

    /// Number of weights and biases.
    pub fn parameters(&self) -> usize {
        self.weight.elem_count() + self.bias.len()
    }
}
