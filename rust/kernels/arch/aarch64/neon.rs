//! NEON: four lanes.

#[allow(clippy::wildcard_imports, reason = "names of instructions")]
use std::arch::aarch64::*;
use std::arch::{asm, is_aarch64_feature_detected};
use std::ops::Range;

use crate::kernels::arch::Vector;
use crate::kernels::arch::entry_points::{entry_points, operators, products};
use crate::kernels::gemm::{self, Product};
use crate::kernels::micro::{Halves, Micro, Single};
use crate::kernels::{Activation, Norm, activation, bf16, int8, norm, rotary, softmax};
use crate::types::Dtype;

/// Exists only where the CPU has NEON, and what its level adds.
#[derive(Clone, Copy)]
pub(in crate::kernels::arch) struct Neon(Level);

/// What a CPU has beside NEON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kernels::arch) enum Level {
    Plain,
    /// DotProd: products of int8.
    DotProd,
}

impl Neon {
    /// The token, if the CPU has all that belongs to the level.
    pub(in crate::kernels::arch) fn detect(level: Level) -> Option<&'static Self> {
        let plain = is_aarch64_feature_detected!("neon");
        match level {
            Level::Plain => plain.then_some(&Self(Level::Plain)),
            Level::DotProd => (plain && is_aarch64_feature_detected!("dotprod")).then_some(&Self(Level::DotProd)),
        }
    }
}

// Of 32 registers, tiles of 6 rows take 24 for sums, 4 for weights and 1 for a cell of a row.
entry_points!(
    Neon, F32x4, "neon", panels of 4,
    int8 plus int8::SIGNED, by Neon::int8,
    bfloat16 if |_: Self| false, narrowed by |_: Self, _: &_, _, _, _: &mut _| false
);

/// Exists only where [`Neon`] does.
#[derive(Clone, Copy)]
pub(in crate::kernels::arch) struct F32x4(float32x4_t);

operators!(F32x4: Add add vaddq_f32, Sub sub vsubq_f32, Mul mul vmulq_f32, Div div vdivq_f32);

/// For expressions on registers only.
macro_rules! neon {
    ($value:expr) => {
        // SAFETY: a token or a vector is at hand, and either exists only where the CPU has NEON.
        unsafe { $value }
    };
}

impl Vector for F32x4 {
    type Isa = Neon;
    const LANES: usize = 4;

    #[inline(always)]
    fn splat(_: Neon, value: f32) -> Self {
        Self(neon!(vdupq_n_f32(value)))
    }

    #[inline(always)]
    fn like(self, value: f32) -> Self {
        Self(neon!(vdupq_n_f32(value)))
    }

    #[inline(always)]
    fn load(_: Neon, from: &[f32]) -> Self {
        assert!(from.len() == Self::LANES);
        // SAFETY: the slice holds 4 values, and there is a token.
        Self(unsafe { vld1q_f32(from.as_ptr()) })
    }

    #[inline(always)]
    unsafe fn load_cells(_: Neon, from: *const u32) -> Self {
        // SAFETY: there is a token, and the caller says that 4 cells can be read.
        Self(unsafe { vld1q_f32(from.cast()) })
    }

    #[inline(always)]
    unsafe fn spread_cell(_: Neon, from: *const u32) -> Self {
        // SAFETY: there is a token, and the caller says that the cell can be read.
        Self(unsafe { vld1q_dup_f32(from.cast()) })
    }

    #[inline(always)]
    fn fetch<const FAR: bool>(_: Neon, at: *const u32) {
        // The intrinsic is not stable yet (1.95).
        // SAFETY: it changes nothing but the caches, whatever the address.
        unsafe {
            if FAR {
                asm!("prfm pldl2keep, [{at}]", at = in(reg) at, options(readonly, nostack, preserves_flags))
            } else {
                asm!("prfm pldl1keep, [{at}]", at = in(reg) at, options(readonly, nostack, preserves_flags))
            }
        }
    }

    #[inline(always)]
    fn lower_halves(self) -> Self {
        Self(neon!(vreinterpretq_f32_u32(vshlq_n_u32::<16>(vreinterpretq_u32_f32(self.0)))))
    }

