//! What an instruction set is made of, whatever the architecture: entry points that carry its target features.
//!
//! Everything between an entry point and an instruction is `#[inline(always)]` and has no target features of its own:
//! it takes those of the entry point it ends up in. Without the inlining each instruction would be a call.

/// The operators of a vector type, each one instruction.
macro_rules! operators {
    ($vector:ident: $($trait:ident $method:ident $instruction:ident),*) => {$(
        impl std::ops::$trait for $vector {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                // SAFETY: a vector exists only where the CPU has its instructions.
                Self(unsafe { $instruction(self.0, other.0) })
            }
        }
    )*};
}

/// The entry points of an instruction set.
macro_rules! entry_points {
    (
        $isa:ident, $vector:ident, $features:literal,
        panels of $vectors:literal, int8 plus $shift:expr, by $int8:expr,
        bfloat16 if $bfloat16:expr, narrowed by $narrow:expr
    ) => {
        impl $crate::kernels::arch::Kernels for $isa {
            fn activate(&self, xs: &mut [f32], activation: Activation) {
                #[target_feature(enable = $features)]
                fn run(isa: $isa, xs: &mut [f32], activation: Activation) {
                    activation::activate::<$vector>(isa, xs, activation);
                }
                // SAFETY: a token exists only where its features were detected.
                unsafe { run(*self, xs, activation) }
            }

            fn layer_norm(&self, xs: &mut [f32], norm: Norm<'_>) {
                #[target_feature(enable = $features)]
                fn run(isa: $isa, xs: &mut [f32], norm: Norm<'_>) {
                    norm::layer_norm::<$vector>(isa, xs, norm);
                }
                // SAFETY: a token exists only where its features were detected.
                unsafe { run(*self, xs, norm) }
            }

            fn add_layer_norm(&self, xs: &mut [f32], update: &[f32], bias: &[f32], norm: Norm<'_>) {
                #[target_feature(enable = $features)]
                fn run(isa: $isa, xs: &mut [f32], update: &[f32], bias: &[f32], norm: Norm<'_>) {
                    norm::add_layer_norm::<$vector>(isa, xs, update, bias, norm);
                }
                // SAFETY: a token exists only where its features were detected.
                unsafe { run(*self, xs, update, bias, norm) }
            }

            fn softmax(&self, xs: &mut [f32], cols: usize, scale: f32) {
                #[target_feature(enable = $features)]
                fn run(isa: $isa, xs: &mut [f32], cols: usize, scale: f32) {
                    softmax::softmax::<$vector>(isa, xs, cols, scale);
                }
                // SAFETY: a token exists only where its features were detected.
                unsafe { run(*self, xs, cols, scale) }
            }

            fn exponentials(&self, row: &mut [f32], count: usize, scale: f32) -> f32 {
                #[target_feature(enable = $features)]
                fn run(isa: $isa, row: &mut [f32], count: usize, scale: f32) -> f32 {
                    softmax::exponentials::<$vector>(isa, row, count, scale)
                }
                // SAFETY: a token exists only where its features were detected.
                unsafe { run(*self, row, count, scale) }
            }

            fn rotate(&self, xs: &[f32], width: usize, stride: usize, turns: &[f32], turned: &mut [f32]) {
                #[target_feature(enable = $features)]
                fn run(isa: $isa, xs: &[f32], width: usize, stride: usize, turns: &[f32], turned: &mut [f32]) {
                    rotary::rotate::<$vector>(isa, xs, width, stride, turns, turned);
                }
                // SAFETY: a token exists only where its features were detected.
                unsafe { run(*self, xs, width, stride, turns, turned) }
            }

            fn lstm_gates(&self, sums: &[f32], inputs: &[f32], cells: &mut [f32], states: &mut [f32]) {
                #[target_feature(enable = $features)]
                fn run(isa: $isa, sums: &[f32], inputs: &[f32], cells: &mut [f32], states: &mut [f32]) {
                    $crate::kernels::lstm::gates::<$vector>(isa, sums, inputs, cells, states);
                }
                // SAFETY: a token exists only where its features were detected.
                unsafe { run(*self, sums, inputs, cells, states) }
            }

            fn has_bfloat16(&self) -> bool {
                ($bfloat16)(*self)
            }

            fn int8_instruction(&self) -> Option<&'static str> {
                ($int8)(*self)
            }

            fn narrow(&self, xs: &[f32], inputs: usize, stride: usize, rows: &mut [u32]) {
                #[target_feature(enable = $features)]
                fn run(xs: &[f32], inputs: usize, stride: usize, rows: &mut [u32]) {
                    bf16::narrow(xs, inputs, stride, rows);
                }
                if !($narrow)(*self, xs, inputs, stride, rows) {
                    // SAFETY: a token exists only where its features were detected.
                    unsafe { run(xs, inputs, stride, rows) }
                }
            }

            fn quantize(&self, xs: &[f32], inputs: usize, rows: &mut [u32], factors: &mut [f32]) {
                #[target_feature(enable = $features)]
                fn run(xs: &[f32], inputs: usize, rows: &mut [u32], factors: &mut [f32]) {
                    int8::quantize(xs, inputs, rows, factors, $shift);
                }
                // SAFETY: a token exists only where its features were detected.
                unsafe { run(xs, inputs, rows, factors) }
            }

            fn shift(&self) -> i32 {
                $shift
            }

            fn interleave(&self, low: &[f32], high: &[f32], row: &mut [u32]) {
                #[target_feature(enable = $features)]
                fn run(low: &[f32], high: &[f32], row: &mut [u32]) {
                    bf16::interleave(low, high, row);
                }
                // SAFETY: a token exists only where its features were detected.
                unsafe { run(low, high, row) }
            }

            fn panel_width(&self) -> usize {
                <$vector as Vector>::LANES * $vectors
            }

            unsafe fn multiply(&self, product: &Product<'_>, panels: Range<usize>) {
                // SAFETY: the caller's.
                unsafe { self.product(product, panels) }
            }
        }
    };
}

/// Some panels of a product, with a [`Micro`](crate::kernels::micro::Micro) that needs `features`.
macro_rules! products {
    ($features:literal, $micro:ty, $vectors:literal, $isa:expr, $product:expr, $panels:expr) => {{
        #[target_feature(enable = $features)]
        unsafe fn run<I: Copy, const VECTORS: usize>(isa: I, product: &Product<'_>, panels: Range<usize>)
        where
            <$micro as Micro>::Lanes: Vector<Isa = I>,
        {
            // SAFETY: the caller's.
            unsafe { gemm::multiply::<$micro, $vectors, VECTORS>(isa, product, panels) };
        }
        // SAFETY: a token of this level exists only where the features were detected; the rest is the caller's.
        unsafe {
            if $product.weights.outputs <= $product.weights.width / 2 {
                run::<_, { $vectors / 2 }>($isa, $product, $panels)
            } else {
                run::<_, $vectors>($isa, $product, $panels)
            }
        }
    }};
}

pub(super) use {entry_points, operators, products};
