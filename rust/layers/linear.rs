//! `y = activation(x Wᵀ + b)`.

use candle_core::Tensor;

use super::context::Context;
use super::ops::map_rows;
use crate::error::Result;
use crate::kernels::{self, Activation, Packed};
use crate::types::Dtype;
use crate::weights::Mapped;

/// A dense layer, packed for the kernels.
#[derive(Debug)]
pub struct Linear {
    weight: Packed,
    bias: Vec<f32>,
    /// As in the checkpoint, `[out, in]`.
    #[cfg(test)]
    plain: Tensor,
}

impl Linear {
    /// Packs weight `[out, in]` and bias `[out]` out of the map; several pairs, which are of one shape, are stacked
    /// along `out`, so that one product serves all of them.
    ///
    /// # Errors
    /// [`crate::Error::ModelFormat`] when a value is not finite.
    pub fn load(dtype: Dtype, parts: &[(&Mapped, &Mapped)]) -> Result<Self> {
        let inputs = parts[0].0.shape()[1];
        let mut bias = Vec::new();
        for (_, part) in parts {
            part.append_finite(&mut bias)?;
        }
        let rows = parts[0].0.shape()[0];
        let weight = Packed::pack(dtype, bias.len(), inputs, |output, values| {
            parts[output / rows].0.read_finite(output % rows * inputs, values)
        })?;
        Ok(Self {
            weight,
            #[cfg(test)]
            plain: Tensor::zeros((bias.len(), inputs), candle_core::DType::F32, &candle_core::Device::Cpu)?,
            bias,
        })
    }

    /// `[rows, in]` to `[rows, out]`.
    ///
    /// # Errors
    /// [`crate::Error::Backend`] unless the tensor is contiguous f32.
    pub fn forward(&self, xs: &Tensor, activation: Activation, context: &Context<'_>) -> Result<Tensor> {
        map_rows(xs, xs.dims()[0], self.weight.outputs(), |xs, ys| self.apply(xs, activation, ys, context))
    }

    /// The same on slices.
    pub(super) fn apply(&self, xs: &[f32], activation: Activation, ys: &mut [f32], context: &Context<'_>) {
        let bias = Some((&self.bias[..], activation));
        kernels::linear(xs, &self.weight, bias, ys, &mut context.scratch.borrow_mut());
    }

    /// `x Wᵀ` alone: before a norm the bias is added together with the residual.
    pub(super) fn product(&self, xs: &[f32], ys: &mut [f32], context: &Context<'_>) {
        kernels::linear(xs, &self.weight, None, ys, &mut context.scratch.borrow_mut());
    }

    /// Number of outputs.
    pub(super) fn outputs(&self) -> usize {
        self.weight.outputs()
    }

    pub(super) fn bias(&self) -> &[f32] {
        &self.bias
    }

    #[cfg(test)]
    pub(super) fn new(plain: Tensor, bias: Vec<f32>) -> Self {
        let rows: Vec<Vec<f32>> = plain.to_vec2().unwrap();
        let fill = |row: usize, values: &mut [f32]| {
            values.copy_from_slice(&rows[row]);
            Ok::<_, ()>(())
        };
        let weight = Packed::pack(Dtype::Float32, bias.len(), rows[0].len(), fill).unwrap();
        Self { weight, bias, plain }
    }

    /// The same layer as candle has it: the form that tests compare with.
    #[cfg(test)]
    pub(super) fn candle_form(&self) -> candle_nn::Linear {
        let bias = Tensor::new(self.bias.as_slice(), &candle_core::Device::Cpu).unwrap();
        candle_nn::Linear::new(self.plain.clone(), Some(bias))
    }

    /// Number of weights and biases.
    pub fn parameters(&self) -> usize {
        self.weight.outputs() * self.weight.inputs() + self.bias.len()
    }
}
