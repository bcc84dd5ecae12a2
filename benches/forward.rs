//! Text in, logits out, against the same network written with candle alone; BERT-base, f32.
//!
//! `cargo bench --bench forward [-- THREADS]` prints for each length the median of either engine and their ratio. The
//! engines take turns, and their results are compared before anything is timed.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

use candle_core::{DType, Device, Tensor};
use candle_nn::{LayerNorm, Linear, Module};
use candlewick::{LoadOptions, RunOptions, TokenClassificationOptions, TokenClassificationPipeline};
use serde_json::json;

/// Tokens of a text, special ones included, and how many rounds are timed.
const LENGTHS: [(usize, usize); 4] = [(8, 40), (32, 30), (128, 12), (512, 5)];
const HIDDEN: usize = 768;
const INNER: usize = 3_072;
const LAYERS: usize = 12;
const HEADS: usize = 12;
const LABELS: usize = 9;
const VOCABULARY: usize = 1_000;

fn main() {
    // `cargo bench` passes `--bench`; the smoke run of the tests passes `--test` and only wants to see it work.
    let threads = std::env::args().find_map(|argument| argument.parse().ok());
    let smoke = std::env::args().any(|argument| argument == "--test");
    let threads = threads.or(NonZeroUsize::new(if smoke { 1 } else { 2 }));
    let folder = tempfile::tempdir().unwrap();
    write_model(folder.path(), if smoke { 1 } else { LAYERS });
    let options = LoadOptions { threads, ..Default::default() };
    let ours = TokenClassificationPipeline::load(folder.path(), &options).unwrap();
    let plain = Plain::load(folder.path());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.map_or(0, NonZeroUsize::get)).build().unwrap();
    println!("tokens   candle ms   candlewick ms   candle / candlewick   (threads: {threads:?})");
    for (tokens, rounds) in LENGTHS {
        let ids: Vec<u32> = (0..tokens as u32).map(|at| if at == 0 { 2 } else { 5 + at * 7 % 900 }).collect();
        let text: Vec<String> = ids[1..tokens - 1].iter().map(|id| format!("w{id}")).collect();
        let text = text.join(" ");
        let ids: Vec<u32> = [&ids[..tokens - 1], &[3]].concat();
        compare(&logits(&ours, &text), &pool.install(|| plain.forward(&ids)));
        let rounds = if smoke { 1 } else { rounds };
        let (mut theirs, mut own) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            theirs.push(timed(|| pool.install(|| plain.forward(&ids))));
            own.push(timed(|| logits(&ours, &text)));
        }
        let (theirs, own) = (median(theirs), median(own));
        println!("{tokens:6} {theirs:11.2} {own:15.2} {:21.2}", theirs / own);
    }
}

fn logits(pipeline: &TokenClassificationPipeline, text: &str) -> Vec<f32> {
    let options = TokenClassificationOptions { run: RunOptions::default(), ..Default::default() };
    let (_, answer) = pipeline.logits([text], &options).unwrap().next().unwrap().unwrap();
    answer.output.logits.values
}

fn compare(ours: &[f32], theirs: &[f32]) {
    assert_eq!(ours.len(), theirs.len());
    let worst = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-3, "logits differ by {worst}");
}

fn timed<R>(work: impl FnOnce() -> R) -> Duration {
    let start = Instant::now();
    std::hint::black_box(work());
    start.elapsed()
}

/// In milliseconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

/// BERT-base with random weights, f16 on disk.
fn write_model(folder: &Path, layers: usize) {
    let mut tensors: HashMap<String, Tensor> = HashMap::new();
    let mut add = |name: String, shape: &[usize], scale: f64| {
        let values = Tensor::randn(0_f32, scale as f32, shape, &Device::Cpu).unwrap();
        tensors.insert(name, values.to_dtype(DType::F16).unwrap());
    };
    for (name, rows) in [("word", VOCABULARY), ("position", 512), ("token_type", 2)] {
        add(format!("bert.embeddings.{name}_embeddings.weight"), &[rows, HIDDEN], 0.5);
    }
    let mut linear = |name: &str, rows: usize, columns: usize| {
        add(format!("{name}.weight"), &[rows, columns], 0.04);
        add(format!("{name}.bias"), &[rows], 0.1);
    };
    for layer in 0..layers {
        for name in ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"] {
            linear(&format!("bert.encoder.layer.{layer}.{name}"), HIDDEN, HIDDEN);
        }
        linear(&format!("bert.encoder.layer.{layer}.intermediate.dense"), INNER, HIDDEN);
        linear(&format!("bert.encoder.layer.{layer}.output.dense"), HIDDEN, INNER);
    }
    linear("classifier", LABELS, HIDDEN);
    let norms = (0..layers).flat_map(|layer| {
        ["attention.output", "output"].map(|name| format!("bert.encoder.layer.{layer}.{name}.LayerNorm"))
    });
    for norm in norms.chain(["bert.embeddings.LayerNorm".to_owned()]) {
        for part in ["weight", "bias"] {
            add(format!("{norm}.{part}"), &[HIDDEN], 1.0);
        }
    }
    candle_core::safetensors::save(&tensors, folder.join("model.safetensors")).unwrap();
    let config = json!({
        "model_type": "bert", "architectures": ["BertForTokenClassification"], "num_labels": LABELS,
        "vocab_size": VOCABULARY, "num_hidden_layers": layers,
    });
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned).into_iter();
    let words: Vec<String> = special.chain((5..VOCABULARY).map(|id| format!("w{id}"))).collect();
    std::fs::write(folder.join("vocab.txt"), words.join("\n")).unwrap();
}

