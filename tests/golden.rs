//! Encodings and logits against transformers: `golden/make.py` wrote the checkpoints and what the reference makes of
//! them.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candlewick::config::{Config, Task as TaskName};
use candlewick::pipeline::{Pipeline, Task, TextClassification, TokenClassification, TokenLogits};
use candlewick::types::Logits;
use candlewick::{Dtype, Input, LoadOptions, TextClassificationOptions, TokenClassificationOptions, Truncation};
use common::floats;
use serde::Deserialize;

/// Tiny networks magnify the noise of f32 in the reference as well as in ours.
const TOLERANCE: f32 = 1e-5;

#[derive(Deserialize)]
struct Case {
    model: String,
    encodings: Vec<Reference>,
}

#[derive(Deserialize)]
struct Reference {
    text: String,
    text_pair: Option<String>,
    ids: Vec<u32>,
    type_ids: Vec<u32>,
    offsets: Vec<(u32, u32)>,
    special_tokens_mask: Vec<u8>,
    tokens: Vec<String>,
    logits: serde_json::Value,
}

impl Reference {
    fn input(&self) -> Input {
        match &self.text_pair {
            Some(pair) => (self.text.as_str(), pair.as_str()).into(),
            None => self.text.as_str().into(),
        }
    }

    fn logits(&self) -> Vec<f32> {
        floats(&self.logits)
    }

    /// How far the logits are apart, everything else being equal.
    #[track_caller]
    fn assert_equal(&self, model: &str, got: &TokenLogits) -> f32 {
        let at = format!("{model}: {:?}", self.text);
        let encoding = &got.encoding;
        assert_eq!(encoding.ids, self.ids, "{at}: ids of {:?}", got.tokens);
        assert_eq!(encoding.type_ids, self.type_ids, "{at}: segments");
        let offsets: Vec<_> = encoding.offsets.iter().map(|offset| (offset.start, offset.end)).collect();
        assert_eq!(offsets, self.offsets, "{at}: offsets of {:?}", got.tokens);
        let special: Vec<u8> = encoding.special.iter().map(|&special| special.into()).collect();
        assert_eq!(special, self.special_tokens_mask, "{at}: special tokens");
        assert_eq!(got.tokens, self.tokens, "{at}: tokens");
        assert_close(&got.logits.values, &self.logits(), TOLERANCE, &at)
    }
}

#[track_caller]
fn assert_close(ours: &[f32], theirs: &[f32], tolerance: f32, at: &str) -> f32 {
    assert_eq!(ours.len(), theirs.len(), "{at}: number of logits");
    let worst = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= tolerance, "{at}: logits differ by {worst:e}");
    worst
}

/// Leaves the worst difference of each family for `scripts/models_page.py`.
fn record(dtype: Dtype, task: TaskName, differences: &[(String, f32)]) {
    let mut worst: BTreeMap<&str, f32> = BTreeMap::new();
    for (family, difference) in differences {
        let so_far = worst.entry(family).or_default();
        *so_far = so_far.max(*difference);
    }
    leave(&format!("{dtype}-{}", task.name()), &worst);
}

fn leave(name: &str, content: &impl serde::Serialize) {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("golden-{name}.json"));
    std::fs::write(file, serde_json::to_string(content).unwrap()).unwrap();
}

#[test]
fn every_family_has_a_golden() {
    let families: Vec<_> = candlewick::models::families().collect();
    leave("families", &families);
    let tasks = [TaskName::TokenClassification, TaskName::TextClassification];
    let folders = tasks.into_iter().flat_map(cases).map(|(folder, _)| folder);
    let tested: Vec<_> = folders.map(|folder| Config::load(&folder).unwrap().model_type).collect();
    // Taggers have goldens of another form: flair_golden.rs.
    for family in families.into_iter().filter(|family| *family != "flair") {
        assert!(tested.iter().any(|tested| tested == family), "{family}");
    }
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The case files of one task, each with its model's folder.
fn cases(task: TaskName) -> Vec<(PathBuf, Case)> {
    let files = std::fs::read_dir(golden().join("cases")).unwrap();
    let mut cases: Vec<(PathBuf, Case)> = files
        .map(|file| serde_json::from_str(&std::fs::read_to_string(file.unwrap().path()).unwrap()).unwrap())
        .map(|case: Case| (golden().join("models").join(&case.model), case))
        .filter(|(folder, _)| Config::load(folder).unwrap().task == Some(task))
        .collect();
    cases.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert!(cases.len() >= 6, "a case for each family");
    cases
}

fn logits<T: Task>(pipeline: &Pipeline<T>, inputs: Vec<Input>, options: &T::Options) -> Vec<TokenLogits> {
    let mut answers: Vec<_> = pipeline.logits(inputs, options).unwrap().collect::<Result<_, _>>().unwrap();
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer.output).collect()
}

