//! A tiny BERT that is written to a folder, to be changed before it is loaded.
#![allow(dead_code, reason = "no test needs all of it")]

#[cfg(feature = "server")]
pub(crate) mod service;
#[cfg(feature = "server")]
pub(crate) mod socket;

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const VOCABULARY: &[&str] = &[
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "ada", "lives", "in", "lon", "##don", "##s", ".", ",", "a", "b", "c",
];
const HIDDEN: usize = 8;
const INNER: usize = 12;
const POSITIONS: usize = 32;
const LABELS: [&str; 3] = ["O", "B-PER", "I-PER"];

pub(crate) type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// The files of a model, as values that a test may change.
pub(crate) struct Files {
    pub(crate) config: Value,
    pub(crate) tokenizer_config: Value,
    pub(crate) vocabulary: Vec<String>,
    pub(crate) tensors: Tensors,
}

impl Files {
    /// A BERT with a token head (`ForTokenClassification`) or a sequence head (`ForSequenceClassification`).
    pub(crate) fn bert(head: &str) -> Self {
        let id2label: serde_json::Map<_, _> =
            LABELS.iter().enumerate().map(|(id, label)| (id.to_string(), json!(label))).collect();
        let config = json!({
            "model_type": "bert", "architectures": [format!("Bert{head}")], "id2label": id2label,
            "vocab_size": VOCABULARY.len(), "hidden_size": HIDDEN, "num_hidden_layers": 2, "num_attention_heads": 2,
            "intermediate_size": INNER, "max_position_embeddings": POSITIONS,
        });
        let tokenizer_config = json!({"do_lower_case": true, "model_max_length": POSITIONS});
        let vocabulary = VOCABULARY.iter().map(ToString::to_string).collect();
        Self { config, tokenizer_config, vocabulary, tensors: tensors() }
    }

    /// Writes the files to a new folder.
    pub(crate) fn write(&self) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        self.write_to(folder.path());
        folder
    }

    pub(crate) fn write_to(&self, folder: &Path) {
        write_tensors(&folder.join("model.safetensors"), self.tensors.iter());
        std::fs::write(folder.join("config.json"), self.config.to_string()).unwrap();
        std::fs::write(folder.join("tokenizer_config.json"), self.tokenizer_config.to_string()).unwrap();
        std::fs::write(folder.join("vocab.txt"), self.vocabulary.join("\n")).unwrap();
    }
}

pub(crate) fn write_tensors<'a>(file: &Path, tensors: impl Iterator<Item = (&'a String, &'a (Vec<usize>, Vec<f32>))>) {
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .map(|(name, (shape, values))| {
            (name.clone(), shape.clone(), values.iter().flat_map(|value| value.to_le_bytes()).collect())
        })
        .collect();
    let views =
        tensors.iter().map(|(name, shape, bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    std::fs::write(file, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// Every tensor of the network, of both heads, with fixed pseudo-random values.
fn tensors() -> Tensors {
    let mut shapes = vec![
        ("bert.embeddings.word_embeddings.weight".to_owned(), vec![VOCABULARY.len(), HIDDEN]),
        ("bert.embeddings.position_embeddings.weight".to_owned(), vec![POSITIONS, HIDDEN]),
        ("bert.embeddings.token_type_embeddings.weight".to_owned(), vec![2, HIDDEN]),
        ("classifier.weight".to_owned(), vec![LABELS.len(), HIDDEN]),
        ("classifier.bias".to_owned(), vec![LABELS.len()]),
    ];
    let mut linear = |name: &str, rows: usize, columns: usize| {
        shapes.push((format!("{name}.weight"), vec![rows, columns]));
        shapes.push((format!("{name}.bias"), vec![rows]));
    };
    linear("bert.pooler.dense", HIDDEN, HIDDEN);
    for layer in 0..2 {
        let layer = format!("bert.encoder.layer.{layer}");
        for name in ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"] {
            linear(&format!("{layer}.{name}"), HIDDEN, HIDDEN);
        }
        linear(&format!("{layer}.intermediate.dense"), INNER, HIDDEN);
        linear(&format!("{layer}.output.dense"), HIDDEN, INNER);
    }
    let norms = ["layer.0.attention.output", "layer.0.output", "layer.1.attention.output", "layer.1.output"];
    let norms = norms.map(|norm| format!("encoder.{norm}")).into_iter().chain(["embeddings".to_owned()]);
    for norm in norms {
        for part in ["weight", "bias"] {
            shapes.push((format!("bert.{norm}.LayerNorm.{part}"), vec![HIDDEN]));
        }
    }
    let mut state = 1_u64;
    let mut number = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    shapes
        .into_iter()
        .map(|(name, shape)| {
            let values = (0..shape.iter().product()).map(|_| number()).collect();
            (name, (shape, values))
        })
        .collect()
}

/// The numbers of nested lists, in their order.
pub(crate) fn floats(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(rows) => rows.iter().flat_map(floats).collect(),
        number => vec![number.as_f64().unwrap() as f32],
    }
}
