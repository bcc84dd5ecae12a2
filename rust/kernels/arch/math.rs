//! exp, tanh and what GELU needs of erf, on vectors. The coefficients are our own minimax fits (Remez' exchange with 30 to
//! 50 digits), rounded to f32; the errors stated are measured.

use std::f32::consts::{LN_2, LOG2_E};

use super::Vector;

/// `exp(x)` for x <= 89, where it is inf: error <= 1.01 ulp, and below 2^-125 the result may be 0.
#[inline(always)]
pub(in crate::kernels) fn exp<V: Vector>(x: V) -> V {
    // exp(-104) is 0 in f32, and so is what lies below.
    let (fraction, power) = expm1_fraction(x.at_least(x.like(-104.0)));
    (x.like(1.0) + fraction).scale(power)
}

/// `tanh(x)`, error <= 2.6 ulp and 9e-8: `e / (e + 2)` with `e = exp(2|x|) - 1`, which keeps small arguments exact.
#[inline(always)]
pub(in crate::kernels) fn tanh<V: Vector>(x: V) -> V {
    // From 9.02 on tanh is 1 in f32, and e + 2 = e.
    let size = x.abs().at_most(x.like(10.0));
    let (fraction, power) = expm1_fraction(size + size);
    let one = x.like(1.0);
    let two_to_power = one.scale(power);
    let e = fraction.mul_add(two_to_power, two_to_power - one);
    (e / (e + x.like(2.0))).with_sign_of(x)
}

/// `1 / (1 + exp(-x))`, error <= 2.5 ulp and 9e-8.
#[inline(always)]
pub(in crate::kernels) fn sigmoid<V: Vector>(x: V) -> V {
    let one = x.like(1.0);
    one / (one + exp((x.like(0.0) - x).at_most(x.like(89.0))))
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
    ((r * r).mul_add(polynomial(r, Q), r), power)
}

/// `-erfc(x / sqrt(2)) / 2` for x in 0..=13, where it is 0: minus what a normal distribution has below -x. x times the error
/// is <= 4.5e-8, which is what counts in GELU. By `exp` (a factor, a rest of ln 2 and a limit more) GELU took 1.3 times as
/// long; a rational erf (degrees 5 and 5 in x^2) was off by up to 2.8e-7 where it comes near 1.
#[inline(always)]
pub(in crate::kernels) fn minus_tail<V: Vector>(x: V) -> V {
    // log2(erfc(x / sqrt(2))) = x P(x), fitted on x <= 6: there x / 2 times the error is 9e-9. Beyond, it goes on falling.
    const P: [f32; 8] = [
        -1.151_111,
        -0.459_162_15,
        -0.052_627_61,
        0.007_245_421_4,
        -0.000_272_075_9,
        -0.000_131_473_15,
        0.000_028_056_924,
        -0.000_001_902_064_2,
    ];
    // -2^r for |r| <= 1/2; relative error 1.9e-9.
    const Q: [f32; 7] =
        [-1.0, -LN_2, -0.240_226_46, -0.055_503_286, -0.009_618_489, -0.001_339_993_2, -0.000_153_458_23];
    let log2 = x.mul_add(polynomial(x, P), x.like(-1.0));
    let power = log2.round();
    polynomial(log2 - power, Q).scale(power)
}

/// `c[0] + c[1] x + c[2] x^2 + ...`, every other power apart: in Horner's one chain each operation waits for the one before,
/// and GELU took 1.14 times as long (Zen 5). Estrin's pairs of pairs, in a loop over an array, fell out of the registers:
/// 4 times.
#[inline(always)]
fn polynomial<V: Vector, const N: usize>(x: V, c: [f32; N]) -> V {
    let square = x * x;
    let (mut low, mut high) = (x.like(c[N - 2]), x.like(c[N - 1]));
    let mut power = N - 2;
    while power >= 2 {
        power -= 2;
        low = low.mul_add(square, x.like(c[power]));
        high = high.mul_add(square, x.like(c[power + 1]));
    }
    let sum = high.mul_add(x, low);
    if power == 0 { sum } else { sum.mul_add(x, x.like(c[0])) }
}

#[cfg(all(test, any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    #[cfg(target_arch = "aarch64")]
    use super::super::aarch64::{F32x4, neon};
    #[cfg(target_arch = "x86_64")]
    use super::super::x86_64::{F32x8, F32x16, avx2, avx512};
    use super::*;

    /// Every 4099th f32, and those where something happens.
    fn numbers() -> Vec<f32> {
        let special =
            [0.0, 1e-45, f32::MIN_POSITIVE, 0.346_573_6, 9.02, 10.0, 13.0, 87.336, 88.722_84, 89.0, 103.97, 104.0];
        let ends = [f32::MAX, f32::INFINITY, f32::NAN];
        let near = special.into_iter().chain(ends).flat_map(|x: f32| [x.next_down(), x, x.next_up()]);
        (0..=u32::MAX).step_by(4099).map(f32::from_bits).chain(near.flat_map(|x| [x, -x])).collect()
    }

    /// Within `ulp` units in the last place of the exact value, or within `absolute` of it.
    fn check<V: Vector>(isa: V::Isa, function: fn(V) -> V, exact: fn(f64) -> f64, ulp: f64, absolute: f64) {
        for chunk in numbers().chunks_exact(V::LANES) {
            let mut got = [0.0; 16];
            function(V::load(isa, chunk)).store(&mut got[..V::LANES]);
            for (&x, got) in chunk.iter().zip(got) {
                let exact = exact(f64::from(x));
                let nearest = exact as f32;
                let unit = f64::from(nearest.abs().next_up()) - f64::from(nearest.abs());
                let close = (f64::from(got) - exact).abs() <= absolute.max(ulp * unit);
                assert!(close || got == nearest || (got.is_nan() && x.is_nan()), "of {x:e}: {got:e}, not {exact:e}");
            }
        }
    }

    macro_rules! check {
        ($function:expr, $($bounds:expr),*) => {
            #[cfg(target_arch = "aarch64")]
            if let Some(isa) = neon() {
                check::<F32x4>(isa, $function, $($bounds),*);
            }
            #[cfg(target_arch = "x86_64")]
            if let Some(isa) = avx2() {
                check::<F32x8>(isa, $function, $($bounds),*);
            }
            #[cfg(target_arch = "x86_64")]
            if let Some(isa) = avx512() {
                check::<F32x16>(isa, $function, $($bounds),*);
            }
        };
    }

    #[test]
    fn exp_is_close() {
        // 2^-125: what is less may be 0.
        check!(|x| exp(x.at_most(x.like(89.0))), libm::exp, 1.01, 2.36e-38);
    }

    #[test]
    fn tanh_is_close() {
        check!(tanh, libm::tanh, 2.6, 0.0);
        check!(tanh, libm::tanh, 0.0, 9e-8);
    }

    #[test]
    fn sigmoid_is_close() {
        let exact = |x: f64| 1.0 / (1.0 + libm::exp(-x));
        check!(sigmoid, exact, 2.5, 1.2e-38);
        check!(sigmoid, exact, 0.0, 9e-8);
    }

    #[test]
    fn x_times_the_tail_is_close() {
        let exact = |x: f64| -0.5 * x.abs().min(13.0) * libm::erfc(x.abs() / std::f64::consts::SQRT_2);
        check!(|x| minus_tail(x.abs().at_most(x.like(13.0))) * x.abs().at_most(x.like(13.0)), exact, 0.0, 4.5e-8);
    }
}
