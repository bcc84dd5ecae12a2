//! What a call costs beside its forward pass, on the demo model: `cargo bench --bench phases`.
//!
//! First a text of 9 words, taken apart; then the post-processing of 464 tokens by each strategy. Medians, in
//! microseconds, on one thread.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Instant;

use candlewick::config::{Config, Task};
use candlewick::kernels::Pool;
use candlewick::layers::Context;
use candlewick::models::{Dtypes, Model, tokenizer_class};
use candlewick::postprocess::token_classification::entities;
use candlewick::tokenizer::{Fit, Overlong, Tokenizer};
use candlewick::types::{Batch, Encoding, Logits};
use candlewick::weights::Weights;
use candlewick::{
    LoadOptions, TokenClassificationOptions, TokenClassificationPipeline, Truncation,
    types::{AggregationStrategy, Dtype},
};

const NINE_WORDS: &str = "Angela Merkel met Tim Cook of Apple in Berlin";
const LONG: &str = "The Norwegian company Equinor said on Monday that Anne Larsen will lead its office in São Paulo. ";
const TOKENS: usize = 464;

fn main() {
    let smoke = std::env::args().any(|argument| argument == "--test");
    let rounds = if smoke { 1 } else { 2_000 };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/candlewick/demo/ner");
    let config = Config::load(&folder).unwrap();
    let tokenizer = Tokenizer::load(&folder, &config, tokenizer_class(&config).unwrap()).unwrap();
    let model =
        Model::load(&config, Task::TokenClassification, &Weights::open(&folder).unwrap(), &Dtypes::all(Dtype::Float32))
            .unwrap();
    let fit = Fit { max_length: TOKENS, overlong: Overlong::Cut(Truncation::LongestFirst), side: None };

    let pool = Pool::new(NonZeroUsize::new(1));
    let encode = || tokenizer.encode(0, &NINE_WORDS.into(), fit, None).unwrap();
    let forward = || {
        let encoded = encode();
        let batch = Batch::new(&[&encoded.windows[0]], model.limits().segments);
        let context = Context::new(&batch.bounds, &|| false);
        median(rounds, || model.forward(&batch, &context).unwrap())
    };
    let forward = pool.run(None, &mut || false, |_| forward()).unwrap();
    let options = LoadOptions { threads: NonZeroUsize::new(1), ..Default::default() };
    let pipeline = TokenClassificationPipeline::load(&folder, &options).unwrap();
    let options = TokenClassificationOptions::default();
    let call = median(rounds, || pipeline.run([NINE_WORDS], &options).unwrap());
    let tokenization = median(rounds, encode);
    println!("9 words: call {call:.0}, tokenization {tokenization:.0}, forward pass {forward:.0}");
    println!("9 words: everything else {:.0}", call - tokenization - forward);

    let encoded = tokenizer.encode(0, &LONG.repeat(40).as_str().into(), fit, None).unwrap();
    let labels = config.labels.len();
    // The model reads 256 tokens at most, so each half is read for itself.
    let (first, second) = encoded.windows[0].ids.split_at(TOKENS / 2);
    let [first, second] = [first, second].map(|ids| {
        let (ids, type_ids) = (ids.to_vec(), vec![0; ids.len()]);
        Encoding { ids, type_ids, ..Encoding::default() }
    });
    let batch = Batch::new(&[&first, &second], model.limits().segments);
    let context = Context::new(&batch.bounds, &|| false);
    let values = model.forward(&batch, &context).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    let logits = Logits { values, columns: labels };
    for strategy in AggregationStrategy::NAMES {
        let aggregation_strategy = strategy.parse().unwrap();
        let options = TokenClassificationOptions { aggregation_strategy, ..Default::default() };
        let logits = std::slice::from_ref(&logits);
        let found = entities(&encoded, logits, &config.labels, &tokenizer, &options).len();
        let time = median(rounds, || entities(&encoded, logits, &config.labels, &tokenizer, &options));
        println!("{TOKENS} tokens, {strategy}: {time:.0} ({found} entities)");
    }
}

/// In microseconds.
fn median<R>(rounds: usize, mut work: impl FnMut() -> R) -> f64 {
    let timed = |_| {
        let start = Instant::now();
        std::hint::black_box(work());
        start.elapsed()
    };
    let mut times: Vec<_> = (0..rounds).map(timed).collect();
    times.sort_unstable();
    times[rounds / 2].as_secs_f64() * 1e6
}
