//! Taggers against flair: words, emissions and entities of every text (tests/golden/flair_.py).
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use candlewick::tokenizer::segtok;
use candlewick::{Dtype, Input, LoadOptions, TokenClassificationOptions, TokenClassificationPipeline};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Of emissions, relative to the largest of their row, and of scores.
const TOLERANCE: f64 = 1e-5;

/// How far probabilities of emissions may be from flair's in narrow numbers, at most and at least: a bound that is far
/// too wide says nothing. With states of 20 units an error is a larger share of them than with 2,048.
const MOVED: [(Dtype, f64); 2] = [(Dtype::Bfloat16, 0.008), (Dtype::Int8, 0.03)];

#[derive(Deserialize)]
struct Case {
    sentences: Vec<Sentence>,
}

#[derive(Deserialize)]
struct Sentence {
    text: Text,
    tokens: Vec<(String, u32)>,
    emissions: Vec<Vec<f64>>,
    entities: Vec<Found>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    One(String),
    Words(Vec<String>),
}

#[derive(Deserialize)]
struct Found {
    entity_group: String,
    score: f64,
    word: String,
    start: u32,
    end: u32,
}

impl Sentence {
    fn input(&self) -> Input {
        match &self.text {
            Text::One(text) => text.as_str().into(),
            Text::Words(words) => Input::words(words.clone(), " "),
        }
    }
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/flair")
}

fn read<T: DeserializeOwned>(file: &Path) -> T {
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// Every tagger with its case.
fn taggers(dtype: Dtype) -> Vec<(String, TokenClassificationPipeline, Case)> {
    let mut names: Vec<_> = std::fs::read_dir(golden()).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.is_dir());
    names.sort();
    assert_eq!(names.len(), 5);
    let load = |path: PathBuf| {
        let options = LoadOptions { dtype: dtype.into(), ..Default::default() };
        let pipeline = TokenClassificationPipeline::load(path.join("model"), &options).unwrap();
        (path.file_name().unwrap().to_string_lossy().into_owned(), pipeline, read(&path.join("case.json")))
    };
    names.into_iter().map(load).collect()
}

#[test]
fn words_are_those_of_segtok() {
    let cases: Vec<(String, Vec<String>, Vec<u32>)> = read(&golden().join("segtok.json"));
    assert!(cases.len() > 1_500);
    for (text, words, starts) in cases {
        let found = segtok::split(&text);
        let (got, places): (Vec<_>, Vec<_>) = found.into_iter().map(|word| (word.text, word.offset.start)).unzip();
        assert_eq!((got, places), (words, starts), "{text:?}");
    }
}

#[test]
fn emissions_are_those_of_flair() {
    let mut most = 0.0_f64;
    for (name, pipeline, case) in taggers(Dtype::Float32) {
        let mut worst = 0.0_f64;
        for sentence in &case.sentences {
            let found = pipeline.logits([sentence.input()], &TokenClassificationOptions::default()).unwrap();
            let (_, answer) = found.map(Result::unwrap).next().unwrap();
            let raw = answer.output;
            let starts = raw.encoding.offsets.iter().map(|offset| offset.start);
            let tokens: Vec<_> = raw.tokens.iter().cloned().zip(starts).collect();
            assert_eq!(tokens, sentence.tokens, "{name}");
            assert_eq!(raw.logits.rows().len(), sentence.emissions.len(), "{name}");
            for (row, expected) in raw.logits.rows().zip(&sentence.emissions) {
                let largest = expected.iter().fold(1.0_f64, |largest, value| largest.max(value.abs()));
                for (got, expected) in row.iter().zip(expected) {
                    worst = worst.max((f64::from(*got) - expected).abs() / largest);
                }
            }
        }
        assert!(worst < TOLERANCE, "{name}: {worst}");
        most = most.max(worst);
    }
    record(Dtype::Float32, most);
}

/// For `scripts/models_page.py`.
fn record(dtype: Dtype, most: f64) {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("golden-{dtype}-flair.json"));
    std::fs::write(file, serde_json::to_string(&most).unwrap()).unwrap();
}

/// Each tag against all others of its row.
fn probabilities(row: impl Iterator<Item = f64>) -> Vec<f64> {
    let exp: Vec<f64> = row.map(f64::exp).collect();
    let sum: f64 = exp.iter().sum();
    exp.into_iter().map(|exp| exp / sum).collect()
}

#[test]
fn narrow_numbers_are_near_flair_alone_and_together() {
    for (dtype, bound) in MOVED {
        let mut most = 0.0_f64;
        for (name, pipeline, case) in taggers(dtype) {
            let emissions = |inputs: Vec<Input>| {
                let found = pipeline.logits(inputs, &TokenClassificationOptions::default()).unwrap();
                let mut rows: Vec<_> =
                    found.map(Result::unwrap).map(|(at, answer)| (at, answer.output.logits)).collect();
                rows.sort_by_key(|(at, _)| *at);
                rows.into_iter().map(|(_, logits)| logits).collect::<Vec<_>>()
            };
            let together = emissions(case.sentences.iter().map(Sentence::input).collect());
            let mut worst = 0.0_f64;
            for (sentence, logits) in case.sentences.iter().zip(together) {
                assert_eq!(emissions(vec![sentence.input()]), std::slice::from_ref(&logits), "{name}, {dtype}");
                for (row, expected) in logits.rows().zip(&sentence.emissions) {
                    let ours = probabilities(row.iter().copied().map(f64::from));
                    let theirs = probabilities(expected.iter().copied());
                    worst = ours.iter().zip(theirs).fold(worst, |worst, (a, b)| worst.max((a - b).abs()));
                }
            }
            assert!(worst > TOLERANCE, "{name}: {worst:e} is float32");
            most = most.max(worst);
        }
        assert!(bound / 10.0 < most && most <= bound, "{dtype}: moved by {most}, bound {bound}");
        record(dtype, most);
    }
}

#[test]
fn entities_are_those_of_flair_alone_and_together() {
    for (name, pipeline, case) in taggers(Dtype::Float32) {
        let options = TokenClassificationOptions::default();
        let together = pipeline.run(case.sentences.iter().map(Sentence::input), &options).unwrap();
        let mut worst = 0.0_f64;
        for (sentence, answer) in case.sentences.iter().zip(together) {
            let alone = pipeline.run([sentence.input()], &options).unwrap().swap_remove(0);
            assert_eq!(alone, answer, "{name}: other bits in a batch");
            let shape = |label: &str, word: &str, start, end| (label.to_owned(), word.to_owned(), start, end);
            let got: Vec<_> = answer
                .output
                .iter()
                .map(|entity| shape(&entity.label, &entity.word, entity.offset.start, entity.offset.end))
                .collect();
            let expected: Vec<_> = sentence
                .entities
                .iter()
                .map(|entity| shape(&entity.entity_group, &entity.word, entity.start, entity.end))
                .collect();
            assert_eq!(got, expected, "{name}");
            for (entity, expected) in answer.output.iter().zip(&sentence.entities) {
                worst = worst.max((f64::from(entity.score) - expected.score).abs());
            }
        }
        assert!(worst < TOLERANCE, "{name}: {worst}");
    }
}
