//! Which instruction set the kernels use: decided once, at run time.

use std::fmt;
use std::sync::OnceLock;

use super::arch::{self, Kernels};

/// Names one instruction set instead of the best that is there; set but empty counts as unset.
pub const VARIABLE: &str = "CANDLEWICK_ISA";

/// An instruction set that kernels are written for, of each architecture the slowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// Plain Rust, on every target.
    Scalar,
    /// x86-64 with AVX2 and FMA: 8 lanes.
    Avx2,
    /// The same with AVX-VNNI, which multiplies int8.
    AvxVnni,
    /// x86-64 with AVX-512F and BW: 16 lanes.
    Avx512,
    /// The same with AVX-512 VNNI, which multiplies int8.
    Avx512Vnni,
    /// The same with AVX-512 BF16, where that is the fastest way to multiply bfloat16.
    Avx512Bf16,
    /// AVX-512 VNNI with AMX: tiles, which multiply int8 and bfloat16.
    Amx,
    /// aarch64 with NEON, which all have: 4 lanes.
    Neon,
    /// The same with DotProd, which multiplies int8.
    NeonDotProd,
}

impl Isa {
    const ALL: [Self; 9] = [
        Self::Scalar,
        Self::Avx2,
        Self::AvxVnni,
        Self::Avx512,
        Self::Avx512Vnni,
        Self::Avx512Bf16,
        Self::Amx,
        Self::Neon,
        Self::NeonDotProd,
    ];

    /// The name that `CANDLEWICK_ISA` knows it by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::AvxVnni => "avxvnni",
            Self::Avx512 => "avx512",
            Self::Avx512Vnni => "avx512vnni",
            Self::Avx512Bf16 => "avx512bf16",
            Self::Amx => "amx",
            Self::Neon => "neon",
            Self::NeonDotProd => "neondotprod",
        }
    }

    /// Those that this CPU and this build have, the slowest first.
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|&isa| arch::kernels(isa).is_some()).collect()
    }

    /// The fastest that this CPU and this build have.
    pub fn detect() -> Self {
        Self::available().pop().unwrap_or(Self::Scalar)
    }

    /// The one that the kernels of this process use.
    ///
    /// # Panics
    /// If `CANDLEWICK_ISA` asks for one that is not there: [`selected`] says so as an error, before anything is
    /// computed.
    pub fn current() -> Self {
        current().0
    }
}

/// Whether products of bfloat16 have an instruction of their own in this process.
///
/// # Panics
/// As [`Isa::current`].
pub fn has_bfloat16() -> bool {
    current().1.has_bfloat16()
}

/// What multiplies int8 in this process, unless they are widened first.
///
/// # Panics
/// As [`Isa::current`].
pub fn int8_instruction() -> Option<&'static str> {
    current().1.int8_instruction()
}

/// Which instruction set the CPU has and this process can't use, and why: AMX needs a permission of the system.
pub fn refused() -> Option<(Isa, &'static str)> {
    arch::refused()
}

impl fmt::Display for Isa {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// `CANDLEWICK_ISA` asks for an instruction set that is unknown, or that this CPU or this build lacks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{VARIABLE}: expected {allowed}, got {asked}")]
pub struct IsaError {
    /// What was asked for.
    pub asked: String,
    /// What is possible here.
    pub allowed: String,
}

/// The instruction set of this process: what `CANDLEWICK_ISA` asked for at the first call, else the fastest.
///
/// # Errors
/// [`IsaError`] when it asks for one that is unknown or not there: falling back would measure or test another one than
/// was meant.
pub fn selected() -> Result<Isa, IsaError> {
    decided().as_ref().map(|&(isa, _)| isa).map_err(Clone::clone)
}

/// The kernels of [`Isa::current`].
pub(super) fn current() -> (Isa, &'static dyn Kernels) {
    match decided() {
        Ok(current) => *current,
        Err(error) => panic!("{error}"),
    }
}

fn decided() -> &'static Result<(Isa, &'static dyn Kernels), IsaError> {
    static DECIDED: OnceLock<Result<(Isa, &'static dyn Kernels), IsaError>> = OnceLock::new();
    DECIDED.get_or_init(|| {
        let asked = std::env::var_os(VARIABLE).map(|name| name.to_string_lossy().into_owned());
        choose(asked.as_deref().unwrap_or_default())
    })
}

fn choose(asked: &str) -> Result<(Isa, &'static dyn Kernels), IsaError> {
    let isa = if asked.is_empty() { Some(Isa::detect()) } else { Isa::ALL.into_iter().find(|isa| isa.name() == asked) };
    isa.and_then(|isa| Some((isa, arch::kernels(isa)?))).ok_or_else(|| {
        let names: Vec<_> = Isa::available().into_iter().map(Isa::name).collect();
        let refused = refused().map(|(isa, why)| format!(" ({isa}: {why})"));
        IsaError { asked: asked.to_owned(), allowed: names.join(" or ") + refused.as_deref().unwrap_or_default() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_forces_an_instruction_set_that_is_there() {
        for isa in Isa::available() {
            assert_eq!(choose(isa.name()).map(|chosen| chosen.0), Ok(isa));
        }
    }

    #[test]
    fn without_a_name_the_fastest_is_taken() {
        assert_eq!(choose("").map(|chosen| chosen.0), Ok(Isa::detect()));
        assert_eq!(Some(Isa::detect()), Isa::available().into_iter().max());
    }

    #[test]
    fn one_that_is_absent_is_an_error_that_names_the_others() {
        for isa in
            Isa::ALL.into_iter().filter(|isa| !Isa::available().contains(isa)).map(Isa::name).chain(["AVX2", "mmx"])
        {
            let error = choose(isa).map(|chosen| chosen.0).unwrap_err().to_string();
            assert!(error.starts_with("CANDLEWICK_ISA: expected scalar"), "{error}");
            assert!(error.ends_with(&format!(", got {isa}")), "{error}");
        }
    }

    #[test]
    fn the_decision_is_what_the_kernels_use() {
        assert_eq!(selected(), Ok(Isa::current()));
    }
}
