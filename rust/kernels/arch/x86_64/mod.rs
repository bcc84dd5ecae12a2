//! x86-64: a token and a type of vectors per instruction set, and the entry points that carry its target features.
//!
//! Everything between an entry point and an instruction is `#[inline(always)]` and has no target features of its own:
//! it takes those of the entry point it ends up in. Without the inlining each instruction would be a call.
#![allow(unsafe_code, reason = "intrinsics; every block says which value proves that the CPU has them")]

mod amx;
mod avx2;
mod avx512;

use std::arch::x86_64::{__cpuid_count, CpuidResult};

use super::Kernels;
use crate::kernels::Isa;
use avx2::Avx2;
use avx512::Avx512;

#[cfg(test)]
pub(super) use {avx2::F32x8, avx512::F32x16};

/// For tests: the loops over tiles on processors that have none.
#[cfg(test)]
pub(super) fn emulated() -> Option<&'static dyn Kernels> {
    Avx512::detect(avx512::Level::Emulated).map(|isa| isa as &dyn Kernels)
}

/// For tests of vectors alone.
#[cfg(test)]
pub(super) fn avx2() -> Option<Avx2> {
    Avx2::detect(avx2::Level::Plain).copied()
}

/// For tests of vectors alone.
#[cfg(test)]
pub(super) fn avx512() -> Option<Avx512> {
    Avx512::detect(avx512::Level::Plain).copied()
}

/// The kernels of one of the instruction sets here, if the CPU has it.
pub(super) fn kernels(isa: Isa) -> Option<&'static dyn Kernels> {
    let avx2 = |level| Avx2::detect(level).map(|isa| isa as &dyn Kernels);
    let avx512 = |level| Avx512::detect(level).map(|isa| isa as &dyn Kernels);
    match isa {
        Isa::Scalar => None,
        Isa::Avx2 => avx2(avx2::Level::Plain),
        Isa::AvxVnni => avx2(avx2::Level::Vnni),
        Isa::Avx512 => avx512(avx512::Level::Plain),
        Isa::Avx512Vnni => avx512(avx512::Level::Vnni),
        Isa::Avx512Bf16 => avx512(avx512::Level::Bf16),
        Isa::Amx => avx512(avx512::Level::Amx),
    }
}

/// What the CPU says of itself; leaf 0 says how many leaves there are.
#[allow(unused_unsafe, reason = "the oldest Rust that counts holds the instruction for unsafe")]
fn cpuid(leaf: u32) -> CpuidResult {
    // SAFETY: every x86-64 has the instruction, and answers anything.
    unsafe { __cpuid_count(leaf, 0) }
}

/// Which instruction set the CPU has and this process can't use, and why.
pub(super) fn refused() -> Option<(Isa, &'static str)> {
    amx::usable().err().map(|why| (Isa::Amx, why))
}

/// The operators of a vector type, each one instruction.
macro_rules! operators {
    ($vector:ident: $($trait:ident $method:ident $instruction:ident),*) => {$(
        impl std::ops::$trait for $vector {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                // SAFETY: a vector exists only where the CPU has its instructions.
                Self(unsafe { $instruction(self.0, other.0) })
            }
        }
    )*};
}

