//! What a model folder may hold, and how each damage is refused: by name, before anything is computed.
#![allow(clippy::unwrap_used, clippy::type_complexity)]

mod common;

use std::path::Path;

use candlewick::pipeline::PackedCache;
use candlewick::{
    Error, LoadOptions, TextClassificationOptions, TextClassificationPipeline, TokenClassificationOptions,
    TokenClassificationPipeline,
};
use common::{Files, Tensors};
use serde_json::{Value, json};

const TOKEN: &str = "ForTokenClassification";
const TEXTS: [&str; 3] = ["Ada lives in London.", "", "London, London, a b c"];

fn load(files: &Files) -> Result<TokenClassificationPipeline, Error> {
    TokenClassificationPipeline::load(files.write().path(), &LoadOptions::default())
}

/// Logits of all texts, as one list.
fn logits(pipeline: &TokenClassificationPipeline) -> Vec<f32> {
    let options = TokenClassificationOptions::default();
    let mut answers: Vec<_> = pipeline.logits(TEXTS, &options).unwrap().collect::<Result<_, _>>().unwrap();
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().flat_map(|(_, answer)| answer.output.logits.values).collect()
}

/// The error of a folder whose files were changed.
fn refused(change: impl FnOnce(&mut Files)) -> Error {
    let mut files = Files::bert(TOKEN);
    change(&mut files);
    load(&files).map(|_| ()).unwrap_err()
}

#[track_caller]
fn assert_says(error: &Error, kind: &str, parts: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "{error} does not say {part}");
    }
}

fn rename(tensors: &mut Tensors, new: impl Fn(&str) -> String) {
    *tensors = std::mem::take(tensors).into_iter().map(|(name, tensor)| (new(&name), tensor)).collect();
}

#[test]
fn other_names_of_the_same_tensors_give_the_same_bits() {
    let expected = logits(&load(&Files::bert(TOKEN)).unwrap());
    let changes: [(&str, fn(&mut Tensors)); 5] = [
        ("no prefix", |tensors| rename(tensors, |name| name.replace("bert.", ""))),
        ("wrapped", |tensors| rename(tensors, |name| format!("module.{name}"))),
        ("wrapped without prefix", |tensors| rename(tensors, |name| format!("module.{}", name.replace("bert.", "")))),
        ("gamma and beta", |tensors| {
            rename(tensors, |name| {
                name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
            });
        }),
        ("unused tensors", |tensors| {
            for name in ["cls.predictions.bias", "bert.embeddings.position_ids", "loss_fct.weight", "lm_head.x"] {
                tensors.insert(name.to_owned(), (vec![1], vec![0.0]));
            }
        }),
    ];
    for (what, change) in changes {
        let mut files = Files::bert(TOKEN);
        change(&mut files.tensors);
        assert_eq!(logits(&load(&files).unwrap()), expected, "{what}");
    }
}

