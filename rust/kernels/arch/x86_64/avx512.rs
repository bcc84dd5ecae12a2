//! AVX-512: sixteen lanes, masked loads, and an instruction that multiplies by a power of two.

#[allow(clippy::wildcard_imports, reason = "names of instructions")]
use std::arch::x86_64::*;
use std::ops::Range;

use super::amx::{self, Hardware};
use super::cpuid;
use crate::kernels::arch::Vector;
use crate::kernels::arch::entry_points::{entry_points, operators, products};
use crate::kernels::gemm::{self, Product};
use crate::kernels::micro::{Halves, Micro, Single};
#[cfg(test)]
use crate::kernels::tiles::Emulated;
use crate::kernels::tiles::{self, Tiles};
use crate::kernels::{Activation, Norm, activation, bf16, int8, norm, rotary, softmax};
use crate::types::Dtype;

/// Exists only where the CPU has AVX-512F and BW, and what its level adds.
#[derive(Clone, Copy)]
pub(in crate::kernels::arch) struct Avx512(Level);

/// What a CPU has beside AVX-512F and BW; the last ones have VNNI, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kernels::arch) enum Level {
    Plain,
    /// VNNI: products of int8.
    Vnni,
    /// BF16: products of bfloat16.
    Bf16,
    /// AMX: products of bfloat16, and of int8 where there are rows enough.
    Amx,
    /// The loops of AMX without its instructions.
    #[cfg(test)]
    Emulated,
}

impl Avx512 {
    /// The token, if the CPU has all that belongs to the level.
    pub(in crate::kernels::arch) fn detect(level: Level) -> Option<&'static Self> {
        let plain = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
        match level {
            Level::Plain => plain.then_some(&Self(Level::Plain)),
            Level::Vnni => (plain && is_x86_feature_detected!("avx512vnni")).then_some(&Self(Level::Vnni)),
            Level::Bf16 => (Self::detect(Level::Vnni).is_some() && multiplies_pairs()).then_some(&Self(Level::Bf16)),
            Level::Amx => (amx::usable() == Ok(true)).then_some(&Self(Level::Amx)),
            #[cfg(test)]
            Level::Emulated => Self::detect(Level::Vnni).is_some().then_some(&Self(Level::Emulated)),
        }
    }
}

/// Whether the instruction for products of bfloat16 is the fastest way: on AMD's cores it takes 0.5 of the time of two
/// multiplications, on Intel's before AMX's successor twice (Sapphire Rapids), so there it stays unused.
fn multiplies_pairs() -> bool {
    is_x86_feature_detected!("avx512bf16") && cpuid(0).ebx == u32::from_le_bytes(*b"Auth")
}

entry_points!(
    Avx512, F32x16, "avx512f,avx512bw", panels of 4,
    int8 plus int8::UNSIGNED, by Avx512::int8,
    bfloat16 if Avx512::multiplies_bfloat16, narrowed by Avx512::narrow
);

/// Exists only where [`Avx512`] does.
#[derive(Clone, Copy)]
pub(in crate::kernels::arch) struct F32x16(__m512);

operators!(F32x16: Add add _mm512_add_ps, Sub sub _mm512_sub_ps, Mul mul _mm512_mul_ps, Div div _mm512_div_ps);

