//! Activation functions, with the bias of the linear layer before them.

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

/// `activation(x + bias)` over rows of `bias.len()`, or `activation(x)`.
#[inline(always)]
pub(super) fn activate<V: Vector>(isa: V::Isa, xs: &mut [f32], bias: Option<&[f32]>, activation: Activation) {
    match activation {
        Activation::Gelu => rows::<V, Gelu>(isa, xs, bias),
        Activation::GeluTanh => rows::<V, GeluTanh>(isa, xs, bias),
        Activation::QuickGelu => rows::<V, QuickGelu>(isa, xs, bias),
        Activation::Gelu10 => rows::<V, Gelu10>(isa, xs, bias),
        Activation::Relu => rows::<V, Relu>(isa, xs, bias),
        Activation::Relu6 => rows::<V, Relu6>(isa, xs, bias),
        Activation::Relu2 => rows::<V, Relu2>(isa, xs, bias),
        Activation::Silu => rows::<V, Silu>(isa, xs, bias),
        Activation::Tanh => rows::<V, Tanh>(isa, xs, bias),
        Activation::Sigmoid => rows::<V, Sigmoid>(isa, xs, bias),
        Activation::Mish => rows::<V, Mish>(isa, xs, bias),
        Activation::Linear => rows::<V, Linear>(isa, xs, bias),
    }
}

#[inline(always)]
fn rows<V: Vector, F: Function>(isa: V::Isa, xs: &mut [f32], bias: Option<&[f32]>) {
    let Some(bias) = bias else { return row::<V, F>(isa, xs) };
    for row in xs.chunks_exact_mut(bias.len()) {
        row_with_bias::<V, F>(isa, row, bias);
    }
}

#[inline(always)]
fn row<V: Vector, F: Function>(isa: V::Isa, row: &mut [f32]) {
    let mut xs = row.chunks_exact_mut(V::LANES);
    for x in &mut xs {
        F::of(V::load(isa, x)).store(x);
    }
    let x = xs.into_remainder();
    if !x.is_empty() {
        F::of(V::load_part(x, V::splat(isa, 0.0))).store_part(x);
    }
}

#[inline(always)]
fn row_with_bias<V: Vector, F: Function>(isa: V::Isa, row: &mut [f32], bias: &[f32]) {
    let mut xs = row.chunks_exact_mut(V::LANES);
    let biases = bias.chunks_exact(V::LANES);
    let bias = biases.remainder();
    for (x, bias) in (&mut xs).zip(biases) {
        F::of(V::load(isa, x) + V::load(isa, bias)).store(x);
    }
    let x = xs.into_remainder();
    if !x.is_empty() {
        let zero = V::splat(isa, 0.0);
        F::of(V::load_part(x, zero) + V::load_part(bias, zero)).store_part(x);
    }
}

/// A function of lanes: a type, as a closure may not end up inlined, and then could not use the instructions.
trait Function {
    fn of<V: Vector>(x: V) -> V;
}

macro_rules! functions {
    ($($name:ident($x:ident) = $value:expr;)*) => {$(
        struct $name;

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

#[inline(always)]
fn gelu<V: Vector>(x: V) -> V {
    let x = floor(x);
    half_plus(x, math::erf(x * x.like(std::f32::consts::FRAC_1_SQRT_2)))
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
