//! Any bytes as a sentencepiece file, read by each class that has one: loaded or refused; what is loaded encodes.
#![no_main]

use std::path::Path;

use candlewick::Input;
use candlewick::config::Config;
use candlewick::tokenizer::{Fit, Overlong, Tokenizer};
use candlewick::types::Truncation;
use libfuzzer_sys::fuzz_target;

const CLASSES: [(&str, &str); 4] = [
    ("DebertaV2Tokenizer", "spm.model"),
    ("AlbertTokenizer", "spiece.model"),
    ("XLMRobertaTokenizer", "sentencepiece.bpe.model"),
    ("CamembertTokenizer", "sentencepiece.bpe.model"),
];

fuzz_target!(|bytes: &[u8]| {
    let config = Config::parse(Path::new("config.json"), r#"{"model_type":"bert"}"#).expect("a fine configuration");
    for (class, file) in CLASSES {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join(file), bytes).expect("room for a small file");
        let Ok(tokenizer) = Tokenizer::load(folder.path(), &config, class) else { continue };
        let fit = Fit { max_length: 8, overlong: Overlong::Cut(Truncation::LongestFirst), side: None };
        for input in
            [Input::from("Ada\u{a0}lives in Zu\u{308}rich \u{fb01} 😀."), Input::from(("a", "b c d e f g h i j"))]
        {
            let encoded = tokenizer.encode(0, &input, fit, None).expect("a file that was taken reads any text");
            assert!(encoded.windows[0].len() <= 8);
        }
    }
});
