//! Which token opens a word: the basis of the strategies `first`, `average` and `max`.

use unicode_segmentation::UnicodeSegmentation;

use super::text::Text;
use crate::types::{AggregationStrategy, Encoding, TokenClassificationOptions, Vocabulary, WordBoundary};

/// Decides for each token whether it opens a word or continues that of the token before.
pub(super) struct Words<'a> {
    text: &'a Text<'a>,
    vocabulary: &'a dyn Vocabulary,
    rule: &'a Rule,
}

/// How it is decided.
#[derive(Debug)]
pub(super) enum Rule {
    /// There are no words, only tokens.
    EveryToken,
    /// The reference's: with continuation marks the lengths are compared, without them the characters around the
    /// token's start.
    Compat { marks: bool, unk: Option<u32> },
    /// The tokenizer's word ids.
    Tokenizer,
    /// For each code point the number of the word that it belongs to or leads to.
    Unicode(Vec<u32>),
}

impl Rule {
    pub(super) fn new(text: &Text, vocabulary: &dyn Vocabulary, options: &TokenClassificationOptions) -> Self {
        match (options.aggregation_strategy, options.word_boundary) {
            (AggregationStrategy::None | AggregationStrategy::Simple, _) => Self::EveryToken,
            (_, WordBoundary::Compat) => {
                Self::Compat { marks: vocabulary.marks_continuations(), unk: vocabulary.unk_id() }
            }
            (_, WordBoundary::Tokenizer) => Self::Tokenizer,
            (_, WordBoundary::Unicode) => Self::Unicode(unicode_words(text)),
        }
    }
}

impl<'a> Words<'a> {
    pub(super) fn new(text: &'a Text<'a>, vocabulary: &'a dyn Vocabulary, rule: &'a Rule) -> Self {
        Self { text, vocabulary, rule }
    }

    /// Whether `token` opens a word, where `previous` is the window's token before it that is not special.
    ///
    /// The rule by the characters knows only U+0020 as a space, so punctuation and line breaks do not separate words;
    /// an unknown token always opens one, also in the middle of a word.
    pub(super) fn opens(&self, encoding: &Encoding, previous: usize, token: usize) -> bool {
        let offset = encoding.offsets[token];
        match self.rule {
            Rule::EveryToken => true,
            Rule::Compat { unk, .. } if *unk == Some(encoding.ids[token]) => true,
            Rule::Compat { marks: true, .. } => {
                let token = self.vocabulary.token(encoding.ids[token]);
                token.chars().count() == self.text.slice_len(offset)
            }
            Rule::Compat { marks: false, .. } => match offset.start {
                0 => true,
                start => self.text.is_space(start - 1) || self.text.is_space(start),
            },
            Rule::Tokenizer => {
                let word = encoding.word_ids[token];
                word.is_none() || word != encoding.word_ids[previous]
            }
            Rule::Unicode(words) => {
                let word = |token: usize| words.get(encoding.offsets[token].start as usize).or(words.last());
                word(token) != word(previous)
            }
        }
    }
}

/// For each code point the number of its word by UAX #29, where white space has the number of the word that follows:
/// so a token belongs to the word of the first character from its start that is no space. The last number is that of
/// the text's end.
///
/// `"Oh, 3.5 km"` has the words `Oh` `,` `3.5` `km` and the numbers `00 1 2222 333 4`.
fn unicode_words(text: &Text) -> Vec<u32> {
    let mut numbers = Vec::with_capacity(text.len() + 1);
    let mut number = 0;
    for segment in text.as_str().split_word_bounds() {
        let solid = segment.trim_end();
        numbers.extend(solid.chars().map(|_| number));
        number += u32::from(!solid.is_empty());
        numbers.extend(segment[solid.len()..].chars().map(|_| number));
    }
    numbers.push(number);
    numbers
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, Token, encode, metaspace, names, wordpiece};
    use super::*;
    use crate::types::Encoded;

    #[test]
    fn unicode_words_stand_apart_from_punctuation() {
        assert_eq!(unicode_words(&Text::new("Oh, 3.5 km ")), [0, 0, 1, 2, 2, 2, 2, 3, 3, 3, 4, 4]);
        assert_eq!(unicode_words(&Text::new("New\nYork, don't")), { [0, 0, 0, 1, 1, 1, 1, 1, 2, 3, 3, 3, 3, 3, 3, 4] });
        assert_eq!(unicode_words(&Text::new("")), [0]);
    }

    /// What each token of a text opens, as `T` for a word and `F` for none.
    fn opened(fake: &Fake, encoded: &Encoded, boundary: WordBoundary) -> String {
        let options = TokenClassificationOptions {
            aggregation_strategy: AggregationStrategy::First,
            word_boundary: boundary,
            ..TokenClassificationOptions::default()
        };
        let text = Text::new(&encoded.text);
        let rule = Rule::new(&text, fake, &options);
        let (words, encoding) = (Words::new(&text, fake, &rule), &encoded.windows[0]);
        let open = |token: usize| token == 1 || words.opens(encoding, token - 1, token);
        (1..encoding.len() - 1).map(|token| if open(token) { 'T' } else { 'F' }).collect()
    }

    fn deberta(text: &str, tokens: &[(&str, u32, u32)]) -> (Fake, Encoded) {
        let mut fake = metaspace();
        let tokens: Vec<Token> = tokens.iter().map(|&(token, start, end)| (token, start, end, &[][..])).collect();
        let (encoded, _) = encode(&mut fake, text, &names(&["O"]), &tokens);
        (fake, encoded)
    }

    #[test]
    fn without_marks_a_space_opens_a_word() {
        let tokens = [("▁I", 0, 1), ("▁play", 1, 6), ("▁the", 6, 10), ("▁there", 10, 16), ("min", 16, 19)];
        let (fake, encoded) = deberta("I play the theremin", &tokens);
        assert_eq!(opened(&fake, &encoded, WordBoundary::Compat), "TTTTF");
        assert_eq!(opened(&fake, &encoded, WordBoundary::Unicode), "TTTTF");
    }

    #[test]
    fn boundaries_differ_at_punctuation_and_lines() {
        let tokens =
            [("▁New", 0, 3), ("▁York", 4, 8), (",", 8, 9), ("▁near", 10, 14), ("▁Pa", 15, 17), ("ris", 17, 20)];
        let (fake, mut encoded) = deberta("New\nYork, near Paris", &tokens);
        encoded.windows[0].word_ids = [None, Some(0), Some(1), Some(1), Some(2), Some(3), Some(3), None].to_vec();
        assert_eq!(opened(&fake, &encoded, WordBoundary::Compat), "TFFTTF");
        assert_eq!(opened(&fake, &encoded, WordBoundary::Tokenizer), "TTFTTF");
        assert_eq!(opened(&fake, &encoded, WordBoundary::Unicode), "TTTTTF");
    }

    /// `한` is one character of the text and three of the vocabulary, so it counts as a continuation.
    #[test]
    fn with_marks_lengths_are_compared() {
        let mut fake = wordpiece();
        let decomposed = "\u{1112}\u{1161}\u{11ab}";
        let tokens: &[Token] = &[("a", 0, 1, &[]), (decomposed, 2, 3, &[]), ("b", 4, 5, &[]), ("##c", 5, 6, &[])];
        let (encoded, _) = encode(&mut fake, "a 한 bc", &names(&["O"]), tokens);
        assert_eq!(opened(&fake, &encoded, WordBoundary::Compat), "TFTF");
    }
}
