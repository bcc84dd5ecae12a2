//! The few operations that the kernels need of an instruction set.

use std::ops::{Add, Div, Mul, Sub};

/// What the widest vector holds.
const MOST_LANES: usize = 16;

/// f32 lanes. Operators work lane by lane; a NaN lane stays NaN in all of them.
#[allow(unsafe_code)]
pub(in crate::kernels) trait Vector:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// The token: its existence proves that the CPU has the instructions.
    type Isa: Copy;

    /// How many lanes.
    const LANES: usize;

    /// All lanes `value`.
    fn splat(isa: Self::Isa, value: f32) -> Self;

    /// All lanes `value`; that there is a vector already stands for the token.
    fn like(self, value: f32) -> Self;

    /// The values of `from`, which holds [`LANES`](Self::LANES).
    fn load(isa: Self::Isa, from: &[f32]) -> Self;

    /// [`LANES`](Self::LANES) cells of 32 bits, whatever they hold.
    ///
    /// # Safety
    /// - They can be read.
    unsafe fn load_cells(isa: Self::Isa, from: *const u32) -> Self;

    /// One cell of 32 bits in every lane.
    ///
    /// # Safety
    /// - It can be read.
    unsafe fn spread_cell(isa: Self::Isa, from: *const u32) -> Self;

    /// Asks for the line of memory at an address, which need not be valid, to be brought into the first-level cache, or
    /// if it may stay `FAR` no further than into the second-level one.
    #[inline(always)]
    fn fetch<const FAR: bool>(_: Self::Isa, _at: *const u32) {}

    /// The lower 16 bits of each lane in the place of the upper ones.
    fn lower_halves(self) -> Self;

    /// The upper 16 bits of each lane; the lower ones are 0.
    fn upper_halves(self) -> Self;

    /// Lanes that are i32 as f32, rounded to the nearest.
    fn to_floats(self) -> Self;

    /// The values of `from`, which holds fewer than [`LANES`](Self::LANES); the rest from `fill`.
    fn load_part(from: &[f32], fill: Self) -> Self;

    /// Writes all lanes to `to`, which holds [`LANES`](Self::LANES).
    fn store(self, to: &mut [f32]);

    /// Writes the first lanes to `to`, which holds fewer than [`LANES`](Self::LANES).
    #[inline(always)]
    fn store_part(self, to: &mut [f32]) {
        // One masked store instead made the next row's first load wait, whose bytes it covers but does not write: 30 ns
        // per row (Zen 5).
        let mut lanes = [0.0; MOST_LANES];
        self.store(&mut lanes[..Self::LANES]);
        to.copy_from_slice(&lanes[..to.len()]);
    }

    /// The values of `from`, which holds at most [`LANES`](Self::LANES); the rest is 0.
    #[inline(always)]
    fn load_some(isa: Self::Isa, from: &[f32]) -> Self {
        if from.len() == Self::LANES { Self::load(isa, from) } else { Self::load_part(from, Self::splat(isa, 0.0)) }
    }

    /// Writes the first lanes to `to`, which holds at most [`LANES`](Self::LANES).
    #[inline(always)]
    fn store_some(self, to: &mut [f32]) {
        if to.len() == Self::LANES { self.store(to) } else { self.store_part(to) }
    }

    /// `self * factor + addend`, rounded once.
    fn mul_add(self, factor: Self, addend: Self) -> Self;

    /// Without its sign.
    fn abs(self) -> Self;

    /// `self`, which is not negative, with the sign of `other`.
    fn with_sign_of(self, other: Self) -> Self;

    /// The larger of the two; NaN where `self` is NaN.
    fn at_least(self, floor: Self) -> Self;

    /// The smaller of the two; NaN where `self` is NaN.
    fn at_most(self, ceiling: Self) -> Self;

    /// The nearest integer, ties to even.
    fn round(self) -> Self;

    /// `self * 2^power` for integers up to 128, rounded once; 0 instead where `power` is below -125 and that is faster.
    fn scale(self, power: Self) -> Self;

    /// The sum of the lanes, always in the same order.
    fn sum(self) -> f32;

    /// The largest lane; unspecified if one is NaN.
    fn largest(self) -> f32;

    /// Between `low` and `high`; NaN where `self` is NaN.
    #[inline(always)]
    fn within(self, low: f32, high: f32) -> Self {
        self.at_least(self.like(low)).at_most(self.like(high))
    }
}
