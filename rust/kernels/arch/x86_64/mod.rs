//! x86-64: a token and a type of vectors per instruction set.
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
        Isa::Avx2 => avx2(avx2::Level::Plain),
        Isa::AvxVnni => avx2(avx2::Level::Vnni),
        Isa::Avx512 => avx512(avx512::Level::Plain),
        Isa::Avx512Vnni => avx512(avx512::Level::Vnni),
        Isa::Avx512Bf16 => avx512(avx512::Level::Bf16),
        Isa::Amx => avx512(avx512::Level::Amx),
        _ => None,
    }
}

/// What the CPU says of itself; leaf 0 says how many leaves there are.
fn cpuid(leaf: u32) -> CpuidResult {
    __cpuid_count(leaf, 0)
}

/// Which instruction set the CPU has and this process can't use, and why.
pub(super) fn refused() -> Option<(Isa, &'static str)> {
    amx::usable().err().map(|why| (Isa::Amx, why))
}
