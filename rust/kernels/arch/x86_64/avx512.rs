//! AVX-512F: sixteen lanes, masked loads, and an instruction that multiplies by a power of two.

#[allow(clippy::wildcard_imports, reason = "names of instructions")]
use std::arch::x86_64::*;
use std::ops::Range;
use std::sync::OnceLock;

use super::{kernels, operators};
use crate::kernels::arch::Vector;
use crate::kernels::gemm::{self, Micro, Product};
use crate::kernels::{Activation, Norm, activation, bf16, norm, softmax};
use crate::types::Dtype;

/// Exists only where the CPU has AVX-512F.
#[derive(Clone, Copy)]
pub(in crate::kernels::arch) struct Avx512(());

impl Avx512 {
    /// The token, if the CPU has it.
    pub(in crate::kernels::arch) fn detect() -> Option<&'static Self> {
        is_x86_feature_detected!("avx512f").then_some(&Self(()))
    }
}

kernels!(Avx512, F32x16, "avx512f", panels of 4);

/// Exists only where [`Avx512`] does.
#[derive(Clone, Copy)]
pub(in crate::kernels::arch) struct F32x16(__m512);

operators!(F32x16: Add add _mm512_add_ps, Sub sub _mm512_sub_ps, Mul mul _mm512_mul_ps, Div div _mm512_div_ps);

/// For expressions on registers only.
macro_rules! avx512 {
    ($value:expr) => {
        // SAFETY: a token or a vector is at hand, and either exists only where the CPU has AVX-512F.
        unsafe { $value }
    };
}

impl Vector for F32x16 {
    type Isa = Avx512;
    const LANES: usize = 16;

    #[inline(always)]
    fn splat(_: Avx512, value: f32) -> Self {
        Self(avx512!(_mm512_set1_ps(value)))
    }

    #[inline(always)]
    fn like(self, value: f32) -> Self {
        Self(avx512!(_mm512_set1_ps(value)))
    }

    #[inline(always)]
    fn load(_: Avx512, from: &[f32]) -> Self {
        assert!(from.len() == Self::LANES);
        // SAFETY: the slice holds 16 values, and there is a token.
        Self(unsafe { _mm512_loadu_ps(from.as_ptr()) })
    }

    #[inline(always)]
    fn load_part(from: &[f32], fill: Self) -> Self {
        assert!(from.len() < Self::LANES);
        let mask = (1 << from.len()) - 1;
        // SAFETY: the mask has as many lanes as the slice has values, no other is read; there is a vector.
        Self(unsafe { _mm512_mask_loadu_ps(fill.0, mask, from.as_ptr()) })
    }

    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        assert!(to.len() == Self::LANES);
        // SAFETY: the slice holds 16 values, and there is a vector.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(avx512!(_mm512_fmadd_ps(self.0, factor.0, addend.0)))
    }

    #[inline(always)]
    fn abs(self) -> Self {
        Self(avx512!(_mm512_abs_ps(self.0)))
    }

    #[inline(always)]
    fn with_sign_of(self, other: Self) -> Self {
        // As integers: on f32 these operations would need AVX-512DQ.
        avx512!({
            let sign = _mm512_and_si512(_mm512_set1_epi32(i32::MIN), _mm512_castps_si512(other.0));
            Self(_mm512_castsi512_ps(_mm512_or_si512(_mm512_castps_si512(self.0), sign)))
        })
    }

    #[inline(always)]
    fn at_least(self, floor: Self) -> Self {
        // The instruction gives its second operand if one is NaN.
        Self(avx512!(_mm512_max_ps(floor.0, self.0)))
    }

    #[inline(always)]
    fn at_most(self, ceiling: Self) -> Self {
        Self(avx512!(_mm512_min_ps(ceiling.0, self.0)))
    }

    #[inline(always)]
    fn round(self) -> Self {
        Self(avx512!(_mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0)))
    }

    #[inline(always)]
    fn scale(self, power: Self) -> Self {
        Self(avx512!(_mm512_scalef_ps(self.0, power.0)))
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        // Not _mm512_reduce_add_ps, whose order is the compiler's.
        avx512!({
            let upper = _mm512_castpd_ps(_mm512_castpd256_pd512(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(self.0))));
            let eight = _mm512_castps512_ps256(_mm512_add_ps(self.0, upper));
            super::avx2::sum(eight)
        })
    }

    #[inline(always)]
    fn largest(self) -> f32 {
        avx512!(_mm512_reduce_max_ps(self.0))
    }
}

/// A cell is one f32.
impl Micro for F32x16 {
    type Isa = Avx512;
    type Floats = Self;
    type Cells = Self;

    #[inline(always)]
    unsafe fn load(_: Avx512, from: *const u32) -> Self {
        // SAFETY: there is a token, and the caller says that the lanes can be read.
        Self(unsafe { _mm512_loadu_ps(from.cast()) })
    }

    #[inline(always)]
    unsafe fn spread(_: Avx512, from: *const u32) -> Self {
        // SAFETY: there is a token, and the caller says that the cell can be read.
        Self(unsafe { _mm512_set1_ps(from.cast::<f32>().read()) })
    }

    #[inline(always)]
    fn add_product(self, x: Self, w: Self) -> Self {
        x.mul_add(w, self)
    }