/// The network as candle's users write it.
struct Plain {
    tables: [Tensor; 3],
    norm: LayerNorm,
    layers: Vec<PlainLayer>,
    head: Linear,
}

struct PlainLayer {
    qkvo: [Linear; 4],
    attention_norm: LayerNorm,
    up: Linear,
    down: Linear,
    norm: LayerNorm,
}

impl Plain {
    fn load(folder: &Path) -> Self {
        let tensors = candle_core::safetensors::load(folder.join("model.safetensors"), &Device::Cpu).unwrap();
        let get = |name: String| tensors[&name].to_dtype(DType::F32).unwrap();
        let linear = |name: String| Linear::new(get(format!("{name}.weight")), Some(get(format!("{name}.bias"))));
        let norm = |name: String| LayerNorm::new(get(format!("{name}.weight")), get(format!("{name}.bias")), 1e-12);
        let layer = |index: usize| {
            let layer = format!("bert.encoder.layer.{index}");
            let qkvo = ["self.query", "self.key", "self.value", "output.dense"];
            PlainLayer {
                qkvo: qkvo.map(|name| linear(format!("{layer}.attention.{name}"))),
                attention_norm: norm(format!("{layer}.attention.output.LayerNorm")),
                up: linear(format!("{layer}.intermediate.dense")),
                down: linear(format!("{layer}.output.dense")),
                norm: norm(format!("{layer}.output.LayerNorm")),
            }
        };
        let layers =
            (0..).take_while(|index| tensors.contains_key(&format!("bert.encoder.layer.{index}.output.dense.weight")));
        Self {
            tables: ["word", "position", "token_type"]
                .map(|name| get(format!("bert.embeddings.{name}_embeddings.weight"))),
            norm: norm("bert.embeddings.LayerNorm".to_owned()),
            layers: layers.map(layer).collect(),
            head: linear("classifier".to_owned()),
        }
    }

    fn forward(&self, ids: &[u32]) -> Vec<f32> {
        let length = ids.len();
        let rows = |table: &Tensor, ids: Vec<u32>| {
            table.index_select(&Tensor::from_vec(ids, length, &Device::Cpu).unwrap(), 0).unwrap()
        };
        let [word, position, segment] = &self.tables;
        let sum = (rows(word, ids.to_vec()) + rows(segment, vec![0; length])).unwrap();
        let sum = (sum + rows(position, (0..length as u32).collect())).unwrap();
        let mut xs = self.norm.forward(&sum).unwrap(); // (len, hidden)
        for layer in &self.layers {
            let heads = |index: usize| {
                let ys = layer.qkvo[index].forward(&xs).unwrap();
                ys.reshape((length, HEADS, HIDDEN / HEADS)).unwrap().transpose(0, 1).unwrap().contiguous().unwrap()
            };
            let scores = heads(0).matmul(&heads(1).t().unwrap()).unwrap(); // (heads, len, len)
            let scores = (scores / ((HIDDEN / HEADS) as f64).sqrt()).unwrap();
            let mixed = candle_nn::ops::softmax_last_dim(&scores).unwrap().matmul(&heads(2)).unwrap();
            let mixed = mixed.transpose(0, 1).unwrap().contiguous().unwrap().reshape((length, HIDDEN)).unwrap();
            let ys = (layer.qkvo[3].forward(&mixed).unwrap() + &xs).unwrap();
            xs = layer.attention_norm.forward(&ys).unwrap();
            let inner = layer.up.forward(&xs).unwrap().gelu_erf().unwrap();
            let ys = (layer.down.forward(&inner).unwrap() + &xs).unwrap();
            xs = layer.norm.forward(&ys).unwrap();
        }
        self.head.forward(&xs).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }
}
