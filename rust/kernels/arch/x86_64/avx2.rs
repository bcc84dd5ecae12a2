//! AVX2 and FMA: eight lanes.

#[allow(clippy::wildcard_imports, reason = "names of instructions")]
use std::arch::x86_64::*;
use std::ops::Range;

use super::{kernels, operators};
use crate::kernels::arch::Vector;
use crate::kernels::gemm::{self, Micro, Product};
use crate::kernels::{Activation, Norm, activation, bf16, norm, softmax};
use crate::types::Dtype;

/// Exists only where the CPU has AVX2 and FMA.
#[derive(Clone, Copy)]
pub(in crate::kernels::arch) struct Avx2(());

impl Avx2 {
    /// The token, if the CPU has both.
    pub(in crate::kernels::arch) fn detect() -> Option<&'static Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(&Self(()))
    }
}

kernels!(Avx2, F32x8, "avx2,fma", panels of 2);

/// Exists only where [`Avx2`] does.
#[derive(Clone, Copy)]
pub(in crate::kernels::arch) struct F32x8(__m256);

operators!(F32x8: Add add _mm256_add_ps, Sub sub _mm256_sub_ps, Mul mul _mm256_mul_ps, Div div _mm256_div_ps);

/// For expressions on registers only.
macro_rules! avx2 {
    ($value:expr) => {
        // SAFETY: a token or a vector is at hand, and either exists only where the CPU has AVX2 and FMA.
        unsafe { $value }
    };
}

impl Vector for F32x8 {
    type Isa = Avx2;
    const LANES: usize = 8;

    #[inline(always)]
    fn splat(_: Avx2, value: f32) -> Self {
        Self(avx2!(_mm256_set1_ps(value)))
    }

    #[inline(always)]
    fn like(self, value: f32) -> Self {
        Self(avx2!(_mm256_set1_ps(value)))
    }

    #[inline(always)]
    fn load(_: Avx2, from: &[f32]) -> Self {
        assert!(from.len() == Self::LANES);
        // SAFETY: the slice holds 8 values, and there is a token.
        Self(unsafe { _mm256_loadu_ps(from.as_ptr()) })
    }

    #[inline(always)]
    fn load_part(from: &[f32], fill: Self) -> Self {
        // A lane is read where its mask is negative.
        static MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
        let mask = &MASKS[Self::LANES - from.len()..][..Self::LANES];
        // SAFETY: `mask` holds 8 values, of which as many are negative as `from` holds; there is a vector.
        Self(unsafe {
            let mask = _mm256_loadu_si256(mask.as_ptr().cast());
            _mm256_blendv_ps(fill.0, _mm256_maskload_ps(from.as_ptr(), mask), _mm256_castsi256_ps(mask))
        })
    }

    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        assert!(to.len() == Self::LANES);
        // SAFETY: the slice holds 8 values, and there is a vector.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(avx2!(_mm256_fmadd_ps(self.0, factor.0, addend.0)))
    }

    #[inline(always)]
    fn abs(self) -> Self {
        Self(avx2!(_mm256_andnot_ps(_mm256_set1_ps(-0.0), self.0)))
    }

    #[inline(always)]
    fn with_sign_of(self, other: Self) -> Self {
        Self(avx2!(_mm256_or_ps(self.0, _mm256_and_ps(_mm256_set1_ps(-0.0), other.0))))
    }

    #[inline(always)]
    fn at_least(self, floor: Self) -> Self {
        // The instruction gives its second operand if one is NaN.
        Self(avx2!(_mm256_max_ps(floor.0, self.0)))
    }

    #[inline(always)]
    fn at_most(self, ceiling: Self) -> Self {
        Self(avx2!(_mm256_min_ps(ceiling.0, self.0)))
    }

    #[inline(always)]
    fn round(self) -> Self {
        Self(avx2!(_mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0)))
    }

    #[inline(always)]
    fn scale(self, power: Self) -> Self {
        // Twice itself times 2^(power - 1), whose bits are its exponent + 127; no bits are 0.0, which spares the
        // multiplication a subnormal result (some 100 cycles).
        avx2!({
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(power.0), _mm256_set1_epi32(126));
            let bits = _mm256_slli_epi32::<23>(_mm256_max_epi32(exponent, _mm256_setzero_si256()));
            Self(_mm256_mul_ps(_mm256_add_ps(self.0, self.0), _mm256_castsi256_ps(bits)))
        })
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        avx2!(sum(self.0))
    }

    #[inline(always)]
    fn largest(self) -> f32 {
        avx2!({
            let four = _mm_max_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
        })
    }
}