/// Every text alone, then all of them in batches.
fn check<T: Task>(options: &T::Options) {
    let mut worst = Vec::new();
    for (folder, case) in cases(T::NAME) {
        let pipeline = Pipeline::<T>::load(&folder, &LoadOptions::default()).unwrap();
        let inputs: Vec<Input> = case.encodings.iter().map(Reference::input).collect();
        let batch = logits(&pipeline, inputs.clone(), options);
        for ((reference, input), in_batch) in case.encodings.iter().zip(inputs).zip(batch) {
            let alone = logits(&pipeline, vec![input], options).remove(0);
            worst.push((pipeline.model_type().to_owned(), reference.assert_equal(&case.model, &alone)));
            let at = format!("{}: {:?} in a batch", case.model, reference.text);
            assert_eq!(in_batch.encoding, alone.encoding, "{at}");
            assert_eq!(in_batch.logits, alone.logits, "{at}: not the same bits");
        }
    }
    record(Dtype::Float32, T::NAME, &worst);
}

#[test]
fn token_classification_equals_the_reference() {
    check::<TokenClassification>(&TokenClassificationOptions::default());
}

#[test]
fn text_classification_equals_the_reference() {
    let truncation = Truncation::LongestFirst;
    check::<TextClassification>(&TextClassificationOptions { truncation, ..Default::default() });
}

/// How far bfloat16 and int8 may move a probability of these networks, family by family.
const MOVED: &[(&str, f32, f32)] = &[
    ("albert", 0.01, 0.02),
    ("bart", 0.03, 0.1),
    ("bert", 0.02, 0.07),
    ("camembert", 0.015, 0.07),
    ("deberta-v2", 0.03, 0.07),
    ("distilbert", 0.01, 0.06),
    ("electra", 0.02, 0.055),
    ("modernbert", 0.035, 0.11),
    ("mpnet", 0.015, 0.06),
    ("roberta", 0.015, 0.075),
    ("xlm-roberta", 0.015, 0.055),
    ("xlm-roberta-xl", 0.01, 0.04),
];

/// Each label against all others of its row.
fn probabilities(logits: &Logits) -> Vec<f32> {
    let odds = |row: &[f32]| {
        let exp: Vec<f64> = row.iter().map(|&logit| f64::from(logit).exp()).collect();
        let sum: f64 = exp.iter().sum::<f64>() + if row.len() == 1 { 1.0 } else { 0.0 };
        exp.into_iter().map(move |exp| (exp / sum) as f32).collect::<Vec<_>>()
    };
    logits.rows().flat_map(odds).collect()
}

/// Near the reference, not equal to float32, and the same bits alone and in a batch: how far each family moved.
fn check_narrow<T: Task>(dtype: Dtype, options: &T::Options) -> Vec<(String, f32)> {
    let mut worst: Vec<(String, f32)> = Vec::new();
    for (folder, case) in cases(T::NAME) {
        let pipeline =
            Pipeline::<T>::load(&folder, &LoadOptions { dtype: dtype.into(), ..Default::default() }).unwrap();
        let inputs: Vec<Input> = case.encodings.iter().map(Reference::input).collect();
        let batch = logits(&pipeline, inputs.clone(), options);
        let mut moved = 0.0_f32;
        for ((reference, input), in_batch) in case.encodings.iter().zip(inputs).zip(batch) {
            let at = format!("{}: {:?}", case.model, reference.text);
            assert_eq!(in_batch.logits, logits(&pipeline, vec![input], options).remove(0).logits, "{at}");
            let columns = in_batch.logits.columns;
            let expected = probabilities(&Logits { values: reference.logits(), columns });
            for (ours, theirs) in probabilities(&in_batch.logits).iter().zip(expected) {
                assert!(ours.is_finite(), "{at}: {ours}");
                moved = moved.max((ours - theirs).abs());
            }
        }
        assert!(moved > TOLERANCE, "{}: {moved:e} is float32", case.model);
        worst.push((pipeline.model_type().to_owned(), moved));
    }
    record(dtype, T::NAME, &worst);
    worst
}

/// Within the bounds of every family, and the bounds are not too wide to say anything.
fn check_bounds(dtype: Dtype, bound: impl Fn(&(&str, f32, f32)) -> f32) {
    let truncation = Truncation::LongestFirst;
    let options = TextClassificationOptions { truncation, ..Default::default() };
    let mut worst = check_narrow::<TokenClassification>(dtype, &TokenClassificationOptions::default());
    worst.extend(check_narrow::<TextClassification>(dtype, &options));
    for row in MOVED {
        let moved = worst.iter().filter(|(family, _)| family == row.0).map(|(_, moved)| *moved).fold(0.0, f32::max);
        let bound = bound(row);
        assert!(bound / 10.0 < moved && moved <= bound, "{dtype}, {}: moved by {moved}, bound {bound}", row.0);
    }
    assert!(worst.iter().all(|(family, _)| MOVED.iter().any(|row| row.0 == family)), "a family without bounds");
}

#[test]
fn bfloat16_is_near_the_reference() {
    check_bounds(Dtype::Bfloat16, |row| row.1);
}

#[test]
fn int8_is_near_the_reference() {
    check_bounds(Dtype::Int8, |row| row.2);
}