    #[inline(always)]
    fn pause(self) -> Self {
        self
    }

    #[inline(always)]
    fn resume(lanes: Self) -> Self {
        lanes
    }
}

/// A cell is two bf16, the upper halves of f32: each is widened where it is.
#[derive(Clone, Copy)]
struct Halves(F32x16);

impl Micro for Halves {
    type Isa = Avx512;
    type Floats = F32x16;
    type Cells = __m512i;

    #[inline(always)]
    unsafe fn load(_: Avx512, from: *const u32) -> __m512i {
        // SAFETY: there is a token, and the caller says that the lanes can be read.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn spread(_: Avx512, from: *const u32) -> __m512i {
        // SAFETY: there is a token, and the caller says that the cell can be read.
        unsafe { _mm512_set1_epi32(from.cast::<i32>().read()) }
    }

    #[inline(always)]
    fn add_product(self, x: __m512i, w: __m512i) -> Self {
        // SAFETY: there is a vector.
        let half = |cells| unsafe {
            let low = _mm512_castsi512_ps(_mm512_slli_epi32::<16>(cells));
            let high = _mm512_castsi512_ps(_mm512_and_si512(cells, _mm512_set1_epi32(-0x1_0000)));
            (F32x16(low), F32x16(high))
        };
        let ((x_low, x_high), (w_low, w_high)) = (half(x), half(w));
        Self(x_high.mul_add(w_high, x_low.mul_add(w_low, self.0)))
    }

    #[inline(always)]
    fn pause(self) -> F32x16 {
        self.0
    }

    #[inline(always)]
    fn resume(lanes: F32x16) -> Self {
        Self(lanes)
    }
}

/// The token of AVX-512 BF16, where its instruction is the fastest way.
#[derive(Clone, Copy)]
struct Dot(());

impl Dot {
    /// It is on AMD's cores, where it takes 0.5 of the time of two multiplications. On Intel's before AMX's successor it
    /// takes twice (Sapphire Rapids), so there it stays unused.
    fn detect() -> Option<Self> {
        static DETECTED: OnceLock<bool> = OnceLock::new();
        let found = || is_x86_feature_detected!("avx512bf16") && __cpuid(0).ebx == u32::from_le_bytes(*b"Auth");
        DETECTED.get_or_init(found).then_some(Self(()))
    }
}

/// A cell is two bf16, multiplied and added by one instruction.
#[derive(Clone, Copy)]
struct Pairs(__m512);

impl Micro for Pairs {
    type Isa = Avx512;
    type Floats = F32x16;
    type Cells = __m512i;

    #[inline(always)]
    unsafe fn load(_: Avx512, from: *const u32) -> __m512i {
        // SAFETY: there is a token, and the caller says that the lanes can be read.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn spread(_: Avx512, from: *const u32) -> __m512i {
        // SAFETY: there is a token, and the caller says that the cell can be read.
        unsafe { _mm512_set1_epi32(from.cast::<i32>().read()) }
    }

    #[inline(always)]
    fn add_product(self, x: __m512i, w: __m512i) -> Self {
        // SAFETY: `product` uses this type only where there is a `Dot`. The types are bits of one size.
        Self(unsafe {
            _mm512_dpbf16_ps(
                self.0,
                std::mem::transmute::<__m512i, __m512bh>(x),
                std::mem::transmute::<__m512i, __m512bh>(w),
            )
        })
    }

    #[inline(always)]
    fn pause(self) -> F32x16 {
        F32x16(self.0)
    }

    #[inline(always)]
    fn resume(lanes: F32x16) -> Self {
        Self(lanes.0)
    }
}

impl Avx512 {
    fn has_bfloat16() -> bool {
        Dot::detect().is_some()
    }

    /// # Safety
    /// - That of [`Kernels::multiply`](crate::kernels::arch::Kernels::multiply).
    unsafe fn product(self, product: &Product<'_>, panels: Range<usize>) {
        match product.weights.dtype {
            Dtype::Float32 => {
                #[target_feature(enable = "avx512f")]
                unsafe fn run(isa: Avx512, product: &Product<'_>, panels: Range<usize>) {
                    // SAFETY: the caller's.
                    unsafe { gemm::multiply::<F32x16, 4>(isa, product, panels) };
                }
                // SAFETY: a token exists only where its features were detected; the rest is the caller's.
                unsafe { run(self, product, panels) }
            }
            Dtype::Bfloat16 if Dot::detect().is_some() => {
                #[target_feature(enable = "avx512f,avx512bf16")]
                unsafe fn run(isa: Avx512, product: &Product<'_>, panels: Range<usize>) {
                    // SAFETY: the caller's.
                    unsafe { gemm::multiply::<Pairs, 4>(isa, product, panels) };
                }
                // SAFETY: there is a `Dot`; the rest is the caller's.
                unsafe { run(self, product, panels) }
            }
            Dtype::Bfloat16 => {
                #[target_feature(enable = "avx512f")]
                unsafe fn run(isa: Avx512, product: &Product<'_>, panels: Range<usize>) {
                    // SAFETY: the caller's.
                    unsafe { gemm::multiply::<Halves, 4>(isa, product, panels) };
                }
                // SAFETY: a token exists only where its features were detected; the rest is the caller's.
                unsafe { run(self, product, panels) }
            }
        }
    }
}
