//! AVX2 and FMA: eight lanes.

#[allow(clippy::wildcard_imports, reason = "names of instructions")]
use std::arch::x86_64::*;
use std::ops::Range;

use crate::kernels::arch::Vector;
use crate::kernels::arch::entry_points::{entry_points, operators, products};
use crate::kernels::gemm::{self, Product};
use crate::kernels::micro::{Halves, Micro, Single};
use crate::kernels::{Activation, Norm, activation, bf16, int8, norm, rotary, softmax};
use crate::types::Dtype;

/// Exists only where the CPU has AVX2 and FMA, and what its level adds.
#[derive(Clone, Copy)]
pub(in crate::kernels::arch) struct Avx2(Level);

/// What a CPU has beside AVX2 and FMA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kernels::arch) enum Level {
    Plain,
    /// AVX-VNNI: products of int8.
    Vnni,
}

impl Avx2 {
    /// The token, if the CPU has all that belongs to the level.
    pub(in crate::kernels::arch) fn detect(level: Level) -> Option<&'static Self> {
        let plain = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        match level {
            Level::Plain => plain.then_some(&Self(Level::Plain)),
            Level::Vnni => (plain && is_x86_feature_detected!("avxvnni")).then_some(&Self(Level::Vnni)),
        }
    }
}

entry_points!(
    Avx2, F32x8, "avx2,fma", panels of 2,
    int8 plus int8::UNSIGNED, by Avx2::int8,
    bfloat16 if |_: Self| false, narrowed by |_: Self, _: &_, _, _, _: &mut _| false
);

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
    unsafe fn load_cells(_: Avx2, from: *const u32) -> Self {
        // SAFETY: there is a token, and the caller says that 8 cells can be read.
        Self(unsafe { _mm256_loadu_ps(from.cast()) })
    }

    #[inline(always)]
    unsafe fn spread_cell(_: Avx2, from: *const u32) -> Self {
        // SAFETY: there is a token, and the caller says that the cell can be read.
        Self(unsafe { _mm256_castsi256_ps(_mm256_set1_epi32(from.cast::<i32>().read())) })
    }

    #[inline(always)]
    fn fetch<const FAR: bool>(_: Avx2, at: *const u32) {
        // SAFETY: it changes nothing but the caches, whatever the address.
        unsafe { if FAR { _mm_prefetch::<_MM_HINT_T1>(at.cast()) } else { _mm_prefetch::<_MM_HINT_T0>(at.cast()) } }
    }

    #[inline(always)]
    fn lower_halves(self) -> Self {
        Self(avx2!(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_castps_si256(self.0)))))
    }

    #[inline(always)]
    fn upper_halves(self) -> Self {
        Self(avx2!(_mm256_castsi256_ps(_mm256_and_si256(_mm256_castps_si256(self.0), _mm256_set1_epi32(-0x1_0000)))))
    }

    #[inline(always)]
    fn to_floats(self) -> Self {
        Self(avx2!(_mm256_cvtepi32_ps(_mm256_castps_si256(self.0))))
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

/// A cell is four int8, multiplied and added by one instruction.
struct Quads;

impl Micro for Quads {
    type Lanes = F32x8;
    const INTEGERS: bool = true;

    #[inline(always)]
    fn add_product(sum: F32x8, x: F32x8, w: F32x8) -> F32x8 {
        // SAFETY: `product` uses this type only where there is AVX-VNNI.
        F32x8(unsafe {
            let [sum, x, w] = [sum, x, w].map(|cells| _mm256_castps_si256(cells.0));
            _mm256_castsi256_ps(_mm256_dpbusd_avx_epi32(sum, x, w))
        })
    }
}

/// A cell is four int8, widened to i16: the instruction that multiplies them as they are saturates.
struct Widened;

impl Micro for Widened {
    type Lanes = F32x8;
    const INTEGERS: bool = true;

    #[inline(always)]
    fn add_product(sum: F32x8, x: F32x8, w: F32x8) -> F32x8 {
        F32x8(avx2!({
            let [sum, x, w] = [sum, x, w].map(|cells| _mm256_castps_si256(cells.0));
            let (x_even, x_odd) = (_mm256_and_si256(x, _mm256_set1_epi16(0xff)), _mm256_srli_epi16::<8>(x));
            let (w_even, w_odd) = (_mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(w)), _mm256_srai_epi16::<8>(w));
            let products = _mm256_add_epi32(_mm256_madd_epi16(x_even, w_even), _mm256_madd_epi16(x_odd, w_odd));
            _mm256_castsi256_ps(_mm256_add_epi32(sum, products))
        }))
    }
}

impl Avx2 {
    fn int8(self) -> Option<&'static str> {
        (self.0 == Level::Vnni).then_some("vpdpbusd")
    }

    /// # Safety
    /// - That of [`Kernels::multiply`](crate::kernels::arch::Kernels::multiply).
    unsafe fn product(self, product: &Product<'_>, panels: Range<usize>) {
        match (product.weights.dtype, self.0) {
            (Dtype::Float32, _) => products!("avx2,fma", Single<F32x8>, 2, self, product, panels),
            (Dtype::Bfloat16, _) => products!("avx2,fma", Halves<F32x8>, 2, self, product, panels),
            (Dtype::Int8, Level::Plain) => products!("avx2,fma", Widened, 2, self, product, panels),
            (Dtype::Int8, Level::Vnni) => products!("avx2,fma,avxvnni", Quads, 2, self, product, panels),
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