/// The entry points of an instruction set.
macro_rules! entry_points {
    (
        $isa:ident, $vector:ident, $features:literal, panels of $vectors:literal,
        bfloat16 if $bfloat16:expr, int8 by $int8:expr
    ) => {
        impl $crate::kernels::arch::Kernels for $isa {
            fn activate(&self, xs: &mut [f32], bias: Option<&[f32]>, activation: Activation) {
                #[target_feature(enable = $features)]
                fn run(isa: $isa, xs: &mut [f32], bias: Option<&[f32]>, activation: Activation) {
                    activation::activate::<$vector>(isa, xs, bias, activation);
                }
                // SAFETY: a token exists only where its features were detected.
                unsafe { run(*self, xs, bias, activation) }
            }

            fn layer_norm(&self, xs: &mut [f32], norm: Norm<'_>) {
                #[target_feature(enable = $features)]
                fn run(isa: $isa, xs: &mut [f32], norm: Norm<'_>) {
                    norm::layer_norm::<$vector>(isa, xs, norm);
                }
                // SAFETY: a token exists only where its features were detected.
                unsafe { run(*self, xs, norm) }
            }

            fn add_layer_norm(&self, xs: &mut [f32], bias: &[f32], residual: &[f32], norm: Norm<'_>) {
                #[target_feature(enable = $features)]
                fn run(isa: $isa, xs: &mut [f32], bias: &[f32], residual: &[f32], norm: Norm<'_>) {
                    norm::add_layer_norm::<$vector>(isa, xs, bias, residual, norm);
                }
                // SAFETY: a token exists only where its features were detected.
                unsafe { run(*self, xs, bias, residual, norm) }
            }

            fn softmax(&self, xs: &mut [f32], cols: usize, scale: f32) {
                #[target_feature(enable = $features)]
                fn run(isa: $isa, xs: &mut [f32], cols: usize, scale: f32) {
                    softmax::softmax::<$vector>(isa, xs, cols, scale);
                }
                // SAFETY: a token exists only where its features were detected.
                unsafe { run(*self, xs, cols, scale) }
            }

            fn exponentials(&self, row: &mut [f32], scale: f32) -> f32 {
                #[target_feature(enable = $features)]
                fn run(isa: $isa, row: &mut [f32], scale: f32) -> f32 {
                    softmax::exponentials::<$vector>(isa, row, scale)
                }
                // SAFETY: a token exists only where its features were detected.
                unsafe { run(*self, row, scale) }
            }

            fn has_bfloat16(&self) -> bool {
                ($bfloat16)(*self)
            }

            fn int8_instruction(&self) -> Option<&'static str> {
                ($int8)(*self)
            }

            fn narrow(&self, xs: &[f32], inputs: usize, rows: &mut [u32]) {
                #[target_feature(enable = $features)]
                fn run(xs: &[f32], inputs: usize, rows: &mut [u32]) {
                    bf16::narrow(xs, inputs, rows);
                }
                // SAFETY: a token exists only where its features were detected.
                unsafe { run(xs, inputs, rows) }
            }

            fn quantize(&self, xs: &[f32], inputs: usize, rows: &mut [u32], factors: &mut [f32]) {
                #[target_feature(enable = $features)]
                fn run(xs: &[f32], inputs: usize, rows: &mut [u32], factors: &mut [f32]) {
                    int8::quantize(xs, inputs, rows, factors);
                }
                // SAFETY: a token exists only where its features were detected.
                unsafe { run(xs, inputs, rows, factors) }
            }

            fn interleave(&self, low: &[f32], high: &[f32], row: &mut [u32]) {
                #[target_feature(enable = $features)]
                fn run(low: &[f32], high: &[f32], row: &mut [u32]) {
                    bf16::interleave(low, high, row);
                }
                // SAFETY: a token exists only where its features were detected.
                unsafe { run(low, high, row) }
            }

            fn panel_width(&self) -> usize {
                <$vector as Vector>::LANES * $vectors
            }

            unsafe fn multiply(&self, product: &Product<'_>, panels: Range<usize>) {
                // SAFETY: the caller's.
                unsafe { self.product(product, panels) }
            }
        }
    };
}

/// Some panels of a product, with a [`Micro`](crate::kernels::micro::Micro) that needs `features`.
macro_rules! products {
    ($features:literal, $micro:ty, $vectors:literal, $isa:expr, $product:expr, $panels:expr) => {{
        #[target_feature(enable = $features)]
        unsafe fn run<I: Copy>(isa: I, product: &Product<'_>, panels: Range<usize>)
        where
            <$micro as Micro>::Lanes: Vector<Isa = I>,
        {
            // SAFETY: the caller's.
            unsafe { gemm::multiply::<$micro, $vectors>(isa, product, panels) };
        }
        // SAFETY: a token of this level exists only where the features were detected; the rest is the caller's.
        unsafe { run($isa, $product, $panels) }
    }};
}

use {entry_points, operators, products};