    #[inline(always)]
    fn upper_halves(self) -> Self {
        Self(neon!(vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(self.0), vdupq_n_u32(0xffff_0000)))))
    }

    #[inline(always)]
    fn to_floats(self) -> Self {
        Self(neon!(vcvtq_f32_s32(vreinterpretq_s32_f32(self.0))))
    }

    #[inline(always)]
    fn load_part(from: &[f32], fill: Self) -> Self {
        assert!(from.len() < Self::LANES);
        // Lane by lane: a vector that was just written to memory in two parts would have to wait for both.
        let mut lanes = fill.0;
        if let Some(&x) = from.first() {
            lanes = neon!(vsetq_lane_f32::<0>(x, lanes));
        }
        if let Some(&x) = from.get(1) {
            lanes = neon!(vsetq_lane_f32::<1>(x, lanes));
        }
        if let Some(&x) = from.get(2) {
            lanes = neon!(vsetq_lane_f32::<2>(x, lanes));
        }
        Self(lanes)
    }

    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        assert!(to.len() == Self::LANES);
        // SAFETY: the slice holds 4 values, and there is a vector.
        unsafe { vst1q_f32(to.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(neon!(vfmaq_f32(addend.0, self.0, factor.0)))
    }

    #[inline(always)]
    fn abs(self) -> Self {
        Self(neon!(vabsq_f32(self.0)))
    }

    #[inline(always)]
    fn with_sign_of(self, other: Self) -> Self {
        Self(neon!(vbslq_f32(vdupq_n_u32(0x8000_0000), other.0, self.0)))
    }

    #[inline(always)]
    fn at_least(self, floor: Self) -> Self {
        // NaN if either is.
        Self(neon!(vmaxq_f32(self.0, floor.0)))
    }

    #[inline(always)]
    fn at_most(self, ceiling: Self) -> Self {
        Self(neon!(vminq_f32(self.0, ceiling.0)))
    }

    #[inline(always)]
    fn round(self) -> Self {
        Self(neon!(vrndnq_f32(self.0)))
    }

    #[inline(always)]
    fn scale(self, power: Self) -> Self {
        // Twice itself times 2^(power - 1), whose bits are its exponent + 127; no bits are 0.0.
        neon!({
            let exponent = vaddq_s32(vcvtnq_s32_f32(power.0), vdupq_n_s32(126));
            let bits = vshlq_n_s32::<23>(vmaxq_s32(exponent, vdupq_n_s32(0)));
            Self(vmulq_f32(vaddq_f32(self.0, self.0), vreinterpretq_f32_s32(bits)))
        })
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        // Not vaddvq_f32, whose order is the compiler's.
        neon!(vpadds_f32(vget_low_f32(vpaddq_f32(self.0, self.0))))
    }

    #[inline(always)]
    fn largest(self) -> f32 {
        neon!(vmaxvq_f32(self.0))
    }
}

/// A cell is four int8, multiplied and added by one instruction.
struct Quads;

impl Micro for Quads {
    type Lanes = F32x4;
    const INTEGERS: bool = true;

    #[inline(always)]
    fn add_product(sum: F32x4, x: F32x4, w: F32x4) -> F32x4 {
        // SAFETY: `product` uses this type only at a level that has the instruction.
        unsafe { add_dot_product(sum, x, w) }
    }
}

/// As the intrinsic, which is not stable yet (1.95).
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn add_dot_product(F32x4(mut sum): F32x4, F32x4(x): F32x4, F32x4(w): F32x4) -> F32x4 {
    // SAFETY: the CPU has the instruction, which touches nothing but the registers that it names.
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {x:v}.16b, {w:v}.16b",
            sum = inout(vreg) sum, x = in(vreg) x, w = in(vreg) w,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    F32x4(sum)
}

/// A cell is four int8, widened to i16: of -127 to 127 the sum of two products still fits.
struct Widened;

impl Micro for Widened {
    type Lanes = F32x4;
    const INTEGERS: bool = true;

    #[inline(always)]
    fn add_product(sum: F32x4, x: F32x4, w: F32x4) -> F32x4 {
        F32x4(neon!({
            let [x, w] = [vreinterpretq_s8_f32(x.0), vreinterpretq_s8_f32(w.0)];
            let (low, high) = (vmull_s8(vget_low_s8(x), vget_low_s8(w)), vmull_high_s8(x, w));
            vreinterpretq_f32_s32(vpadalq_s16(vreinterpretq_s32_f32(sum.0), vpaddq_s16(low, high)))
        }))
    }
}

impl Neon {
    fn int8(self) -> Option<&'static str> {
        (self.0 == Level::DotProd).then_some("sdot")
    }

    /// # Safety
    /// - That of [`Kernels::multiply`](crate::kernels::arch::Kernels::multiply).
    unsafe fn product(self, product: &Product<'_>, panels: Range<usize>) {
        match (product.weights.dtype, self.0) {
            (Dtype::Float32, _) => products!("neon", Single<F32x4>, 4, self, product, panels),
            (Dtype::Bfloat16, _) => products!("neon", Halves<F32x4>, 4, self, product, panels),
            (Dtype::Int8, Level::Plain) => products!("neon", Widened, 4, self, product, panels),
            (Dtype::Int8, Level::DotProd) => products!("neon,dotprod", Quads, 4, self, product, panels),
        }
    }
}
