//! Post-processing alone against transformers: its own encodings and logits go in, so that neither our tokenization nor
//! our network can hide or cause a difference. `golden/make.py` wrote them.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use candlewick::config::{Config, Task};
use candlewick::models::tokenizer_class;
use candlewick::postprocess::{text_classification, token_classification};
use candlewick::tokenizer::Tokenizer;
use candlewick::types::{Encoded, Encoding, Logits, Offset};
use candlewick::{Entity, Input, Label, LoadOptions, TokenClassificationOptions, TokenClassificationPipeline, TopK};
use common::floats;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Of scores from the same logits: what numpy's `exp` and ours differ by.
const SAME_LOGITS: f64 = 1e-6;
/// Most tokens that `make.py` records of a text.
const RECORDED: usize = 64;
/// Of scores from our own logits.
const OWN_LOGITS: f64 = 1e-5;

#[derive(Deserialize)]
struct Case {
    model: String,
    encodings: Vec<Reference>,
    calls: Vec<Call>,
}

#[derive(Deserialize)]
struct Reference {
    text: String,
    text_pair: Option<String>,
    ids: Vec<u32>,
    type_ids: Vec<u32>,
    offsets: Vec<(u32, u32)>,
    special_tokens_mask: Vec<u8>,
    logits: Value,
}

#[derive(Deserialize)]
struct Call {
    inputs: Value,
    options: Map<String, Value>,
    result: Value,
}

impl Reference {
    fn encoded(&self) -> Encoded {
        let window = Encoding {
            ids: self.ids.clone(),
            type_ids: self.type_ids.clone(),
            offsets: self.offsets.iter().map(|&(start, end)| Offset { start, end }).collect(),
            special: self.special_tokens_mask.iter().map(|&mask| mask != 0).collect(),
            word_ids: vec![None; self.ids.len()], // only `word_boundary` asks for them
            ..Encoding::default()
        };
        Encoded { text: self.text.as_str().into(), windows: vec![window], cut: None }
    }
}

impl Call {
    /// Whether it was called with no other options than these.
    fn only(&self, names: &[&str]) -> bool {
        self.options.keys().all(|name| names.contains(&name.as_str()))
    }

    /// Each input with its answer, where a call with one input has one answer.
    fn items(&self) -> Vec<(&Value, &Value)> {
        match (&self.inputs, &self.result) {
            (Value::Array(inputs), Value::Array(results)) => {
                assert_eq!(inputs.len(), results.len());
                inputs.iter().zip(results).collect()
            }
            (one, result) => vec![(one, result)],
        }
    }

    fn at(&self, model: &str, input: &Value) -> String {
        format!("{model}: {:?} of {input}", self.options)
    }
}

/// The cases of one task, each with its model's folder.
fn cases(task: Task) -> Vec<(PathBuf, Config, Case)> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<_> = std::fs::read_dir(golden.join("cases")).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let cases = files.iter().map(|file| {
        let case: Case = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let folder = golden.join("models").join(&case.model);
        (Config::load(&folder).unwrap(), folder, case)
    });
    cases
        .filter(|(config, ..)| config.task == Some(task))
        .map(|(config, folder, case)| (folder, config, case))
        .collect()
}

fn token_options(options: &Map<String, Value>) -> TokenClassificationOptions {
    let mut parsed = TokenClassificationOptions::default();
    if let Some(strategy) = options.get("aggregation_strategy") {
        parsed.aggregation_strategy = strategy.as_str().unwrap().parse().unwrap();
    }
    if let Some(labels) = options.get("ignore_labels") {
        let labels = labels.as_array().unwrap().iter();
        parsed.ignore_labels = labels.map(|label| label.as_str().map(str::to_owned)).collect();
    }
    parsed.stride = options.get("stride").map(|stride| stride.as_u64().unwrap() as usize);
    parsed
}

#[track_caller]
fn assert_entities(got: &[Entity], expected: &Value, tolerance: f64, at: &str) {
    let expected = expected.as_array().unwrap();
    let names = |list: &[String]| list.join("\n");
    let ours: Vec<String> = got
        .iter()
        .map(|e| format!("{} {:?} {:?} {}-{}", e.label, e.index, e.word, e.offset.start, e.offset.end))
        .collect();
    let theirs: Vec<String> = expected
        .iter()
        .map(|e| {
            let label = e.get("entity").or(e.get("entity_group")).unwrap().as_str().unwrap();
            let index = e.get("index").map(|index| index.as_u64().unwrap());
            format!("{label} {index:?} {:?} {}-{}", e["word"].as_str().unwrap(), e["start"], e["end"])
        })
        .collect();
    assert_eq!(names(&ours), names(&theirs), "{at}");
    for (ours, theirs) in got.iter().zip(expected) {
        assert_score(ours.score, theirs, tolerance, at);
    }
}

#[track_caller]
fn assert_score(score: f32, expected: &Value, tolerance: f64, at: &str) {
    let difference = (f64::from(score) - expected["score"].as_f64().unwrap()).abs();
    assert!(difference <= tolerance, "{at}: {score} is not the score of {expected}");
}

