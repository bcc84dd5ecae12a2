//! exp, erf and tanh on vectors. The coefficients are our own minimax fits (Remez for the polynomial, Lawson's iteration
//! for the rational function, 40 digits), rounded to f32; the errors stated are measured over the whole range of f32.

use std::f32::consts::{FRAC_2_SQRT_PI, LN_2, LOG2_E};

use super::Vector;

/// `exp(x)`, error <= 1 ulp; overflows to inf, underflows gradually to 0.
#[inline(always)]
pub(in crate::kernels) fn exp<V: Vector>(x: V) -> V {
    // exp(89) = inf and exp(-104) = 0 in f32: what lies outside gives no more than they.
    let (fraction, power) = expm1_fraction(x.within(-104.0, 89.0));
    (x.like(1.0) + fraction).scale(power)
}

/// `tanh(x)`, error <= 2 ulp or 3e-8: `e / (e + 2)` with `e = exp(2x) - 1`, which keeps small arguments exact.
#[inline(always)]
pub(in crate::kernels) fn tanh<V: Vector>(x: V) -> V {
    // From 9.02 on tanh is 1 in f32, and e + 2 = e.
    let x = x.within(-10.0, 10.0);
    let (fraction, power) = expm1_fraction(x + x);
    let one = x.like(1.0);
    let two_to_power = one.scale(power);
    let e = fraction.mul_add(two_to_power, two_to_power - one);
    e / (e + x.like(2.0))
}

/// `1 / (1 + exp(-x))`.
#[inline(always)]
pub(in crate::kernels) fn sigmoid<V: Vector>(x: V) -> V {
    let one = x.like(1.0);
    one / (one + exp(x.like(0.0) - x))
}

/// `exp(x) = 2^power * (1 + fraction)` with `|fraction| <= sqrt(2) - 1`.
#[inline(always)]
fn expm1_fraction<V: Vector>(x: V) -> (V, V) {
    // Cody and Waite: ln 2 as the nearest f32 and the rest. The first product is exact inside the fused operation.
    const LN_2_REST: f32 = -1.904_654_3e-9;
    // (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2; the error in e^r is 3.8e-9.
    const Q: [f32; 5] = [0.499_999_94, 0.166_665_21, 0.041_668_39, 0.008_368_717, 0.001_381_459_9];

    let power = (x * x.like(LOG2_E)).round();
    let r = power.mul_add(x.like(-LN_2), x);
    let r = power.mul_add(x.like(-LN_2_REST), r);
    ((r * r).mul_add(horner(r, Q), r), power)
}

/// `erf(x)`, error <= 1e-7: `x * P(x^2) / Q(x^2)`, which is as exact for small arguments.
#[inline(always)]
pub(in crate::kernels) fn erf<V: Vector>(x: V) -> V {
    // Fitted on |x| <= 3.95, relative error 2.1e-8; above it the quotient grows past 1, where it is cut off.
    const P: [f32; 6] =
        [FRAC_2_SQRT_PI, 0.191_547_55, 0.052_874_91, 0.003_807_997_4, 0.000_284_676_77, 0.000_002_025_836];
    const Q: [f32; 6] = [1.0, 0.503_087_3, 0.114_558_33, 0.015_054_765, 0.001_170_672_4, 0.000_037_830_475];
    const LIMIT: f32 = 4.0625;

    let x = x.within(-LIMIT, LIMIT);
    let square = x * x;
    (x * horner(square, P) / horner(square, Q)).within(-1.0, 1.0)
}

/// `c[0] + c[1] x + c[2] x^2 + ...`
#[inline(always)]
fn horner<V: Vector, const N: usize>(x: V, coefficients: [f32; N]) -> V {
    let mut sum = x.like(coefficients[N - 1]);
    for &coefficient in coefficients[..N - 1].iter().rev() {
        sum = sum.mul_add(x, x.like(coefficient));
    }
    sum
}
