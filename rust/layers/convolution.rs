//! A convolution over neighbouring rows beside the first layer: `LN(layer(x) + act(conv(x)))`, as DeBERTa-v2 has it.

use candle_core::Tensor;

use super::context::Context;
use super::linear::Linear;
use super::norm::LayerNorm;
use super::ops::{in_place, map_rows};
use crate::error::Result;
use crate::kernels::Activation;

/// A convolution, its activation and the norm of the sum.
#[derive(Debug)]
pub struct Convolution {
    /// `[hidden, width * hidden]`: of each output the weights of the row before, its own row, the row behind …
    pub kernel: Linear,
    /// Rows that it sees, an odd number.
    pub width: usize,
    /// After the convolution.
    pub activation: Activation,
    /// Over the sum.
    pub norm: LayerNorm,
}

impl Convolution {
    /// Adds the convolution of `xs` to `ys`, both `[tokens, hidden]`. Rows of other sequences are not seen: outside of a
    /// sequence there are zeros.
    ///
    /// # Errors
    /// [`crate::Error::Backend`] unless the tensors are contiguous f32.
    pub fn add(&self, xs: &Tensor, ys: &Tensor, context: &Context<'_>) -> Result<()> {
        let (tokens, hidden) = xs.dims2()?;
        let before = self.width / 2;
        let seen = map_rows(xs, tokens, self.width * hidden, |xs, seen| {
            let rows = context.bounds.rows().flat_map(|rows| rows.clone().map(move |row| (row, rows.clone())));
            for ((row, sequence), seen) in rows.zip(seen.chunks_exact_mut(self.width * hidden)) {
                for (at, seen) in seen.chunks_exact_mut(hidden).enumerate() {
                    if let Some(row) = (row + at).checked_sub(before).filter(|row| sequence.contains(row)) {
                        seen.copy_from_slice(&xs[row * hidden..][..hidden]);
                    }
                }
            }
        })?;
        let update = self.kernel.forward(&seen, self.activation, context)?.flatten_all()?.to_vec1::<f32>()?;
        let nothing = vec![0.0; hidden];
        in_place(ys, "convolution", |ys| self.norm.add(ys, &update, &nothing, context))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Module, Tensor};

    use super::super::fixtures::{assert_close, linear, norm, tensor};
    use super::*;
    use crate::types::Bounds;

    #[test]
    fn it_is_candles_convolution_of_each_sequence() {
        let (hidden, width) = (6, 3);
        let convolution = Convolution {
            kernel: linear(1, hidden, width * hidden),
            width,
            activation: Activation::Tanh,
            norm: norm(3, hidden),
        };
        let bounds = Bounds::from_lengths([5, 1, 2]);
        let (xs, ys) = (tensor(5, bounds.tokens(), hidden), tensor(6, bounds.tokens(), hidden));
        let got = ys.copy().unwrap();
        convolution.add(&xs, &got, &Context::new(&bounds, &|| false)).unwrap();
        // Ours has the inputs of one row side by side, candle's the rows of one input.
        let weight = convolution.kernel.candle_form().weight().reshape((hidden, width, hidden)).unwrap();
        let weight = weight.transpose(1, 2).unwrap().contiguous().unwrap();
        let bias = Tensor::new(convolution.kernel.bias(), xs.device()).unwrap().unsqueeze(1).unwrap();
        for rows in bounds.rows() {
            let x = xs.narrow(0, rows.start, rows.len()).unwrap().t().unwrap().contiguous().unwrap();
            let out = x.unsqueeze(0).unwrap().conv1d(&weight, 1, 1, 1, 1).unwrap().squeeze(0).unwrap();
            let out = out.broadcast_add(&bias).unwrap().tanh().unwrap().t().unwrap();
            let sum = (ys.narrow(0, rows.start, rows.len()).unwrap() + out).unwrap().contiguous().unwrap();
            let expected = convolution.norm.candle_form().forward(&sum).unwrap();
            assert_close(&got.narrow(0, rows.start, rows.len()).unwrap(), &expected, 1e-5);
        }
    }
}