/// For expressions on registers only.
macro_rules! avx512 {
    ($value:expr) => {
        // SAFETY: a token or a vector is at hand, and either exists only where the CPU has AVX-512F and BW.
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
    unsafe fn load_cells(_: Avx512, from: *const u32) -> Self {
        // SAFETY: there is a token, and the caller says that 16 cells can be read.
        Self(unsafe { _mm512_loadu_ps(from.cast()) })
    }

    #[inline(always)]
    unsafe fn spread_cell(_: Avx512, from: *const u32) -> Self {
        // SAFETY: there is a token, and the caller says that the cell can be read.
        Self(unsafe { _mm512_castsi512_ps(_mm512_set1_epi32(from.cast::<i32>().read())) })
    }

    #[inline(always)]
    fn fetch<const FAR: bool>(_: Avx512, at: *const u32) {
        // SAFETY: it changes nothing but the caches, whatever the address.
        unsafe { if FAR { _mm_prefetch::<_MM_HINT_T1>(at.cast()) } else { _mm_prefetch::<_MM_HINT_T0>(at.cast()) } }
    }

    #[inline(always)]
    fn lower_halves(self) -> Self {
        Self(avx512!(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_castps_si512(self.0)))))
    }

    #[inline(always)]
    fn upper_halves(self) -> Self {
        Self(avx512!(_mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(self.0), _mm512_set1_epi32(-0x1_0000)))))
    }

    #[inline(always)]
    fn to_floats(self) -> Self {
        Self(avx512!(_mm512_cvtepi32_ps(_mm512_castps_si512(self.0))))
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

/// A cell is two bfloat16, multiplied and added by one instruction.
struct Pairs;

impl Micro for Pairs {
    type Lanes = F32x16;

    #[inline(always)]
    fn add_product(sum: F32x16, x: F32x16, w: F32x16) -> F32x16 {
        // SAFETY: `product` uses this type only at a level that has the instruction. The types are bits of one size.
        F32x16(unsafe {
            let [x, w] = [x, w].map(|cells| std::mem::transmute::<__m512, __m512bh>(cells.0));
            _mm512_dpbf16_ps(sum.0, x, w)
        })
    }
}

/// A cell is four int8, multiplied and added by one instruction.
struct Quads;

impl Micro for Quads {
    type Lanes = F32x16;
    const INTEGERS: bool = true;

    #[inline(always)]
    fn add_product(sum: F32x16, x: F32x16, w: F32x16) -> F32x16 {
        // SAFETY: `product` uses this type only at a level that has the instruction.
        F32x16(unsafe {
            let [sum, x, w] = [sum, x, w].map(|cells| _mm512_castps_si512(cells.0));
            _mm512_castsi512_ps(_mm512_dpbusd_epi32(sum, x, w))
        })
    }
}

/// A cell is four int8, widened to i16: the instruction that multiplies them as they are saturates.
struct Widened;

impl Micro for Widened {
    type Lanes = F32x16;
    const INTEGERS: bool = true;

    #[inline(always)]
    fn add_product(sum: F32x16, x: F32x16, w: F32x16) -> F32x16 {
        F32x16(avx512!({
            let [sum, x, w] = [sum, x, w].map(|cells| _mm512_castps_si512(cells.0));
            let (x_even, x_odd) = (_mm512_and_si512(x, _mm512_set1_epi16(0xff)), _mm512_srli_epi16::<8>(x));
            let (w_even, w_odd) = (_mm512_srai_epi16::<8>(_mm512_slli_epi16::<8>(w)), _mm512_srai_epi16::<8>(w));
            let products = _mm512_add_epi32(_mm512_madd_epi16(x_even, w_even), _mm512_madd_epi16(x_odd, w_odd));
            _mm512_castsi512_ps(_mm512_add_epi32(sum, products))
        }))
    }
}

impl Avx512 {
    fn multiplies_bfloat16(self) -> bool {
        matches!(self.0, Level::Bf16 | Level::Amx)
    }

    /// Rows to cells by the instruction that rounds two vectors at once: a call of 511 tokens in int8, whose attention is in
    /// bfloat16, takes 0.97 of the time that it takes with integers (Zen 4). What is too small for a normal number becomes
    /// 0, as products take it for anyway. Whether the CPU has it.
    fn narrow(self, xs: &[f32], inputs: usize, stride: usize, rows: &mut [u32]) -> bool {
        #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
        fn run(xs: &[f32], inputs: usize, stride: usize, rows: &mut [u32]) {
            let depth = bf16::cells(inputs);
            for row in 0..rows.len() / depth {
                let (whole, rest) = xs[row * stride..][..inputs].as_chunks::<32>();
                let (cells, behind) = rows[row * depth..].split_at_mut(whole.len() * 16);
                for (xs, cells) in whole.iter().zip(cells.chunks_exact_mut(16)) {
                    // SAFETY: there are 32 numbers, and 16 cells.
                    unsafe {
                        let [low, high] = [0, 16].map(|at| _mm512_loadu_ps(xs.as_ptr().add(at)));
                        _mm512_storeu_ps(cells.as_mut_ptr().cast(), pairs(low, high));
                    }
                }
                if !rest.is_empty() {
                    // They may reach into the next row, which comes later.
                    let room = behind.len().min(16);
                    // SAFETY: other lanes than those that the slices have are neither read nor written.
                    unsafe {
                        let low = _mm512_maskz_loadu_ps(lanes(rest.len().min(16)), rest.as_ptr());
                        let high = lanes(rest.len().saturating_sub(16));
                        let high = _mm512_maskz_loadu_ps(high, rest.as_ptr().wrapping_add(16));
                        _mm512_mask_storeu_ps(behind.as_mut_ptr().cast(), lanes(room), pairs(low, high));
                    }
                }
            }
        }
        let can = self.multiplies_bfloat16() && is_x86_feature_detected!("avx512bf16");
        if can {
            // SAFETY: looked for, and a token exists only where its features were detected.
            unsafe { run(xs, inputs, stride, rows) }
        }
        can
    }

    fn int8(self) -> Option<&'static str> {
        match self.0 {
            Level::Plain => None,
            Level::Amx => Some("tdpbusd, few rows by vpdpbusd"),
            _ => Some("vpdpbusd"),
        }
    }

    /// # Safety
    /// - That of [`Kernels::multiply`](crate::kernels::arch::Kernels::multiply).
    unsafe fn product(self, product: &Product<'_>, panels: Range<usize>) {
        match (product.weights.dtype, self.0) {
            (Dtype::Float32, _) => products!("avx512f,avx512bw", Single<F32x16>, 4, self, product, panels),
            #[cfg(test)]
            // SAFETY: the caller's.
            (_, Level::Emulated) => unsafe { self.tiled(Emulated::default(), product, panels) },
            (Dtype::Bfloat16, Level::Bf16) => {
                products!("avx512f,avx512bw,avx512bf16", Pairs, 4, self, product, panels);
            }
            // Whatever the number of rows: the instruction has its own order of additions.
            // SAFETY: a token of this level exists only where tiles can be used; the rest is the caller's.
            (Dtype::Bfloat16, Level::Amx) => unsafe { self.tiled(Hardware::new(), product, panels) },
            (Dtype::Bfloat16, _) => products!("avx512f,avx512bw", Halves<F32x16>, 4, self, product, panels),
            (Dtype::Int8, Level::Plain) => products!("avx512f,avx512bw", Widened, 4, self, product, panels),
            (Dtype::Int8, Level::Amx) if product.rows >= amx::fewest_rows() => {
                // SAFETY: as above.
                unsafe { self.tiled(Hardware::new(), product, panels) }
            }
            (Dtype::Int8, _) => products!("avx512f,avx512bw,avx512vnni", Quads, 4, self, product, panels),
        }
    }

    /// Some panels of a product of narrow numbers, by tiles.
    ///
    /// # Safety
    /// - That of [`Kernels::multiply`](crate::kernels::arch::Kernels::multiply).
    pub(super) unsafe fn tiled<T: Tiles>(self, tiles: T, product: &Product<'_>, panels: Range<usize>) {
        #[target_feature(enable = "avx512f,avx512bw")]
        unsafe fn run<T: Tiles>(isa: Avx512, tiles: T, product: &Product<'_>, panels: Range<usize>) {
            // SAFETY: the caller's.
            unsafe {
                match product.weights.dtype {
                    Dtype::Int8 => tiles::multiply::<T, F32x16, true>(isa, tiles, product, panels),
                    _ => tiles::multiply::<T, F32x16, false>(isa, tiles, product, panels),
                }
            }
        }
        // SAFETY: a token exists only where its features were detected; the rest is the caller's.
        unsafe { run(self, tiles, product, panels) }
    }
}

/// Cells of the numbers of two vectors.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
#[inline]
fn pairs(low: __m512, high: __m512) -> __m512 {
    // SAFETY: bits of one size.
    unsafe { std::mem::transmute::<__m512bh, __m512>(_mm512_cvtne2ps_pbh(high, low)) }
}

/// The first lanes.
fn lanes(count: usize) -> __mmask16 {
    ((1_u32 << count) - 1) as __mmask16
}
