//! Sentencepiece files that were damaged a thousand times: each is refused by name, or reads any text.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use candlewick::config::Config;
use candlewick::tokenizer::{Fit, Overlong, Tokenizer};
use candlewick::types::Truncation;
use candlewick::{Error, Input};

const ROUNDS: u32 = 1_500;
const TEXTS: [&str; 3] = ["Ada lives in Zürich.", "  \u{a0}ﬁne ½ e\u{301} Ａ\u{200b}\u{ad}", ""];

fn load(bytes: &[u8]) -> Result<Tokenizer, Error> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("spm.model"), bytes).unwrap();
    let config = Config::parse(Path::new("config.json"), r#"{"model_type":"deberta-v2"}"#).unwrap();
    Tokenizer::load(folder.path(), &config, "DebertaV2Tokenizer")
}

/// xorshift, so that every run damages the same bytes.
struct Random(u32);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 as usize % end
    }
}

fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len());
        match random.below(5) {
            0 => bytes.truncate(at.max(1)),
            1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at] = [0, 0x7f, 0x80, 0xff][random.below(4)],
            3 => drop(bytes.drain(at..(at + 1 + random.below(9)).min(bytes.len() - 1).max(at))),
            _ => bytes.insert(at, random.below(256) as u8),
        }
    }
}

#[test]
fn a_damaged_file_is_refused_or_reads_any_text() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/models/deberta-moderation-spm");
    let whole = std::fs::read(folder.join("spm.model")).unwrap();
    assert!(load(&whole).is_ok());
    let fit = Fit { max_length: 16, overlong: Overlong::Cut(Truncation::LongestFirst), side: None };
    let (mut refused, mut random) = (0, Random(7));
    for _ in 0..ROUNDS {
        let mut bytes = whole.clone();
        damage(&mut bytes, &mut random);
        match load(&bytes) {
            Ok(tokenizer) => {
                for text in TEXTS {
                    let encoded = tokenizer.encode(0, &Input::from(text), fit, None).unwrap();
                    assert!(encoded.windows[0].len() <= 16);
                }
            }
            Err(error) => {
                let says = error.to_string();
                assert!(says.contains("spm.model"), "{says}");
                refused += 1;
            }
        }
    }
    assert!((ROUNDS / 4..ROUNDS).contains(&refused), "{refused} of {ROUNDS} were refused");
}

#[test]
fn a_folder_without_tokenizer_is_told_what_was_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::parse(Path::new("config.json"), r#"{"model_type":"albert"}"#).unwrap();
    let error = Tokenizer::load(folder.path(), &config, "AlbertTokenizer").unwrap_err();
    assert_eq!(error.kind(), "model_not_found");
    assert!(error.to_string().contains("tokenizer.json, spiece.model, vocab.txt"), "{error}");
}
