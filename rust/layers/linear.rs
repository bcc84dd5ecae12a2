//! `y = activation(x Wᵀ + b)`.

use candle_core::Tensor;

use super::context::Context;
use super::ops::map_rows;
use super::profile::Stage;
use crate::error::Result;
use crate::kernels::{self, Activation, Packed, Scratch};
use crate::types::Dtype;
use crate::weights::{Mapped, Weights};

/// A dense layer, packed for the kernels.
#[derive(Debug)]
pub struct Linear {
    name: String,
    weight: Packed,
    bias: Vec<f32>,
    /// Columns, where the product's halves are gated.
    gated: Option<usize>,
    /// As in the checkpoint, `[out, in]`.
    #[cfg(test)]
    plain: Tensor,
}

impl Linear {
    /// Packs weight `[out, in]` and bias `[out]` (or none) out of the map; several pairs, which are of one shape, are
    /// stacked along `out`, so that one product serves all of them. What was packed before is taken as it is.
    ///
    /// # Errors
    /// [`crate::Error::ModelFormat`] when a value is not finite.
    pub fn load(name: &str, dtype: Dtype, parts: &[(&Mapped, Option<&Mapped>)], weights: &Weights) -> Result<Self> {
        let [rows, inputs] = [0, 1].map(|dim| parts[0].0.shape()[dim]);
        let mut bias = Vec::new();
        for (_, part) in parts {
            match part {
                Some(part) => part.append_finite(&mut bias)?,
                None => bias.resize(bias.len() + rows, 0.0),
            }
        }
        Self::load_rows(name, dtype, bias, inputs, weights, |output, values| {
            parts[output / rows].0.read_finite(output % rows * inputs, values)
        })
    }

    /// As [`Linear::pack`], unless it was packed before.
    ///
    /// # Errors
    /// One that `row` gives.
    pub fn load_rows(
        name: &str,
        dtype: Dtype,
        bias: Vec<f32>,
        inputs: usize,
        weights: &Weights,
        row: impl Fn(usize, &mut [f32]) -> Result<()> + Sync,
    ) -> Result<Self> {
        match weights.packed(name, dtype, bias.len(), inputs) {
            Some(weight) => Self::of(name, weight, bias),
            None => Self::pack(name, dtype, bias, inputs, row),
        }
    }

    /// Of a weight `[2 * out, in]` and a bias, the halves of whose product are gated: the first one is activated and
    /// multiplied with the second one.
    ///
    /// # Errors
    /// [`crate::Error::ModelFormat`] when a value is not finite.
    pub fn load_gated(
        name: &str,
        dtype: Dtype,
        (weight, bias): (&Mapped, Option<&Mapped>),
        weights: &Weights,
    ) -> Result<Self> {
        let [rows, inputs] = [0, 1].map(|dim| weight.shape()[dim]);
        let (columns, outputs) = (rows / 2, kernels::gate_outputs(rows / 2));
        let mut biases = Vec::new();
        bias.map_or(Ok(()), |bias| bias.append_finite(&mut biases))?;
        let biases = (0..outputs).map(|output| {
            let row = kernels::gate_row(columns, output);
            row.and_then(|row| biases.get(row)).copied().unwrap_or(0.0)
        });
        let biases: Vec<f32> = biases.collect();
        let layer = Self::load_rows(name, dtype, biases, inputs, weights, |output, values| {
            match kernels::gate_row(columns, output) {
                Some(row) => weight.read_finite(row * inputs, values)?,
                None => values.fill(0.0),
            }
            Ok(())
        })?;
        Ok(Self { gated: Some(columns), ..layer })
    }

    /// Packs weights that are given row by row: `row(output, values)` writes those of one output.
    ///
    /// # Errors
    /// One that `row` gives.
    pub fn pack(
        name: &str,
        dtype: Dtype,
        bias: Vec<f32>,
        inputs: usize,
        row: impl Fn(usize, &mut [f32]) -> Result<()> + Sync,
    ) -> Result<Self> {
        Self::of(name, Packed::pack(dtype, bias.len(), inputs, row)?, bias)
    }