/// A cell is one f32.
impl Micro for F32x8 {
    type Isa = Avx2;
    type Floats = Self;
    type Cells = Self;

    #[inline(always)]
    unsafe fn load(_: Avx2, from: *const u32) -> Self {
        // SAFETY: there is a token, and the caller says that the lanes can be read.
        Self(unsafe { _mm256_loadu_ps(from.cast()) })
    }

    #[inline(always)]
    unsafe fn spread(_: Avx2, from: *const u32) -> Self {
        // SAFETY: there is a token, and the caller says that the cell can be read.
        Self(unsafe { _mm256_set1_ps(from.cast::<f32>().read()) })
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
struct Halves(F32x8);

impl Micro for Halves {
    type Isa = Avx2;
    type Floats = F32x8;
    type Cells = __m256i;

    #[inline(always)]
    unsafe fn load(_: Avx2, from: *const u32) -> __m256i {
        // SAFETY: there is a token, and the caller says that the lanes can be read.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline(always)]
    unsafe fn spread(_: Avx2, from: *const u32) -> __m256i {
        // SAFETY: there is a token, and the caller says that the cell can be read.
        unsafe { _mm256_set1_epi32(from.cast::<i32>().read()) }
    }

    #[inline(always)]
    fn add_product(self, x: __m256i, w: __m256i) -> Self {
        // SAFETY: there is a vector.
        let half = |cells| unsafe {
            let low = _mm256_castsi256_ps(_mm256_slli_epi32::<16>(cells));
            let high = _mm256_castsi256_ps(_mm256_and_si256(cells, _mm256_set1_epi32(-0x1_0000)));
            (F32x8(low), F32x8(high))
        };
        let ((x_low, x_high), (w_low, w_high)) = (half(x), half(w));
        Self(x_high.mul_add(w_high, x_low.mul_add(w_low, self.0)))
    }

    #[inline(always)]
    fn pause(self) -> F32x8 {
        self.0
    }

    #[inline(always)]
    fn resume(lanes: F32x8) -> Self {
        Self(lanes)
    }
}

impl Avx2 {
    fn has_bfloat16() -> bool {
        false
    }

    /// # Safety
    /// - That of [`Kernels::multiply`](crate::kernels::arch::Kernels::multiply).
    unsafe fn product(self, product: &Product<'_>, panels: Range<usize>) {
        match product.weights.dtype {
            Dtype::Float32 => {
                #[target_feature(enable = "avx2,fma")]
                unsafe fn run(isa: Avx2, product: &Product<'_>, panels: Range<usize>) {
                    // SAFETY: the caller's.
                    unsafe { gemm::multiply::<F32x8, 2>(isa, product, panels) };
                }
                // SAFETY: a token exists only where its features were detected; the rest is the caller's.
                unsafe { run(self, product, panels) }
            }
            Dtype::Bfloat16 => {
                #[target_feature(enable = "avx2,fma")]
                unsafe fn run(isa: Avx2, product: &Product<'_>, panels: Range<usize>) {
                    // SAFETY: the caller's.
                    unsafe { gemm::multiply::<Halves, 2>(isa, product, panels) };
                }
                // SAFETY: a token exists only where its features were detected; the rest is the caller's.
                unsafe { run(self, product, panels) }
            }
        }
    }
}

/// The sum of the lanes: halves, quarters, eighths.
///
/// # Safety
/// - The CPU has AVX.
#[inline(always)]
pub(super) unsafe fn sum(eight: __m256) -> f32 {
    // SAFETY: the caller's.
    unsafe {
        let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
    }
}
