//! What an answer calls the text that it found.

use std::borrow::Cow;

use super::aggregate::{Unit, Units};
use super::spans::Span;
use super::text::Text;
use crate::types::{AggregationStrategy, Encoded, Encoding, TokenClassificationOptions, Vocabulary, WordSource};

/// Makes the strings of those spans that are answered.
pub(super) struct Strings<'a> {
    pub(super) encoded: &'a Encoded,
    pub(super) text: &'a Text<'a>,
    pub(super) units: &'a Units,
    pub(super) vocabulary: &'a dyn Vocabulary,
    pub(super) options: &'a TokenClassificationOptions,
}

impl Strings<'_> {
    /// The `word` of a span.
    ///
    /// Decoded, it is the reference's: with `first`, `average` and `max` each word is decoded, and then the list of
    /// the decoded words once more as if they were tokens. That loses the space of `New York` with Metaspace and turns
    /// the `é` of a byte-level `café` into U+FFFD.
    pub(super) fn word(&self, span: &Span) -> String {
        if self.options.word == WordSource::Source {
            return self.text.slice(span.offset).to_owned();
        }
        let encoding = &self.encoded.windows[span.window];
        let units = &self.units.units[span.units.clone()];
        match self.options.aggregation_strategy {
            AggregationStrategy::None => self.token(encoding, units[0].first).into_owned(),
            AggregationStrategy::Simple => {
                let tokens: Vec<_> = units.iter().map(|unit| self.token(encoding, unit.first)).collect();
                self.vocabulary.decode(&tokens)
            }
            AggregationStrategy::First | AggregationStrategy::Average | AggregationStrategy::Max => {
                let word = |unit: &Unit| {
                    let tokens = (unit.first..=unit.last).filter(|&token| !encoding.special[token]);
                    let tokens: Vec<_> = tokens.map(|token| self.token(encoding, token)).collect();
                    Cow::Owned(self.vocabulary.decode(&tokens))
                };
                self.vocabulary.decode(&units.iter().map(word).collect::<Vec<_>>())
            }
        }
    }

    /// The vocabulary's string of a token; of an unknown one, what the text has in its place.
    fn token(&self, encoding: &Encoding, token: usize) -> Cow<'_, str> {
        let id = encoding.ids[token];
        if self.vocabulary.unk_id() == Some(id) {
            Cow::Borrowed(self.text.slice(encoding.offsets[token]))
        } else {
            self.vocabulary.token(id)
        }
    }
}
