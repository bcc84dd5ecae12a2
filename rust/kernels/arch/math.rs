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

/// `erfc(x / sqrt(2))` for x in 0..=13, where it is 0: what a normal distribution has beyond -x and x. Half of x times the
/// error is <= 4e-8, which is what counts in GELU. A rational erf (degrees 5 and 5 in x^2) took two thirds of the time, but
/// was off by up to 2.8e-7 where it comes near 1.
#[inline(always)]
pub(in crate::kernels) fn tails<V: Vector>(x: V) -> V {
    // -ln(erfc(x / sqrt(2))) = x P(x), fitted on x <= 6: there x / 2 times the error is 5.4e-9. Beyond, it goes on growing.
    const P: [f32; 10] = [
        0.797_885,
        0.318_304_06,
        0.036_360_61,
        -0.004_831_429,
        0.000_012_932_436,
        0.000_187_737_55,
        -0.000_051_221_42,
        0.000_007_289_388,
        -0.000_000_564_675_1,
        0.000_000_018_710_227,
    ];
    exp(x.like(0.0) - x * polynomial(x, P))
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
    fn half_of_x_times_the_tails_is_close() {
        let exact = |x: f64| 0.5 * x.abs().min(13.0) * libm::erfc(x.abs() / std::f64::consts::SQRT_2);
        check!(
            |x| tails(x.abs().at_most(x.like(13.0))) * x.abs().at_most(x.like(13.0)) * x.like(0.5),
            exact,
            0.0,
            4e-8
        );
    }
}