    #[cfg_attr(not(test), expect(clippy::unnecessary_wraps, reason = "tests make a tensor"))]
    fn of(name: &str, weight: Packed, bias: Vec<f32>) -> Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            #[cfg(test)]
            plain: Tensor::zeros(
                (weight.outputs(), weight.inputs()),
                candle_core::DType::F32,
                &candle_core::Device::Cpu,
            )?,
            weight,
            bias,
            gated: None,
        })
    }

    /// What it makes of rows that are known when a model is loaded.
    pub(crate) fn of_rows(&self, xs: &[f32]) -> Vec<f32> {
        let mut ys = vec![0.0; xs.len() / self.weight.inputs() * self.outputs()];
        kernels::linear(xs, &self.weight, Some((&self.bias, Activation::Linear)), &mut ys, &mut Scratch::default());
        ys
    }

    /// `[rows, in]` to `[rows, out]`.
    ///
    /// # Errors
    /// [`crate::Error::Backend`] unless the tensor is contiguous f32.
    pub fn forward(&self, xs: &Tensor, activation: Activation, context: &Context<'_>) -> Result<Tensor> {
        map_rows(xs, xs.dims()[0], self.outputs(), |xs, ys| self.apply(xs, activation, ys, context))
    }

    /// The same on slices.
    pub(super) fn apply(&self, xs: &[f32], activation: Activation, ys: &mut [f32], context: &Context<'_>) {
        self.compute(xs, Some((&self.bias, activation)), ys, context);
    }

    /// `x Wᵀ` alone: before a norm the bias is added together with the residual.
    pub(super) fn product(&self, xs: &[f32], ys: &mut [f32], context: &Context<'_>) {
        self.compute(xs, None, ys, context);
    }

    fn compute(&self, xs: &[f32], bias: Option<(&[f32], Activation)>, ys: &mut [f32], context: &Context<'_>) {
        context.record(&self.name, || xs.to_vec());
        let scratch = &mut context.scratch().borrow_mut();
        context.stage(Stage::Linear, || match (self.gated, bias) {
            (Some(columns), Some(bias)) => kernels::gated(xs, &self.weight, bias, columns, ys, scratch),
            _ => kernels::linear(xs, &self.weight, bias, ys, scratch),
        });
    }

    /// How far the products of `other`, the same layer in other numbers, are from this one's, without biases: the length
    /// of the difference over the length of how products vary from row to row. What all rows share says nothing about
    /// any of them, and a large share would hide the loss. On some 256 rows from all over `xs`.
    pub(crate) fn difference(&self, other: &Self, xs: &[f32]) -> f64 {
        let (inputs, outputs) = (self.weight.inputs(), self.weight.outputs());
        let rows = xs.chunks_exact(inputs).step_by((xs.len() / inputs / 256).max(1));
        let xs: Vec<f32> = rows.flatten().copied().collect();
        let rows = xs.len() / inputs;
        let [ys, others] = [self, other].map(|layer| {
            let mut ys = vec![0.0; rows * outputs];
            kernels::linear(&xs, &layer.weight, None, &mut ys, &mut Scratch::default());
            ys
        });
        let (mut sums, mut squares) = (vec![0.0; outputs], 0.0);
        for row in ys.chunks_exact(outputs) {
            for (sum, &y) in sums.iter_mut().zip(row) {
                *sum += f64::from(y);
                squares += f64::from(y).powi(2);
            }
        }
        let shared: f64 = sums.iter().map(|sum| sum * sum / rows as f64).sum();
        let apart: f64 = ys.iter().zip(&others).map(|(y, other)| f64::from(y - other).powi(2)).sum();
        let varies = if rows > 1 { (squares - shared).max(0.0) } else { squares };
        if apart == 0.0 { 0.0 } else { (apart / varies).sqrt() }
    }

    /// Its weights.
    pub fn packed(&self) -> &Packed {
        &self.weight
    }

    /// What the checkpoint calls it; of several that were stacked, the first one's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of outputs: of halves that are gated, the columns of one.
    pub(crate) fn outputs(&self) -> usize {
        self.gated.unwrap_or(self.weight.outputs())
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
        Self { name: String::new(), weight, bias, gated: None, plain }
    }

    /// The same layer as candle has it: the form that tests compare with.
    #[cfg(test)]
    pub(super) fn candle_form(&self) -> candle_nn::Linear {
        let bias = Tensor::new(self.bias.as_slice(), &candle_core::Device::Cpu).unwrap();
        candle_nn::Linear::new(self.plain.clone(), Some(bias))
    }

    /// Number of weights and biases.
    pub fn parameters(&self) -> usize {
        self.gated.map_or(self.weight.outputs(), |columns| 2 * columns) * (self.weight.inputs() + 1)
    }
}
