//! The kernels once per instruction set: [`Kernels`] is their table, [`kernels`] the only place that chooses.
//!
//! A vectorised kernel is written once over [`Vector`], in safe Rust (`norm.rs`, `activation.rs`, `softmax.rs`). An
//! instruction set adds a type of vectors and a *token*: a value that exists only where the CPU has the instructions.
//! Vectors come only from a token or from another vector, so whoever holds one may compute with it.

use std::ops::Range;

use super::gemm::Product;
use super::{Activation, Isa, Norm};

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod entry_points;
pub(super) mod math;
mod scalar;
mod vector;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub(super) use vector::Vector;

/// One instruction set's kernels. Lengths are the caller's business (`kernels/mod.rs` checks them); wrong ones panic or
/// leave a rest untouched.
pub(super) trait Kernels: Sync {
    /// `activation(x)` in place.
    #[cfg_attr(not(test), expect(dead_code, reason = "products apply it to their tiles; tests ask for it alone"))]
    fn activate(&self, xs: &mut [f32], activation: Activation);

    /// `norm(x)`, rows of the norm's width.
    fn layer_norm(&self, xs: &mut [f32], norm: Norm<'_>);

    /// `norm(update + bias + x)` in place of `x`, rows of the norm's width.
    fn add_layer_norm(&self, xs: &mut [f32], update: &[f32], bias: &[f32], norm: Norm<'_>);

    /// `softmax(scale * x)`, rows of `cols`.
    fn softmax(&self, xs: &mut [f32], cols: usize, scale: f32);

    /// The units of a block of a recurrent layer (`lstm.rs`).
    fn lstm_gates(&self, sums: &[f32], inputs: &[f32], cells: &mut [f32], states: &mut [f32]);

    /// Whether products of bfloat16 have an instruction of their own.
    fn has_bfloat16(&self) -> bool {
        false
    }

    /// What multiplies int8, unless they are widened first.
    fn int8_instruction(&self) -> Option<&'static str> {
        None
    }

    /// `exp(scale * x - max)` of the first `count` of a row, in place; their sum. What follows may become 0.
    fn exponentials(&self, row: &mut [f32], count: usize, scale: f32) -> f32;

    /// Rows of `inputs` numbers, each `stride` after the one before, to rows of cells of two bfloat16.
    fn narrow(&self, xs: &[f32], inputs: usize, stride: usize, rows: &mut [u32]);

    /// Rows of `inputs` numbers to rows of cells of four int8, and what each row is to be multiplied with.
    fn quantize(&self, xs: &[f32], inputs: usize, rows: &mut [u32], factors: &mut [f32]);

    /// Rows of `width` numbers, each `stride` after the one before, turned by the cosines and sines of `turns`
    /// (`rotary.rs`).
    fn rotate(&self, xs: &[f32], width: usize, stride: usize, turns: &[f32], turned: &mut [f32]);

    /// What is added to the int8 of such a row (`int8.rs`).
    fn shift(&self) -> i32;

    /// Two rows of numbers to one of cells of two bfloat16.
    fn interleave(&self, low: &[f32], high: &[f32], row: &mut [u32]);

    /// Outputs of a panel of packed weights.
    fn panel_width(&self) -> usize;

    /// Some panels of a product.
    ///
    /// # Safety
    /// - Nobody else reads or writes the columns of `product.out` that are theirs meanwhile.
    #[allow(unsafe_code)]
    unsafe fn multiply(&self, product: &Product<'_>, panels: Range<usize>);
}

/// The kernels of an instruction set, if this CPU and this build have it.
pub(super) fn kernels(isa: Isa) -> Option<&'static dyn Kernels> {
    match isa {
        Isa::Scalar => Some(&scalar::Scalar),
        #[cfg(target_arch = "x86_64")]
        _ => x86_64::kernels(isa),
        #[cfg(target_arch = "aarch64")]
        _ => aarch64::kernels(isa),
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        _ => None,
    }
}

/// Which instruction set the CPU has and this process can't use, and why.
pub(super) fn refused() -> Option<(Isa, &'static str)> {
    #[cfg(target_arch = "x86_64")]
    return x86_64::refused();
    #[cfg(not(target_arch = "x86_64"))]
    None
}

/// For tests: the plain twin and every other instruction set that is there.
#[cfg(test)]
pub(super) fn every() -> Vec<&'static dyn Kernels> {
    let (twin, others) = twins();
    others.into_iter().map(|(_, kernels)| kernels).chain([twin]).collect()
}

/// For tests: the plain twin, and every other instruction set that is there or can be emulated.
#[cfg(test)]
pub(super) fn twins() -> (&'static dyn Kernels, Vec<(Isa, &'static dyn Kernels)>) {
    let others = Isa::available().into_iter().filter(|&isa| isa != Isa::Scalar);
    let others = others.filter_map(|isa| Some((isa, kernels(isa)?)));
    #[cfg(target_arch = "x86_64")]
    let others = others.chain(x86_64::emulated().map(|kernels| (Isa::Amx, kernels)));
    (&scalar::Scalar, others.collect())
}