#[test]
fn entities_equal_the_reference() {
    let (mut answers, mut strategies) = (0, BTreeSet::new());
    for (folder, config, case) in cases(Task::TokenClassification) {
        let tokenizer = Tokenizer::load(&folder, &config, tokenizer_class(&config).unwrap()).unwrap();
        for call in case.calls.iter().filter(|call| call.only(&["aggregation_strategy", "ignore_labels"])) {
            for (input, expected) in call.items() {
                let text = input.as_str().unwrap();
                let reference = case.encodings.iter().find(|reference| reference.text == text).unwrap();
                let logits = Logits { values: floats(&reference.logits), columns: config.labels.len() };
                let options = token_options(&call.options);
                let encoded = reference.encoded();
                let got = token_classification::entities(&encoded, &[logits], &config.labels, &tokenizer, &options);
                assert_entities(&got, expected, SAME_LOGITS, &call.at(&case.model, input));
                answers += got.len();
                strategies.insert(options.aggregation_strategy.to_string());
            }
        }
    }
    assert_eq!(strategies.len(), 5);
    assert!(answers > 10_000, "{answers} entities were compared");
}

/// Windows and words depend on the network's view of each window, so these calls go the whole way.
#[test]
fn windows_and_words_equal_the_reference() {
    let (mut windows, mut words) = (0, 0);
    for (folder, _, case) in cases(Task::TokenClassification) {
        let pipeline = TokenClassificationPipeline::load(&folder, &LoadOptions::default()).unwrap();
        for call in &case.calls {
            let split = call.options.contains_key("is_split_into_words");
            let items = match (split, &call.inputs[0]) {
                (false, _) if !call.options.contains_key("stride") => continue,
                // One list of words is answered by a list of one answer.
                (true, Value::String(_)) => vec![(&call.inputs, &call.result[0])],
                _ => call.items(),
            };
            let delimiter = call.options.get("delimiter").map_or(" ", |delimiter| delimiter.as_str().unwrap());
            for (input, expected) in items {
                let given = match input {
                    Value::String(text) => Input::from(text.as_str()),
                    list => {
                        let list = list.as_array().unwrap().iter();
                        Input::words(list.map(|word| word.as_str().unwrap()), delimiter)
                    }
                };
                let answers = pipeline.run([given], &token_options(&call.options)).unwrap();
                assert_entities(&answers[0].output, expected, OWN_LOGITS, &call.at(&case.model, input));
                *(if split { &mut words } else { &mut windows }) += answers[0].output.len();
            }
        }
    }
    assert!(windows > 1_000 && words > 1_000, "{windows} and {words} entities were compared");
}

/// The text and the second text of an input of a text classification, if it has any.
fn texts(input: &Value) -> Option<(&str, &str)> {
    match input {
        Value::String(text) => Some((text, "")),
        Value::Object(pair) => Some((pair["text"].as_str()?, pair["text_pair"].as_str().unwrap_or(""))),
        _ => None, // the legacy form of pairs: a shape of Python's
    }
}

#[test]
fn labels_equal_the_reference() {
    let (mut answers, mut functions) = (0, BTreeSet::new());
    for (folder, config, case) in cases(Task::TextClassification) {
        let tokenizer = Tokenizer::load(&folder, &config, tokenizer_class(&config).unwrap()).unwrap();
        // Recorded encodings are cut at the limit, these calls are not: at the limit they need not be the same.
        let limit = tokenizer.max_length().map_or(RECORDED, |limit| limit.min(RECORDED));
        for call in case.calls.iter().filter(|call| call.only(&["top_k", "function_to_apply"])) {
            let function = call.options.get("function_to_apply").map_or("default", |name| name.as_str().unwrap());
            let top_k = match call.options.get("top_k") {
                None => TopK::Count(1),
                Some(Value::Null) => TopK::All,
                Some(count) => TopK::Count(count.as_i64().unwrap()),
            };
            for (input, expected) in call.items() {
                let Some((text, pair)) = texts(input) else { continue };
                let same = |reference: &&Reference| {
                    let recorded_pair = reference.text_pair.as_deref().unwrap_or("");
                    (reference.text.as_str(), recorded_pair) == (text, pair) && reference.ids.len() < limit
                };
                let Some(reference) = case.encodings.iter().find(same) else { continue };
                let logits = floats(&reference.logits);
                let got = text_classification::labels_of(
                    &logits,
                    &config.labels,
                    function.parse().unwrap(),
                    config.problem_type,
                    top_k,
                );
                assert_labels(&got, expected, &call.at(&case.model, input));
                answers += got.len();
                functions.insert(function.to_lowercase());
            }
        }
    }
    assert_eq!(functions.len(), 4);
    assert!(answers > 500, "{answers} labels were compared");
}

#[track_caller]
fn assert_labels(got: &[Label], expected: &Value, at: &str) {
    let expected = expected.as_array().map_or(std::slice::from_ref(expected), Vec::as_slice);
    let ours: Vec<&str> = got.iter().map(|label| label.label.as_ref()).collect();
    let theirs: Vec<&str> = expected.iter().map(|label| label["label"].as_str().unwrap()).collect();
    assert_eq!(ours, theirs, "{at}");
    for (ours, theirs) in got.iter().zip(expected) {
        assert_score(ours.score, theirs, SAME_LOGITS, at);
    }
}
