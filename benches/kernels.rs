//! Speed of the kernels on the shapes of real models: `cargo bench --bench kernels [-- THREADS]`.
//!
//! Products in float32 are compared with sums in f64 before anything is timed; attention and recurrence are in the unit
//! tests of their modules. A row gives the shape, the best time and GFLOP/s.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::num::NonZeroUsize;
use std::time::Instant;

use candlewick::Dtype;
use candlewick::kernels::{
    Activation, Attention, Columns, GATES, Inputs, Isa, Packed, Pool, Recurrence, Scratch, attention, linear, lstm_step,
};
use candlewick::types::{Bounds, Rows};

/// Name, inputs, outputs of the linear layers of BERT-base.
const LAYERS: [(&str, usize, usize); 4] =
    [("qkv", 768, 2_304), ("output", 768, 768), ("up", 768, 3_072), ("down", 3_072, 768)];
const TOKENS: [usize; 5] = [1, 8, 32, 128, 512];
const DTYPES: [Dtype; 3] = [Dtype::Float32, Dtype::Bfloat16, Dtype::Int8];
const HEADS: usize = 12;
const HIDDEN: usize = 768;
/// Units of the language models of flair/ner-english, one of which reads forward and one backward.
const UNITS: usize = 2_048;
const SENTENCES: [usize; 5] = [1, 3, 16, 50, 128];

fn main() {
    let smoke = std::env::args().any(|argument| argument == "--test");
    let threads = std::env::args().find_map(|argument| argument.parse().ok()).or(NonZeroUsize::new(1));
    println!("{}, {} threads", Isa::current(), threads.unwrap());
    let pool = Pool::new(threads);
    pool.run(None, &mut || false, |_| run(smoke)).unwrap();
}

fn run(smoke: bool) {
    for (dtype, (name, inputs, outputs)) in DTYPES.into_iter().flat_map(|dtype| LAYERS.map(|layer| (dtype, layer))) {
        // Twelve of them, as in a model: one would stay in the cache.
        let layers: Vec<Packed> =
            (0..if smoke { 1 } else { 12 }).map(|layer| weights(dtype, layer, inputs, outputs)).collect();
        for tokens in TOKENS {
            let xs = numbers(7, tokens * inputs);
            let (mut ys, mut scratch) = (vec![0.0; tokens * outputs], Scratch::default());
            let bias = vec![0.5; outputs];
            linear(&xs, &layers[0], Some((&bias, Activation::Linear)), &mut ys, &mut scratch);
            if dtype == Dtype::Float32 {
                check(&xs, inputs, &ys, outputs);
            }
            let best = best(smoke, || {
                for layer in &layers {
                    linear(&xs, layer, Some((&bias, Activation::Linear)), &mut ys, &mut scratch);
                }
            }) / layers.len() as f64;
            report(&format!("{dtype} {name} {tokens} x {inputs} x {outputs}"), best, tokens * inputs * outputs);
        }
    }
    for dtype in DTYPES {
        let models = [0, 1].map(|model| weights(dtype, model, UNITS, GATES * UNITS));
        let values = numbers(5, GATES * UNITS);
        let inputs = Inputs { values: &values, stride: GATES * UNITS, first: 0 };
        for sentences in SENTENCES {
            let mut layers = [0, 1].map(|model| Recurrence::new(&models[model], inputs, sentences));
            let rows = [vec![0; sentences], vec![0; sentences]];
            let best = best(smoke, || lstm_step(&mut layers, &rows));
            let products = layers.len() * sentences * UNITS * GATES * UNITS;
            report(&format!("{dtype} lstm 2 x {sentences} x {UNITS}"), best, products);
        }
    }
    for (dtype, tokens) in DTYPES[..2].iter().flat_map(|&dtype| TOKENS.map(|tokens| (dtype, tokens))) {
        let bounds = Bounds::from_lengths([tokens]);
        let (qkv, mut out) = (numbers(3, tokens * 3 * HIDDEN), vec![0.0; tokens * HIDDEN]);
        let scheme = Attention::plain(dtype, HEADS, HIDDEN);
        let best = best(smoke, || attention(&scheme, Columns::thirds(&qkv, HIDDEN), &bounds, Rows::All, &mut out));
        report(&format!("{dtype} attention {tokens}"), best, 2 * tokens * tokens * HIDDEN);
    }
}

fn weights(dtype: Dtype, seed: usize, inputs: usize, outputs: usize) -> Packed {
    let fill = |row: usize, values: &mut [f32]| {
        values.copy_from_slice(&numbers(seed + row, inputs));
        Ok::<_, ()>(())
    };
    Packed::pack(dtype, outputs, inputs, fill).unwrap()
}

/// Numbers from -1 to 1.
fn numbers(seed: usize, count: usize) -> Vec<f32> {
    (0..count).map(|at| ((at + seed * 31) * 7_919 % 2_003) as f32 / 1_001.5 - 1.0).collect()
}

/// Some outputs of some rows against the definition.
fn check(xs: &[f32], inputs: usize, ys: &[f32], outputs: usize) {
    for (row, x) in xs.chunks(inputs).enumerate().step_by(7) {
        for output in (0..outputs).step_by(61) {
            let w = numbers(output, inputs);
            let exact: f64 = x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(w)).sum();
            let got = f64::from(ys[row * outputs + output]);
            assert!((got - exact - 0.5).abs() < 1e-5 * inputs as f64, "row {row}, output {output}: {got}, not {exact}");
        }
    }
}

/// The shortest time of one call, in seconds.
fn best(smoke: bool, mut work: impl FnMut()) -> f64 {
    let begin = Instant::now();
    let mut best = f64::INFINITY;
    while begin.elapsed().as_millis() < if smoke { 1 } else { 300 } {
        let start = Instant::now();
        work();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}

fn report(what: &str, seconds: f64, products: usize) {
    println!("{what:38} {:10.1} us {:8.1} GFLOP/s", seconds * 1e6, 2.0 * products as f64 / seconds / 1e9);
}
