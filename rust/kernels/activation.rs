//! Activation functions.

use super::arch::{Vector, math};

/// What follows a linear layer, element by element. NaN stays NaN; at -inf each is its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activation {
    /// `x / 2 * (1 + erf(x / sqrt(2)))`, the exact one.
    Gelu,
    /// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`.
    GeluTanh,
    /// `x * sigmoid(1.702 x)`.
    QuickGelu,
    /// [`Gelu`](Self::Gelu) cut off at -10 and 10.
    Gelu10,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `max(x, 0)^2`.
    Relu2,
    /// `x * sigmoid(x)`.
    Silu,
    /// The hyperbolic tangent.
    Tanh,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `x * tanh(ln(1 + exp(x)))`.
    Mish,
    /// `x`.
    Linear,
}

/// The names of `hidden_act` (transformers, `ACT2FN`). Several of the tanh form differ there in rounding only.
const NAMES: [(&str, Activation); 18] = [
    ("gelu", Activation::Gelu),
    ("gelu_python", Activation::Gelu),
    ("gelu_new", Activation::GeluTanh),
    ("gelu_pytorch_tanh", Activation::GeluTanh),
    ("gelu_python_tanh", Activation::GeluTanh),
    ("gelu_fast", Activation::GeluTanh),
    ("gelu_accurate", Activation::GeluTanh),
    ("quick_gelu", Activation::QuickGelu),
    ("gelu_10", Activation::Gelu10),
    ("relu", Activation::Relu),
    ("relu6", Activation::Relu6),
    ("relu2", Activation::Relu2),
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
    ("tanh", Activation::Tanh),
    ("sigmoid", Activation::Sigmoid),
    ("mish", Activation::Mish),
    ("linear", Activation::Linear),
];

impl Activation {
    /// The function that a checkpoint's config calls `name`.
    ///
    /// ```
    /// use candlewick::kernels::Activation;
    ///
    /// assert_eq!(Activation::from_name("gelu"), Some(Activation::Gelu));
    /// assert_eq!(Activation::from_name("gelu_new"), Some(Activation::GeluTanh));
    /// assert_eq!(Activation::from_name("snake"), None);
    /// ```
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|known| known.0 == name).map(|known| known.1)
    }

    /// Every name that [`from_name`](Self::from_name) knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|known| known.0)
    }
}

/// An expression with the type of an activation's function in it.
macro_rules! with {
    ($activation:expr, $function:ident => $value:expr) => {
        $crate::kernels::activation::with!(
            $activation, $function => $value;
            Gelu, GeluTanh, QuickGelu, Gelu10, Relu, Relu6, Relu2, Silu, Tanh, Sigmoid, Mish, Linear
        )
    };
    ($activation:expr, $function:ident => $value:expr; $($name:ident),*) => {
        match $activation {$(
            $crate::kernels::Activation::$name => {
                type $function = $crate::kernels::activation::$name;
                $value
            }
        )*}
    };
}
pub(super) use with;

/// `activation(x)` in place.
#[inline(always)]
pub(super) fn activate<V: Vector>(isa: V::Isa, xs: &mut [f32], activation: Activation) {
    with!(activation, F => each::<V, F>(isa, xs));
}

#[inline(always)]
fn each<V: Vector, F: Function>(isa: V::Isa, xs: &mut [f32]) {
    for xs in xs.chunks_mut(V::LANES) {
        F::of(V::load_some(isa, xs)).store_some(xs);
    }
}

/// A function of lanes: a type, as a closure may not end up inlined, and then could not use the instructions.
pub(super) trait Function {
    fn of<V: Vector>(x: V) -> V;
}

macro_rules! functions {
    ($($name:ident($x:ident) = $value:expr;)*) => {$(
        pub(super) struct $name;

        impl Function for $name {
            #[inline(always)]
            fn of<V: Vector>($x: V) -> V {
                $value
            }
        }
    )*};
}

functions! {
    Gelu(x) = gelu(x);
    GeluTanh(x) = {
        let x = floor(x);
        let cubic = (x * x * x.like(0.044_715)).mul_add(x, x);
        half_plus(x, math::tanh(cubic * x.like(SQRT_2_BY_PI)))
    };
    QuickGelu(x) = gated(x, x.like(1.702));
    Gelu10(x) = gelu(x).within(-10.0, 10.0);
    Relu(x) = relu(x);
    Relu6(x) = x.within(0.0, 6.0);
    Relu2(x) = relu(x) * relu(x);
    Silu(x) = gated(x, x.like(1.0));
    Tanh(x) = math::tanh(x);
    Sigmoid(x) = math::sigmoid(x);
    Mish(x) = mish(x);
    Linear(x) = x;
}

const SQRT_2_BY_PI: f32 = 0.797_884_6;

/// `max(x, 0) - |x| * erfc(|x| / sqrt(2)) / 2`: the definition without its `1 + erf`, which loses the negative tail.
#[inline(always)]
fn gelu<V: Vector>(x: V) -> V {
    let size = x.abs().at_most(x.like(13.0));
    math::minus_tail(size).mul_add(size, relu(x))
}

/// `x / 2 * (1 + y)`, without the rounding of `1 + y`.
#[inline(always)]
fn half_plus<V: Vector>(x: V, y: V) -> V {
    let half = x * x.like(0.5);
    half.mul_add(y, half)
}

/// `x * sigmoid(slope * x)`.
#[inline(always)]
fn gated<V: Vector>(x: V, slope: V) -> V {
    let x = floor(x);
    x * math::sigmoid(x * slope)
}

