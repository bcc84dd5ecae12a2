//! A text's answer does not depend on the texts beside it, on the batch size or on the number of threads.
#![allow(clippy::unwrap_used)]

mod common;

use std::num::NonZeroUsize;

use candlewick::{LoadOptions, RunOptions, TokenClassificationOptions, TokenClassificationPipeline};
use common::Files;
use proptest::prelude::*;

fn logits(pipeline: &TokenClassificationPipeline, texts: &[String], run: RunOptions) -> Vec<Vec<f32>> {
    let options = TokenClassificationOptions { run, ..Default::default() };
    let mut answers: Vec<_> = pipeline.logits(texts.to_vec(), &options).unwrap().collect::<Result<_, _>>().unwrap();
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer.output.logits.values).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn alone_and_in_any_batch(
        texts in prop::collection::vec("(ada |london |lives |in |a |b |[.,] ?|x){0,40}", 1..12),
        batch_size in 1_usize..8,
        threads in 1_usize..4,
    ) {
        let folder = Files::bert("ForTokenClassification").write();
        let pipeline = TokenClassificationPipeline::load(folder.path(), &LoadOptions::default()).unwrap();
        let run = RunOptions { batch_size: NonZeroUsize::new(batch_size), threads: NonZeroUsize::new(threads) };
        let together = logits(&pipeline, &texts, run);
        for (text, together) in texts.iter().zip(&together) {
            let alone = &logits(&pipeline, std::slice::from_ref(text), RunOptions::default())[0];
            prop_assert_eq!(alone, together, "not the same bits");
        }
    }
}

#[test]
fn texts_of_any_size_are_answered() {
    let folder = Files::bert("ForTokenClassification").write();
    let pipeline = TokenClassificationPipeline::load(folder.path(), &LoadOptions::default()).unwrap();
    let options = TokenClassificationOptions::default();
    let texts = [" ".repeat(2_000_000), "a".repeat(10 << 20), "ada, ".repeat(400_000), "\0".into(), "\u{16ea0}".into()];
    let answers = pipeline.run(texts, &options).unwrap();
    assert_eq!(answers.len(), 5);
    assert!(answers[2].cut.is_some() && answers[0].output.is_empty());
}
