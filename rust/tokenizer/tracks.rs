//! From words to what the embeddings of a tagger read.

use std::borrow::Cow;
use std::collections::HashMap;

use super::segtok::{DIGIT, is_python_space};
use crate::types::{Track, Word};

/// What an embedding reads.
#[derive(Debug)]
pub(super) enum Reads {
    Words(Vocabulary),
    Characters(Characters),
}

impl Reads {
    pub(super) fn track(&self, words: &[Word]) -> Track {
        match self {
            Self::Words(vocabulary) => Track::Rows(words.iter().map(|word| vocabulary.row(&word.text)).collect()),
            Self::Characters(characters) => characters.track(words),
        }
    }
}

/// The rows of a table of word vectors.
#[derive(Debug)]
pub(super) struct Vocabulary {
    pub(super) rows: HashMap<String, u32>,
    pub(super) unknown: u32,
}

impl Vocabulary {
    /// The word itself, else in lower case, else that with its digits as `#`, else as `0`.
    fn row(&self, word: &str) -> u32 {
        let lower = word.to_lowercase();
        let digits = |as_: char| lower.chars().map(|char| if DIGIT.has(char) { as_ } else { char }).collect::<String>();
        let known = |word: &str| self.rows.get(word).copied();
        known(word)
            .or_else(|| known(&lower))
            .or_else(|| known(&digits('#')))
            .or_else(|| known(&digits('0')))
            .unwrap_or(self.unknown)
    }
}

/// How a language model reads characters (the flags of `FlairEmbeddings` and its model).
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "the flags that flair has")]
pub(super) struct Characters {
    pub(super) ids: HashMap<char, u32>,
    pub(super) forward: bool,
    /// What stands before every text.
    pub(super) delimiter: Vec<char>,
    pub(super) lower: bool,
    /// Whether words are one space apart, and not as far as in the text.
    pub(super) tokenized: bool,
    /// Whether a word's state is that behind the space which follows it.
    pub(super) with_whitespace: bool,
}

impl Characters {
    /// The delimiter, the text, from its end in a model that reads backwards, and a space. Words are found by the lengths
    /// that they have before lower-casing, and by one space between them whatever there is, as in the reference.
    fn track(&self, words: &[Word]) -> Track {
        let text = self.text(words);
        let length = text.chars().count();
        let read = if self.lower { Cow::Owned(text.to_lowercase()) } else { Cow::Borrowed(&text) };
        let mut characters = self.delimiter.clone();
        if self.forward {
            characters.extend(read.chars());
        } else {
            characters.extend(read.chars().rev());
        }
        characters.push(' ');
        let last = characters.len() - 1;
        let mut at = self.delimiter.len() + if self.forward { 0 } else { length };
        let mut ends = Vec::with_capacity(words.len());
        for word in words {
            let length = word.text.chars().count();
            let space = usize::from(self.tokenized || word.gap > 0);
            at += if self.forward { length } else { 0 };
            let end = at.saturating_sub(usize::from(!self.with_whitespace));
            ends.push(end.min(last) as u32);
            at = if self.forward { at + space } else { at.saturating_sub(length + space) };
        }
        let ids = characters.iter().map(|char| self.ids.get(char).copied().unwrap_or(0)).collect();
        Track::Characters { ids, ends }
    }

    fn text(&self, words: &[Word]) -> String {
        let mut text = String::new();
        for (at, word) in words.iter().enumerate() {
            text.push_str(&word.text);
            let gap = if self.tokenized { u32::from(at + 1 < words.len()) } else { word.gap };
            text.extend((0..gap).map(|_| ' '));
        }
        if !self.tokenized {
            text.truncate(text.trim_end_matches(is_python_space).len());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(texts: &[(&str, u32)]) -> Vec<Word> {
        texts.iter().map(|&(text, gap)| Word { text: text.into(), gap, ..Word::default() }).collect()
    }

    #[test]
    fn words_are_looked_up_as_they_are_and_in_lower_case_and_by_the_shape_of_numbers() {
        let known = ["London", "london", "7#", "##th", "0,0"];
        let vocabulary = Vocabulary { rows: known.into_iter().map(str::to_owned).zip(0..).collect(), unknown: 5 };
        let found = ["London", "LONDON", "7#", "19TH", "3,٥", "Paris"].map(|word| vocabulary.row(word));
        assert_eq!(found, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn states_stand_behind_words_in_either_direction() {
        let model = |forward, tokenized, with_whitespace| Characters {
            ids: HashMap::new(),
            forward,
            delimiter: vec!['\n'],
            lower: false,
            tokenized,
            with_whitespace,
        };
        let words = words(&[("ab", 1), ("c", 0), ("d", 0)]);
        // "\n" "ab c d" " " and "\n" "d c ba" " "; without tokens "ab cd".
        for (model, steps, expected) in [
            (model(true, true, true), 8, [3, 5, 7]),
            (model(true, true, false), 8, [2, 4, 6]),
            (model(false, true, true), 8, [7, 4, 2]),
            (model(true, false, true), 7, [3, 5, 6]),
            (model(false, false, false), 7, [5, 2, 1]),
        ] {
            let Track::Characters { ids, ends } = model.track(&words) else { panic!("not characters") };
            assert_eq!((ids.len(), &ends[..]), (steps, &expected[..]));
        }
    }
}