#[test]
fn shards_are_one_checkpoint() {
    let files = Files::bert(TOKEN);
    let folder = files.write();
    std::fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    let (head, encoder): (Vec<_>, Vec<_>) = files.tensors.iter().partition(|(name, _)| name.starts_with("classifier"));
    common::write_tensors(&folder.path().join("one.safetensors"), head.iter().copied());
    common::write_tensors(&folder.path().join("two.safetensors"), encoder.iter().copied());
    let shard = |name: &str| if name.starts_with("classifier") { "one.safetensors" } else { "two.safetensors" };
    let map: serde_json::Map<_, _> = files.tensors.keys().map(|name| (name.clone(), json!(shard(name)))).collect();
    let index = json!({"metadata": {"total_size": 0}, "weight_map": map});
    std::fs::write(folder.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    let pipeline = TokenClassificationPipeline::load(folder.path(), &LoadOptions::default()).unwrap();
    assert_eq!(logits(&pipeline), logits(&load(&files).unwrap()));
}

#[test]
fn tensors_that_do_not_fit_are_named_with_expected_and_got() {
    let cases: [(fn(&mut Files), &[&str]); 7] = [
        (
            |files| drop(files.tensors.remove("bert.encoder.layer.1.output.dense.bias")),
            &["bert.encoder.layer.1.output.dense.bias", "expected shape [8]", "got none"],
        ),
        (
            |files| files.tensors.get_mut("classifier.weight").unwrap().0 = vec![8, 3],
            &["classifier.weight", "expected shape [3, 8]", "got [8, 3]"],
        ),
        (|files| files.tensors.retain(|name, _| !name.starts_with("classifier")), &["no token-classification head"]),
        (
            |files| drop(files.tensors.insert("bert.encoder.adapter.weight".into(), (vec![1], vec![0.0]))),
            &["bert.encoder.adapter.weight", "expected none of this name"],
        ),
        (
            |files| files.tensors.get_mut("bert.encoder.layer.0.output.dense.weight").unwrap().1[5] = f32::INFINITY,
            &["bert.encoder.layer.0.output.dense.weight", "finite", "element 5"],
        ),
        (
            |files| drop(files.tensors.remove("bert.embeddings.word_embeddings.weight")),
            &["bert.embeddings.word_embeddings.weight", "expected one, got none"],
        ),
        (
            |files| {
                let words = files.tensors["bert.embeddings.word_embeddings.weight"].clone();
                files.tensors.insert("generator.embeddings.word_embeddings.weight".into(), words);
            },
            &["expected one, got two"],
        ),
    ];
    for (change, parts) in cases {
        assert_says(&refused(change), "model_format", parts);
    }
}

#[test]
fn configurations_that_lie_are_refused() {
    let cases: [(&str, Value, &str, &[&str]); 10] = [
        ("num_attention_heads", json!(3), "model_format", &["multiple of 3 heads", "got 8"]),
        ("num_attention_heads", json!(0), "model_format", &["at least 1"]),
        ("num_hidden_layers", json!(-1), "model_format", &["num_hidden_layers", "got -1"]),
        ("num_hidden_layers", json!(3), "model_format", &["encoder.layer.2"]),
        ("hidden_size", json!(1 << 30), "model_format", &["expected shape"]),
        ("vocab_size", json!("many"), "model_format", &["vocab_size", "\"many\""]),
        ("hidden_act", json!("gleu"), "unsupported_model", &["activation", "gleu", "gelu_new"]),
        ("model_type", json!("gpt2"), "unsupported_model", &["gpt2", "distilbert", "xlm-roberta"]),
        ("is_decoder", json!(true), "unsupported_model", &["is_decoder"]),
        ("position_embedding_type", json!("rotary"), "unsupported_model", &["rotary", "relative_key_query"]),
    ];
    for (key, value, kind, parts) in cases {
        let error = refused(|files| files.config[key] = value.clone());
        assert_says(&error, kind, parts);
    }
}

/// A golden's folder with another configuration.
fn changed_golden(name: &str, change: &Value) -> tempfile::TempDir {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/models").join(name);
    let folder = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(golden).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    let config = folder.path().join("config.json");
    let mut values: Value = serde_json::from_str(&std::fs::read_to_string(&config).unwrap()).unwrap();
    values.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    std::fs::write(config, values.to_string()).unwrap();
    folder
}

fn refused_golden(name: &str, change: &Value) -> Error {
    let folder = changed_golden(name, change);
    TokenClassificationPipeline::load(folder.path(), &LoadOptions::default()).map(|_| ()).unwrap_err()
}

#[test]
fn a_modernbert_that_can_not_be_is_refused() {
    let cases: [(Value, &str, &[&str]); 12] = [
        (json!({"local_attention": 0}), "model_format", &["local_attention", "at least 1", "got 0"]),
        (json!({"num_attention_heads": 3}), "model_format", &["multiple of 3 heads", "got 32"]),
        (json!({"num_attention_heads": 32}), "model_format", &["even number for each of 32 heads", "got 1"]),
        (json!({"layer_types": ["full_attention"]}), "model_format", &["layer_types", "a list of 4", "got 1"]),
        (json!({"global_attn_every_n_layers": 0}), "model_format", &["global_attn_every_n_layers", "got 0"]),
        (json!({"local_rope_theta": -1.0}), "model_format", &["local_rope_theta", "above 0"]),
        (json!({"rope_scaling": {"rope_type": "yarn"}}), "unsupported_model", &["rotary embedding", "yarn"]),
        (json!({"classifier_pooling": "last"}), "model_format", &["classifier_pooling", "cls, mean"]),
        (json!({"attention_bias": true}), "model_format", &["layers.0.attn.Wqkv.bias", "expected shape [96]"]),
        (json!({"norm_bias": true}), "model_format", &["norm.bias", "expected shape [32]"]),
        (json!({"intermediate_size": 65}), "model_format", &["mlp.Wi.weight", "expected shape [130, 32]"]),
        (json!({"num_hidden_layers": 3}), "model_format", &["model.layers.3", "expected none of this name"]),
    ];
    for (change, kind, parts) in cases {
        assert_says(&refused_golden("modernbert-ner", &change), kind, parts);
    }
    // What has biases is another network than one without.
    let change = json!({"mlp_bias": false});
    assert_says(&refused_golden("modernbert-ner-biases", &change), "model_format", &["mlp.Wi.bias", "expected none"]);
}

#[test]
fn a_bart_that_can_not_be_is_refused() {
    // transformers has no class for it.
    let error = refused_golden("bart-mnli", &json!({"architectures": ["BartForTokenClassification"]}));
    assert_says(&error, "unsupported_model", &["token-classification of bart", "text-classification"]);
    let cases: [(Value, &str, &[&str]); 5] = [
        (json!({"encoder_attention_heads": 5}), "model_format", &["multiple of 5 heads", "got 32"]),
        (json!({"decoder_attention_heads": 5}), "model_format", &["multiple of 5 heads", "got 32"]),
        (json!({"decoder_layers": 4}), "model_format", &["model.decoder.layers.3.self_attn.q_proj.weight", "got none"]),
        (json!({"encoder_ffn_dim": 52}), "model_format", &["model.encoder.layers.0.fc1.weight", "[52, 32]"]),
        (json!({"activation_function": "gleu"}), "unsupported_model", &["activation", "gleu"]),
    ];
    for (change, kind, parts) in cases {
        let folder = changed_golden("bart-mnli", &change);
        let error = TextClassificationPipeline::load(folder.path(), &LoadOptions::default()).map(|_| ()).unwrap_err();
        assert_says(&error, kind, parts);
    }
}

#[test]
fn every_kind_of_layer_is_judged_and_kept_packed() {
    // Halves that fill no panel; a decoder.
    for (name, layers) in [("modernbert-moderation", 3 * 4), ("bart-mnli", 2 * 4 + 3 * 7)] {
        let cache = tempfile::tempdir().unwrap();
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/models").join(name);
        let load = || {
            let packed_cache = Some(cache.path().join("packed"));
            let options = LoadOptions { dtype: candlewick::Dtype::Int8.into(), packed_cache, ..Default::default() };
            let pipeline = TextClassificationPipeline::load(&golden, &options).unwrap();
            let scores = pipeline.run(TEXTS, &TextClassificationOptions::default()).unwrap();
            (pipeline.info(), scores)
        };
        let ((first, expected), (second, scores)) = (load(), load());
        assert_eq!((first.packed_cache, second.packed_cache), (PackedCache::Written, PackedCache::Read), "{name}");
        assert_eq!(first.quality.unwrap().layers, layers, "{name}");
        assert_eq!(scores, expected, "{name}");
    }
}

#[test]
fn a_text_without_the_end_that_is_answered_at_is_an_error_of_its_input() {
    let folder = changed_golden("bart-mnli", &json!({"eos_token_id": 4}));
    let pipeline = TextClassificationPipeline::load(folder.path(), &LoadOptions::default()).unwrap();
    let options = TextClassificationOptions::default();
    let error = pipeline.run(["Ada"], &options).map(|_| ()).unwrap_err();
    assert_says(&error, "input", &["input 0", "id 4", "where this model answers"]);
}

#[test]
fn a_model_of_the_other_task_is_refused() {
    let folder = Files::bert(TOKEN).write();
    let error = TextClassificationPipeline::load(folder.path(), &LoadOptions::default()).map(|_| ()).unwrap_err();
    assert_says(&error, "parameter", &["task", "token-classification for this model"]);
}

#[test]
fn missing_and_broken_files_are_named() {
    for (file, kind) in
        [("config.json", "model_not_found"), ("vocab.txt", "model_not_found"), ("model.safetensors", "model_not_found")]
    {
        let folder = Files::bert(TOKEN).write();
        std::fs::remove_file(folder.path().join(file)).unwrap();
        let error = TokenClassificationPipeline::load(folder.path(), &LoadOptions::default()).map(|_| ()).unwrap_err();
        assert_says(&error, kind, &[file]);
    }
    for (file, text) in [
        ("config.json", "{"),
        ("tokenizer_config.json", "[1]"),
        ("tokenizer.json", "{\"model\": 1}"),
        ("model.safetensors", "not a safetensors file"),
        ("vocab.txt", "only\nordinary\nwords"),
    ] {
        let folder = Files::bert(TOKEN).write();
        std::fs::write(folder.path().join(file), text).unwrap();
        let error = TokenClassificationPipeline::load(folder.path(), &LoadOptions::default()).map(|_| ()).unwrap_err();
        assert_says(&error, "model_format", &[file]);
    }
    let folder = Files::bert(TOKEN).write();
    std::fs::rename(folder.path().join("model.safetensors"), folder.path().join("pytorch_model.bin")).unwrap();
    let error = TokenClassificationPipeline::load(folder.path(), &LoadOptions::default()).map(|_| ()).unwrap_err();
    assert_says(&error, "unsupported_model", &["pytorch_model.bin", "model.safetensors"]);
    let error = TokenClassificationPipeline::load("no/such/folder", &LoadOptions::default()).map(|_| ()).unwrap_err();
    assert_says(&error, "model_not_found", &["no/such/folder"]);
}

#[test]
fn an_id_beyond_the_embedding_table_is_an_error_of_its_input() {
    let mut files = Files::bert(TOKEN);
    files.vocabulary.push("paris".into());
    let pipeline = load(&files).unwrap();
    let options = TokenClassificationOptions::default();
    let error = pipeline.run(["Ada", "Ada in Paris"], &options).unwrap_err();
    assert_says(&error, "input", &["input 1", "\"paris\"", "16", "15"]);
    assert!(pipeline.run(["Ada"], &options).is_ok());
}

#[test]
fn an_embedding_that_is_nan_is_refused_when_it_is_met() {
    let mut files = Files::bert(TOKEN);
    let row = common::VOCABULARY.iter().position(|token| *token == "lives").unwrap();
    files.tensors.get_mut("bert.embeddings.word_embeddings.weight").unwrap().1[row * 8] = f32::NAN;
    let pipeline = load(&files).unwrap();
    let options = TokenClassificationOptions::default();
    assert!(pipeline.run(["Ada"], &options).is_ok());
    let error = pipeline.run(["Ada lives"], &options).unwrap_err();
    assert_says(&error, "model_format", &["word_embeddings", "row 6"]);
}

#[test]
fn texts_stay_inside_the_position_table() {
    let long = "ada ".repeat(100);
    let mut files = Files::bert("ForSequenceClassification");
    files.tokenizer_config["model_max_length"] = json!(1e30);
    let folder = files.write();
    let pipeline = TextClassificationPipeline::load(folder.path(), &LoadOptions::default()).unwrap();
    assert_eq!(pipeline.max_tokens(), 32);
    let error = pipeline.run(["a", &long], &TextClassificationOptions::default()).unwrap_err();
    assert_says(&error, "input", &["input 1", "102 tokens", "limit is 32", "truncation is off"]);
    let options = TextClassificationOptions { truncation: candlewick::Truncation::LongestFirst, ..Default::default() };
    let answer = pipeline.run([long.as_str()], &options).unwrap().remove(0);
    let cut = answer.cut.unwrap();
    assert_eq!((cut.total, cut.kept, answer.output.len()), (102, 32, 3));
}
