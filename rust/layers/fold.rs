//! Two dense layers with nothing between them are one.

use crate::error::{Error, Result};
use crate::kernels::{self, Packed, Scratch};
use crate::types::Dtype;
use crate::weights::Mapped;

/// Products that are summed in one go: sums of such parts are an order nearer to the exact ones than a single chain of
/// thousands of additions.
const PART: usize = 256;

/// A dense layer whose outputs nobody but the next one reads.
#[derive(Debug, Clone, Copy)]
pub struct Inner<'a> {
    /// What the checkpoint calls it.
    pub name: &'a str,
    /// `[middle, inputs]`.
    pub weight: &'a Mapped,
    /// `[middle]`.
    pub bias: &'a Mapped,
}

impl Inner<'_> {
    /// What `rows` of the next layer's weights, `[rows, middle]`, become when they read this one's inputs:
    /// `[rows, inputs]`.
    ///
    /// # Errors
    /// [`crate::Error::ModelFormat`] when a value is not finite.
    pub(super) fn fold(&self, rows: &[f32]) -> Result<Vec<f32>> {
        let [middle, inputs] = [0, 1].map(|dim| self.weight.shape()[dim]);
        let count = rows.len() / middle;
        let mut folded = vec![0.0; count * inputs];
        let (mut sums, mut scratch) = (vec![0.0; count * inputs], Scratch::default());
        for start in (0..middle).step_by(PART) {
            let part = start..middle.min(start + PART);
            let mut values = vec![0.0; part.len() * inputs];
            self.weight.read_finite(start * inputs, &mut values)?;
            let column = |input: usize, out: &mut [f32]| {
                out.iter_mut().zip(values[input..].iter().step_by(inputs)).for_each(|(out, value)| *out = *value);
                Ok::<_, Error>(())
            };
            let packed = Packed::pack(Dtype::Float32, inputs, part.len(), column)?;
            let xs: Vec<f32> = rows.chunks_exact(middle).flat_map(|row| &row[part.clone()]).copied().collect();
            kernels::linear(&xs, &packed, None, &mut sums, &mut scratch);
            folded.iter_mut().zip(&sums).for_each(|(folded, sum)| *folded += sum);
        }
        Ok(folded)
    }

    /// What this layer's bias adds to each of the next one's outputs, in f64.
    ///
    /// # Errors
    /// As for [`Inner::fold`].
    pub(super) fn fold_bias(&self, rows: &[f32]) -> Result<Vec<f64>> {
        let mut bias = Vec::new();
        self.bias.append_finite(&mut bias)?;
        let product = |row: &[f32]| row.iter().zip(&bias).map(|(w, b)| f64::from(*w) * f64::from(*b)).sum();
        Ok(rows.chunks_exact(bias.len()).map(product).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::mapped;
    use super::*;

    #[test]
    fn one_layer_is_both() {
        let (middle, inputs) = (PART + 3, 5);
        let number = |at: usize| (at * 7_919 % 2_003) as f32 / 1_001.5 - 1.0;
        let weight: Vec<f32> = (0..middle * inputs).map(number).collect();
        let bias: Vec<f32> = (0..middle).map(|at| number(at + 17)).collect();
        let rows: Vec<f32> = (0..2 * middle).map(|at| number(at + 91)).collect();
        let tensors = mapped(&[("w", &[middle, inputs], &weight), ("b", &[middle], &bias)]);
        let inner = Inner { name: "w", weight: tensors.get("w").unwrap(), bias: tensors.get("b").unwrap() };
        let exact = |row: usize, of: &dyn Fn(usize) -> f32| {
            (0..middle).map(|at| f64::from(rows[row * middle + at]) * f64::from(of(at))).sum::<f64>()
        };
        let folded = inner.fold(&rows).unwrap();
        for (at, got) in folded.iter().enumerate() {
            let expected = exact(at / inputs, &|middle| weight[middle * inputs + at % inputs]);
            assert!((f64::from(*got) - expected).abs() < 1e-5, "{got}, not {expected}");
        }
        for (row, got) in inner.fold_bias(&rows).unwrap().iter().enumerate() {
            assert!((got - exact(row, &|middle| bias[middle])).abs() < 1e-12);
        }
    }
}
