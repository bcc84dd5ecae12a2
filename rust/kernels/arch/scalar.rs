//! The plain twins: the fallback where nothing faster is there, and what the vectorised kernels are tested against.
//!
//! `libm` and not the platform's functions, so that every platform computes the same.

use std::ops::Range;

use super::Kernels;
use crate::kernels::gemm::{Panels, Product};
use crate::kernels::{Activation, Norm, bf16, int8};
use crate::types::Dtype;

/// Needs nothing of the CPU.
pub(super) struct Scalar;

/// Outputs of a panel.
const PANEL: usize = 16;

impl Kernels for Scalar {
    fn narrow(&self, xs: &[f32], inputs: usize, stride: usize, rows: &mut [u32]) {
        bf16::narrow(xs, inputs, stride, rows);
    }

    fn quantize(&self, xs: &[f32], inputs: usize, rows: &mut [u32], factors: &mut [f32]) {
        int8::quantize(xs, inputs, rows, factors, self.shift());
    }

    fn rotate(&self, xs: &[f32], width: usize, stride: usize, turns: &[f32], turned: &mut [f32]) {
        let half = width / 2;
        for ((x, turn), turned) in xs.chunks(stride).zip(turns.chunks_exact(width)).zip(turned.chunks_exact_mut(width))
        {
            for at in 0..half {
                let (x, y, cos, sin) = (x[at], x[half + at], turn[at], turn[half + at]);
                (turned[at], turned[half + at]) = (x * cos - y * sin, y * cos + x * sin);
            }
        }
    }

    fn shift(&self) -> i32 {
        int8::UNSIGNED
    }

    fn interleave(&self, low: &[f32], high: &[f32], row: &mut [u32]) {
        bf16::interleave(low, high, row);
    }

    fn panel_width(&self) -> usize {
        PANEL
    }

    #[allow(unsafe_code)]
    unsafe fn multiply(&self, product: &Product<'_>, panels: Range<usize>) {
        // SAFETY: the caller's.
        unsafe { multiply(product, panels) };
    }

    fn activate(&self, xs: &mut [f32], activation: Activation) {
        for x in xs {
            *x = activate(*x, activation);
        }
    }

    fn layer_norm(&self, xs: &mut [f32], norm: Norm<'_>) {
        for row in xs.chunks_exact_mut(norm.width()) {
            let width = norm.width() as f64;
            let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / width;
            let variance = row.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / width;
            let deviation = (variance + f64::from(norm.eps)).sqrt();
            for ((x, &weight), &bias) in row.iter_mut().zip(norm.weight).zip(norm.bias) {
                *x = ((f64::from(*x) - mean) / deviation * f64::from(weight) + f64::from(bias)) as f32;
            }
        }
    }

    fn add_layer_norm(&self, xs: &mut [f32], update: &[f32], bias: &[f32], norm: Norm<'_>) {
        for (row, update) in xs.chunks_exact_mut(bias.len()).zip(update.chunks_exact(bias.len())) {
            for ((x, update), bias) in row.iter_mut().zip(update).zip(bias) {
                *x += update + bias;
            }
        }
        self.layer_norm(xs, norm);
    }

    fn lstm_gates(&self, sums: &[f32], inputs: &[f32], cells: &mut [f32], states: &mut [f32]) {
        let (sigmoid, width) = (|x: f64| 1.0 / (1.0 + libm::exp(-x)), cells.len());
        for (unit, (cell, state)) in cells.iter_mut().zip(states).enumerate() {
            let [i, f, g, o] =
                [0, 1, 2, 3].map(|gate| f64::from(sums[gate * width + unit] + inputs[gate * width + unit]));
            *cell = (sigmoid(f) * f64::from(*cell) + sigmoid(i) * libm::tanh(g)) as f32;
            *state = (sigmoid(o) * libm::tanh(f64::from(*cell))) as f32;
        }
    }

    fn softmax(&self, xs: &mut [f32], cols: usize, scale: f32) {
        for row in xs.chunks_exact_mut(cols) {
            let sum = exponentials(row, scale);
            for x in row {
                *x = (f64::from(*x) / sum) as f32;
            }
        }
    }

    fn exponentials(&self, row: &mut [f32], count: usize, scale: f32) -> f32 {
        exponentials(&mut row[..count], scale) as f32
    }
}

