//! aarch64: a token and a type of vectors.
#![allow(unsafe_code, reason = "intrinsics; every block says which value proves that the CPU has them")]

mod neon;

use super::Kernels;
use crate::kernels::Isa;
use neon::{Level, Neon};

#[cfg(test)]
pub(super) use neon::F32x4;

/// For tests of vectors alone.
#[cfg(test)]
pub(super) fn neon() -> Option<Neon> {
    Neon::detect(Level::Plain).copied()
}

/// The kernels of one of the instruction sets here, if the CPU has it.
pub(super) fn kernels(isa: Isa) -> Option<&'static dyn Kernels> {
    let neon = |level| Neon::detect(level).map(|isa| isa as &dyn Kernels);
    match isa {
        Isa::Neon => neon(Level::Plain),
        Isa::NeonDotProd => neon(Level::DotProd),
        _ => None,
    }
}
