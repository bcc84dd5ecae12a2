//! Any text as `tokenizer.json`, or as `vocab.txt`: loaded or refused; what is loaded encodes or says why not.
#![no_main]

use std::path::Path;

use candlewick::Input;
use candlewick::config::Config;
use candlewick::tokenizer::{Fit, Overlong, Tokenizer};
use candlewick::types::{Truncation, Vocabulary};
use libfuzzer_sys::fuzz_target;

// Without the hook that ends the process at a panic, those that are caught are none of the fuzzer's business.
fuzz_target!(init: drop(std::panic::take_hook()), |text: &str| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = if text.starts_with('{') { "tokenizer.json" } else { "vocab.txt" };
    std::fs::write(folder.path().join(file), text).expect("room for a small file");
    let config = Config::parse(Path::new("config.json"), r#"{"model_type":"bert"}"#).expect("a fine configuration");
    let Ok(tokenizer) = Tokenizer::load(folder.path(), &config, "BertTokenizer") else { return };
    // The crate may panic on tokenizers that make no sense; the pipeline's workers turn that into an error.
    let _ = std::panic::catch_unwind(|| {
        let fit = Fit { max_length: 8, overlong: Overlong::Cut(Truncation::LongestFirst), side: None };
        for input in [Input::from("Ada lives in Zürich 😀."), Input::from(("a", "b c d e f g h i j"))] {
            if let Ok(encoded) = tokenizer.encode(0, &input, fit, None) {
                let tokens: Vec<_> = encoded.windows[0].ids.iter().map(|&id| tokenizer.token(id)).collect();
                let _ = tokenizer.decode(&tokens);
            }
        }
    });
});
