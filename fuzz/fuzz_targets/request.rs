//! Any bytes as the body of a request, for both tasks and each setting that matters: read, the same way each time, or
//! refused with a reason.
#![no_main]

use candlewick::pipeline::{TextClassification, TokenClassification};
use candlewick::server::{Parameters, Request, Settings};
use candlewick::types::ListOutput;
use candlewick::{AggregationStrategy, TextClassificationOptions, TokenClassificationOptions, TopK};
use libfuzzer_sys::fuzz_target;

const SETTINGS: Settings = Settings {
    max_tokens: 32,
    special_tokens: 2,
    default_top_k: TopK::All,
    strict_parameters: false,
    default_aggregation_strategy: AggregationStrategy::Simple,
    list_output: ListOutput::Hosted,
};

fn read<T: Parameters<Options = O>, O: PartialEq + std::fmt::Debug>(body: &[u8], strict: bool) -> Option<Request<O>> {
    let settings = Settings { strict_parameters: strict, ..SETTINGS };
    let first = Request::<O>::parse::<T>(body, &settings);
    assert_eq!(first, Request::<O>::parse::<T>(body, &settings));
    match first {
        Ok(request) => {
            assert!(!request.inputs.is_empty());
            assert!(!request.single || request.inputs.len() == 1);
            Some(request)
        }
        Err(refusal) => {
            assert!(matches!(refusal.kind(), "input" | "parameter"), "{refusal:?}");
            assert!(refusal.to_string().contains("expected"), "{refusal}");
            None
        }
    }
}

fuzz_target!(|body: &[u8]| {
    for strict in [false, true] {
        if let Some(request) = read::<TokenClassification, TokenClassificationOptions>(body, strict) {
            assert!(request.options.stride.is_none_or(|stride| stride < 30));
        }
        if let Some(request) = read::<TextClassification, TextClassificationOptions>(body, strict) {
            assert!(request.warnings.is_empty() || !strict);
        }
    }
});