/// `tanh(ln(1 + e))` with `e = exp(x)` is `n / (n + 2)` with `n = e (e + 2)`.
#[inline(always)]
fn mish<V: Vector>(x: V) -> V {
    let x = floor(x);
    // From 20 on the quotient is 1.
    let e = math::exp(x.at_most(x.like(20.0)));
    let two = x.like(2.0);
    let n = e * (e + two);
    x * (n / (n + two))
}

#[inline(always)]
fn relu<V: Vector>(x: V) -> V {
    x.at_least(x.like(0.0))
}

/// Where the factor beside x is 0 in f32: going on to -inf would give `-inf * 0`.
#[inline(always)]
fn floor<V: Vector>(x: V) -> V {
    x.at_least(x.like(-110.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernels::Isa;
    use crate::kernels::arch::{kernels, twins};

    const ALL: [Activation; 12] = [
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::QuickGelu,
        Activation::Gelu10,
        Activation::Relu,
        Activation::Relu6,
        Activation::Relu2,
        Activation::Silu,
        Activation::Tanh,
        Activation::Sigmoid,
        Activation::Mish,
        Activation::Linear,
    ];

    /// The definitions in f64.
    fn exact(x: f64, activation: Activation) -> f64 {
        let sigmoid = |x: f64| 1.0 / (1.0 + libm::exp(-x));
        let gelu = 0.5 * x * libm::erfc(-x / std::f64::consts::SQRT_2);
        match activation {
            Activation::Gelu => gelu,
            // 1 + tanh(y) = 2 sigmoid(2 y)
            Activation::GeluTanh => {
                x * sigmoid(2.0 * (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x))
            }
            Activation::QuickGelu => x * sigmoid(1.702 * x),
            Activation::Gelu10 => gelu.clamp(-10.0, 10.0),
            Activation::Relu => x.clamp(0.0, f64::INFINITY),
            Activation::Relu6 => x.clamp(0.0, 6.0),
            Activation::Relu2 => x.clamp(0.0, f64::INFINITY).powi(2),
            Activation::Silu => x * sigmoid(x),
            Activation::Tanh => libm::tanh(x),
            Activation::Sigmoid => sigmoid(x),
            Activation::Mish => x * libm::tanh(libm::log1p(libm::exp(x))),
            Activation::Linear => x,
        }
    }

    #[test]
    fn all_are_close_to_their_definitions_over_all_of_f32() {
        let xs: Vec<_> = (0..=u32::MAX).step_by(20_011).map(f32::from_bits).filter(|x| x.is_finite()).collect();
        for isa in Isa::available() {
            for activation in ALL {
                let mut got = xs.clone();
                kernels(isa).unwrap().activate(&mut got, activation);
                let tolerance = if activation == Activation::Gelu { 1e-7 } else { 1.5e-7 };
                for (&x, got) in xs.iter().zip(got) {
                    let exact = exact(f64::from(x), activation);
                    let error = (f64::from(got) - exact).abs() / exact.abs().max(f64::from(x).abs()).max(1.0);
                    let close = error <= tolerance || got == exact as f32;
                    assert!(close, "{isa} {activation:?} of {x:e}: {got:e}, not {exact:e}");
                }
            }
        }
    }

    #[test]
    fn the_ends_are_the_limits() {
        for isa in Isa::available() {
            for activation in ALL {
                let mut got = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
                kernels(isa).unwrap().activate(&mut got, activation);
                let (top, bottom) = match activation {
                    Activation::Linear => (f32::INFINITY, f32::NEG_INFINITY),
                    Activation::Gelu10 => (10.0, 0.0),
                    Activation::Relu6 => (6.0, 0.0),
                    Activation::Tanh => (1.0, -1.0),
                    Activation::Sigmoid => (1.0, 0.0),
                    _ => (f32::INFINITY, 0.0),
                };
                assert!(got[0].is_nan(), "{isa} {activation:?}");
                assert_eq!(got[1..], [top, bottom], "{isa} {activation:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn every_instruction_set_is_close_to_the_twin(
            xs in prop::collection::vec(-12.0..12.0_f32, 1..=210), start in 0..4_usize,
        ) {
            let (twin, others) = twins();
            for activation in ALL {
                let mut expected = xs.clone();
                twin.activate(&mut expected, activation);
                for &(isa, kernels) in &others {
                    let mut got = [&[f32::NAN; 4][..start], &xs, &[7.5]].concat();
                    kernels.activate(&mut got[start..start + xs.len()], activation);
                    assert_eq!(got.pop(), Some(7.5), "{isa} wrote past the end");
                    for (got, expected) in got[start..].iter().zip(&expected) {
                        // Twice 1.5e-7 of the largest |x|, 12.
                        assert!((got - expected).abs() <= 3.6e-6, "{isa} {activation:?}: {got}, not {expected}");
                    }
                }
            }
        }

        #[test]
        fn an_element_has_the_same_bits_in_every_place(xs in prop::collection::vec(-9.0..9.0_f32, 0..=70)) {
            for isa in Isa::available() {
                let kernels = kernels(isa).unwrap();
                for activation in ALL {
                    let mut together = xs.clone();
                    kernels.activate(&mut together, activation);
                    for (x, together) in xs.iter().zip(together) {
                        let mut alone = [*x];
                        kernels.activate(&mut alone, activation);
                        assert_eq!(alone[0].to_bits(), together.to_bits(), "{isa} {activation:?} of {x}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_function_has_a_name() {
        let named: Vec<_> = Activation::names().filter_map(Activation::from_name).collect();
        assert!(ALL.iter().all(|activation| named.contains(activation)));
    }
}
