//! Vocabularies and inputs for tests, without a tokenizer's files but with the decoders of the `tokenizers` crate.

use std::borrow::Cow;
use std::sync::Arc;

use tokenizers::Decoder;
use tokenizers::decoders::DecoderWrapper;
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::decoders::metaspace::Metaspace;
use tokenizers::decoders::wordpiece::WordPiece;

use crate::types::{Encoded, Encoding, Logits, Offset, Vocabulary};

/// A list of strings that decodes as one of the three usual tokenizers.
pub(super) struct Fake {
    pub(super) tokens: Vec<String>,
    pub(super) unk: Option<u32>,
    pub(super) marks: bool,
    pub(super) decoder: DecoderWrapper,
}

impl Vocabulary for Fake {
    fn token(&self, id: u32) -> Cow<'_, str> {
        self.tokens.get(id as usize).map_or(Cow::Borrowed(""), |token| Cow::Borrowed(token.as_str()))
    }

    fn unk_id(&self) -> Option<u32> {
        self.unk
    }

    fn marks_continuations(&self) -> bool {
        self.marks
    }

    fn decode(&self, tokens: &[Cow<'_, str>]) -> String {
        self.decoder.decode(tokens.iter().map(|token| token.clone().into_owned()).collect()).unwrap()
    }
}

/// As BERT: marks continuations, decodes with spaces.
pub(super) fn wordpiece() -> Fake {
    fake(true, WordPiece::default().into())
}

/// As XLM-R and `DeBERTa-v2`.
pub(super) fn metaspace() -> Fake {
    fake(false, Metaspace::default().into())
}

/// As `RoBERTa` and `DeBERTa` v1.
pub(super) fn byte_level() -> Fake {
    fake(false, ByteLevel::default().into())
}

fn fake(marks: bool, decoder: DecoderWrapper) -> Fake {
    Fake { tokens: vec!["[UNK]".into(), "[CLS]".into(), "[SEP]".into()], unk: Some(0), marks, decoder }
}

pub(super) fn names(labels: &[&str]) -> Vec<Arc<str>> {
    labels.iter().map(|&label| label.into()).collect()
}

/// One token of a test: its string, start, end, and the labels with their probabilities. What is missing to 1 goes to
/// the first label.
pub(super) type Token<'a> = (&'a str, u32, u32, &'a [(&'a str, f32)]);

/// Encodes tokens between `[CLS]` and `[SEP]` as one window, and adds new strings to the vocabulary.
pub(super) fn encode(fake: &mut Fake, text: &str, labels: &[Arc<str>], tokens: &[Token]) -> (Encoded, Logits) {
    let mut encoding = Encoding::default();
    let mut values = Vec::new();
    let special = |id| (id, 0, 0, true, &[][..]);
    let mut rows = vec![special(1)];
    for &(token, start, end, scores) in tokens {
        let id = fake.tokens.iter().position(|known| known == token).unwrap_or_else(|| {
            fake.tokens.push(token.to_owned());
            fake.tokens.len() - 1
        });
        rows.push((id, start, end, false, scores));
    }
    rows.push(special(2));
    for (id, start, end, special, scores) in rows {
        encoding.ids.push(id as u32);
        encoding.type_ids.push(0);
        encoding.offsets.push(Offset { start, end });
        encoding.special.push(special);
        encoding.word_ids.push(None);
        let mut row = vec![0.0; labels.len()];
        for (label, score) in scores {
            row[labels.iter().position(|known| **known == **label).unwrap()] = *score;
        }
        row[0] += 1.0 - row.iter().sum::<f32>();
        values.extend(row.iter().map(|score: &f32| score.max(0.0).ln()));
    }
    let encoded = Encoded { text: text.into(), windows: vec![encoding], cut: None };
    (encoded, Logits { values, columns: labels.len() })
}
