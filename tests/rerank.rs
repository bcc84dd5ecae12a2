//! One query and many documents: read once, computed in batches, the same answers as one by one.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use candlewick::batch;
use candlewick::{
    Error, Input, LoadOptions, TextClassificationOptions, TextClassificationPipeline, Truncation, TruncationSide,
};

const QUERY: &str = "Where does Sarah Jessica Parker live, and who is Zoë?";

fn load() -> TextClassificationPipeline {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/models/bert-rerank");
    TextClassificationPipeline::load(folder, &LoadOptions::default()).unwrap()
}

fn documents(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|at| format!("Sarah lives in New York. {}", "in London, ".repeat(at * 7 % 11)))
}

fn pairs(count: usize) -> Vec<Input> {
    documents(count).map(|document| (QUERY, document).into()).collect()
}

fn cut() -> TextClassificationOptions {
    TextClassificationOptions { truncation: Truncation::LongestFirst, ..Default::default() }
}

#[test]
fn the_query_is_tokenized_once() {
    let pipeline = load();
    pipeline.run(pairs(40), &cut()).unwrap();
    assert_eq!(pipeline.tokenized_texts(), 1 + 40);
    pipeline.run(pairs(1), &cut()).unwrap();
    assert_eq!(pipeline.tokenized_texts(), 41 + 2);
}

#[test]
fn the_query_is_tokenized_once_for_more_text_than_is_encoded_at_a_time() {
    let pipeline = load();
    // The first group ends after its first pair.
    let long = Input::from((QUERY, "x".repeat(5 << 20)));
    let inputs: Vec<Input> = std::iter::once(long).chain(pairs(5)).collect();
    let answers = pipeline.run(inputs, &cut()).unwrap();
    assert_eq!(pipeline.tokenized_texts(), 1 + 6);
    assert_eq!(answers[1..], pipeline.run(pairs(5), &cut()).unwrap());
}

#[test]
fn several_queries_in_one_list_are_tokenized_once_each_in_a_row() {
    let pipeline = load();
    let texts = |query: &'static str| documents(10).map(move |document| Input::from((query, document)));
    pipeline.run(texts("one").chain(texts("two")).collect::<Vec<_>>(), &cut()).unwrap();
    assert_eq!(pipeline.tokenized_texts(), 2 + 20);
    let mixed = texts("one").zip(texts("two")).flat_map(|(one, two)| [one, "a text".into(), two]);
    pipeline.run(mixed.collect::<Vec<_>>(), &cut()).unwrap();
    assert_eq!(pipeline.tokenized_texts(), 22 + 50);
}

#[test]
fn answers_are_those_of_each_pair_alone() {
    let pipeline = load();
    let max_length = 30.try_into().ok();
    for options in [
        cut(),
        TextClassificationOptions { max_length, ..cut() },
        TextClassificationOptions { max_length, truncation_side: Some(TruncationSide::Left), ..cut() },
        TextClassificationOptions { max_length, truncation: Truncation::OnlySecond, ..cut() },
    ] {
        let together = pipeline.run(pairs(60), &options).unwrap();
        for (pair, answer) in pairs(60).into_iter().zip(together) {
            assert_eq!(pipeline.run([pair], &options).unwrap()[0], answer, "{options:?}");
        }
    }
}

#[test]
fn a_query_that_is_too_long_is_refused_at_the_first_document() {
    let pipeline = load();
    let query = "Sarah ".repeat(100);
    let inputs: Vec<Input> = documents(5).map(|document| (query.as_str(), document).into()).collect();
    let error = pipeline.run(inputs, &TextClassificationOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Input { index: 0, .. }), "{error}");
}

#[test]
fn who_hangs_up_is_computed_for_no_longer_than_a_batch() {
    let pipeline = load();
    let mut stream = pipeline.stream(pairs(2_000), &cut()).unwrap();
    stream.next_watched(&mut || false).unwrap().unwrap();
    let first = pipeline.computed_tokens();
    assert!(first <= batch::TOKENS);
    let stopped = std::iter::from_fn(|| stream.next_watched(&mut || true)).find_map(Result::err);
    assert_eq!(stopped, Some(Error::Interrupted));
    assert_eq!(pipeline.computed_tokens(), first);
}
