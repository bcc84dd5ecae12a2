//! Any bytes as the body of a request: read or refused, for both tasks.
#![no_main]

use candlewick::pipeline::{TextClassification, TokenClassification};
use candlewick::server::{Request, Settings};
use candlewick::{AggregationStrategy, TextClassificationOptions, TokenClassificationOptions, TopK};
use libfuzzer_sys::fuzz_target;

const SETTINGS: Settings = Settings {
    max_tokens: 32,
    special_tokens: 2,
    default_top_k: TopK::All,
    strict_parameters: false,
    default_aggregation_strategy: AggregationStrategy::Simple,
};

fuzz_target!(|body: &[u8]| {
    if let Ok(request) = Request::<TokenClassificationOptions>::parse::<TokenClassification>(body, &SETTINGS) {
        assert!(!request.inputs.is_empty());
        assert!(request.options.stride.is_none_or(|stride| stride < 30));
    }
    if let Ok(request) = Request::<TextClassificationOptions>::parse::<TextClassification>(body, &SETTINGS) {
        assert!(!request.inputs.is_empty());
    }
});