fn exponentials(row: &mut [f32], scale: f32) -> f64 {
    let largest = row.iter().fold(f32::NEG_INFINITY, |largest, x| largest.max(x * scale));
    for x in &mut *row {
        *x = libm::expf(*x * scale - largest);
    }
    row.iter().map(|&x| f64::from(x)).sum()
}

/// The definition: one sum after the other.
///
/// # Safety
/// - That of [`Kernels::multiply`].
#[allow(unsafe_code)]
unsafe fn multiply(product: &Product<'_>, panels: Range<usize>) {
    let Panels { cells, depth, width, dtype, integers, .. } = product.weights;
    for row in 0..product.rows {
        let x = &product.cells[row * product.stride..][..depth];
        for panel in panels.clone() {
            let column = panel * width;
            let pairs = || x.iter().zip(cells[panel * depth * width..].chunks_exact(width));
            let mut sums = [0.0; PANEL];
            if let Some((starts, factors)) = integers {
                let mut exact: [i32; PANEL] = std::array::from_fn(|output| starts[column + output].to_bits() as i32);
                pairs().for_each(|(&x, w)| add_integers(&mut exact, x, w));
                for (output, (sum, exact)) in sums.iter_mut().zip(exact).enumerate() {
                    *sum = exact as f32 * (product.factors[row] * factors[column + output]);
                }
            } else {
                pairs().for_each(|(&x, w)| add_numbers(dtype, &mut sums, x, w));
            }
            let (columns, half) = (product.columns(panel), width / 2);
            if let Some((bias, activation)) = product.bias {
                for (at, (sum, bias)) in sums.iter_mut().zip(&bias[column..]).enumerate() {
                    let activation = if product.gated && at >= half { Activation::Linear } else { activation };
                    *sum = activate(*sum + bias, activation);
                }
            }
            if product.gated {
                let (gated, gates) = sums.split_at_mut(half);
                gated.iter_mut().zip(gates).for_each(|(sum, gate)| *sum *= *gate);
            }
            // SAFETY: the caller's.
            let out = unsafe { product.out.row(row, columns.start, columns.len()) };
            out.copy_from_slice(&sums[..columns.len()]);
        }
    }
}

fn add_numbers(dtype: Dtype, sums: &mut [f32; PANEL], x: u32, w: &[u32]) {
    for (sum, &w) in sums.iter_mut().zip(w) {
        if dtype == Dtype::Float32 {
            *sum += f32::from_bits(x) * f32::from_bits(w);
        } else {
            let ([x_low, x_high], [w_low, w_high]) = (bf16::widen(x), bf16::widen(w));
            *sum += x_low * w_low;
            *sum += x_high * w_high;
        }
    }
}

fn add_integers(sums: &mut [i32; PANEL], x: u32, w: &[u32]) {
    for (sum, &w) in sums.iter_mut().zip(w) {
        let (w, x) = int8::widen(w, x);
        *sum += w.iter().zip(x).map(|(w, x)| w * x).sum::<i32>();
    }
}

fn activate(x: f32, activation: Activation) -> f32 {
    match activation {
        Activation::Gelu => gelu(x),
        Activation::GeluTanh => {
            // sqrt(2 / pi)
            let inner = 0.797_884_6 * (x + 0.044_715 * x * x * x);
            tends_to_zero(x, 0.5 * x * (1.0 + libm::tanhf(inner)))
        }
        Activation::QuickGelu => tends_to_zero(x, x * sigmoid(1.702 * x)),
        Activation::Gelu10 => gelu(x).clamp(-10.0, 10.0),
        Activation::Relu => relu(x),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::Relu2 => relu(x) * relu(x),
        Activation::Silu => tends_to_zero(x, x * sigmoid(x)),
        Activation::Tanh => libm::tanhf(x),
        Activation::Sigmoid => sigmoid(x),
        Activation::Mish => tends_to_zero(x, x * libm::tanhf(libm::log1pf(libm::expf(x)))),
        Activation::Linear => x,
    }
}

fn gelu(x: f32) -> f32 {
    tends_to_zero(x, 0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2)))
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + libm::expf(-x))
}

fn relu(x: f32) -> f32 {
    x.clamp(0.0, f32::INFINITY)
}

/// The limit at -inf, where the formulas give `-inf * 0`.
fn tends_to_zero(x: f32, value: f32) -> f32 {
    if x == f32::NEG_INFINITY { 0.0 } else { value }
}
