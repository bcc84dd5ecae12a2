//! Whole words as flair reads them: the rules of segtok, a tokenizer for Indo-European languages.
//!
//! ```text
//! text -> clean.rs          what is invisible goes, Windows' characters are restored
//!      -> sentences.rs      pieces behind `.`, `!`, `?` and line breaks      abbreviations.rs: not behind those
//!      -> joins.rs          pieces that are one sentence all the same
//!      -> words.rs          runs of letters and digits, and of symbols       units.rs: what belongs to a word
//!      -> ends.rs           full stops, commas and contractions come off
//! ```
//!
//! Sentences matter only for the full stop at their ends. Each file names the rule that it stands for; what the classes
//! of characters have in them is in `classes.rs`. Source: segtok 1.5.11 by its behaviour, and flair 0.15.1.

mod abbreviations;
mod classes;
mod clean;
mod ends;
mod joins;
mod sentences;
mod units;
mod words;

use crate::types::{Offset, Word};
pub(super) use classes::{DIGIT, is_python_space};
use clean::Clean;

/// The words of a text, in its order.
///
/// ```
/// use candlewick::tokenizer::segtok::split;
///
/// let words: Vec<_> = split("He's in the U.S. and doesn't care.").into_iter().map(|word| word.text).collect();
/// assert_eq!(words, ["He", "'s", "in", "the", "U.S.", "and", "does", "n't", "care", "."]);
/// ```
pub fn split(text: &str) -> Vec<Word> {
    let clean = Clean::new(text);
    let mut words: Vec<Word> = Vec::new();
    let mut end = 0;
    for line in sentences::lines(&clean.chars) {
        let places = words::joined(&clean.chars, line);
        let chars: Vec<char> = places.iter().map(|&place| clean.chars[place]).collect();
        for word in ends::split(&chars, words::split(&chars)) {
            let (first, last) = (places[word.start], places[word.end - 1]);
            if let Some(before) = words.last_mut() {
                before.gap = (first - end) as u32;
            }
            end = last + 1;
            let offset = Offset { start: clean.places[first], end: clean.places[last] + 1 };
            words.push(Word { text: chars[word].iter().collect(), offset, gap: 0 });
        }
    }
    words
}
