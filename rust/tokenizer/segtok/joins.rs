//! Pieces that are one sentence all the same: behind quotations, inside of brackets, before words that go on.

use std::ops::Range;

use super::classes::{ANY_LETTER, CAPITAL, DIGIT, LOWER, is_boundary, is_terminal};

/// Below this many characters one of two pieces inside of brackets is no sentence of its own.
const SHORT: usize = 55;

/// Pieces, which follow each other, put together.
pub(super) fn joined(text: &[char], pieces: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut sentences: Vec<Sentence> = Vec::new();
    for piece in pieces {
        let current = &text[piece.clone()];
        match sentences.last_mut() {
            Some(last) if last.goes_on(text, current) => last.append(piece.end, current),
            _ => {
                let mut next = Sentence { range: piece.start..piece.start, open: [Open::default(); 2] };
                next.append(piece.end, current);
                sentences.push(next);
            }
        }
    }
    sentences.into_iter().map(|sentence| sentence.range).collect()
}

/// A sentence so far, and which brackets are open in it: counted as it grows, or many pieces would be read many times.
struct Sentence {
    range: Range<usize>,
    open: [Open; 2],
}

/// The depth of brackets since the first one.
#[derive(Clone, Copy, Default)]
struct Open {
    seen: bool,
    depth: isize,
}

impl Open {
    fn count(&mut self, chars: impl Iterator<Item = char>, (opens, closes): (char, char)) {
        for char in chars {
            self.seen |= char == opens;
            self.depth += isize::from(char == opens) - isize::from(char == closes && self.seen);
        }
    }
}

const BRACKETS: [(char, char); 2] = [('(', ')'), ('[', ']')];

impl Sentence {
    fn append(&mut self, end: usize, piece: &[char]) {
        self.range.end = end;
        for (open, brackets) in self.open.iter_mut().zip(BRACKETS) {
            open.count(piece.iter().copied(), brackets);
        }
    }

    fn goes_on(&self, text: &[char], next: &[char]) -> bool {
        let last = &text[self.range.clone()];
        let short = last.len() < SHORT || next.len() < SHORT;
        ends_before_lower(last) && starts_with_lower_word(next)
            || short && (0..2).any(|kind| self.open[kind].depth > 0 && closes(last, next, BRACKETS[kind]))
            || starts_with_continuation(next)
    }
}

/// Whether what follows an open bracket closes one, or goes on with authors or abbreviations.
fn closes(last: &[char], next: &[char], (opens, closes): (char, char)) -> bool {
    let mut from_behind = Open::default();
    from_behind.count(next.iter().rev().copied(), (closes, opens));
    from_behind.depth > 0
        || last.ends_with(&[' ', 'e', 't', ' ', 'a', 'l', '.', ' '])
        || ends_in_capitalized(last) && starts_with_capitalized(next)
}

/// `."`, `.)`, `spp.` or `L.` and white space.
fn ends_before_lower(text: &[char]) -> bool {
    let Some(text) = before_space(text) else { return false };
    let brackets = text.iter().rev().take_while(|char| matches!(char, ']' | ')')).count();
    match &text[..text.len() - brackets] {
        [.., terminal, '"'] if is_terminal(*terminal) => return true,
        [.., terminal] if brackets > 0 && is_terminal(*terminal) => return true,
        _ => {}
    }
    let Some(('.', word)) = text.split_last().map(|(last, word)| (*last, word)) else { return false };
    let letter = |from_end: usize| {
        word.len().checked_sub(from_end).is_some_and(|at| ANY_LETTER.at(word, at) && is_boundary(word, at))
    };
    word.ends_with(&['s', 'p', 'p']) && is_boundary(word, word.len() - 3)
        || letter(1)
        || word.last().is_some_and(|&char| LOWER.has(char)) && letter(2)
}

/// Lower-case letters up to the end of a word, or to a hyphen in it.
fn starts_with_lower_word(text: &[char]) -> bool {
    let length = text.iter().take_while(|char| LOWER.has(**char)).count();
    length > 0 && is_boundary(text, length)
}

/// A word with a capital letter, a full stop, white space.
fn ends_in_capitalized(text: &[char]) -> bool {
    let Some([word @ .., '.']) = before_space(text) else { return false };
    let start = word.len() - word.iter().rev().take_while(|char| ANY_LETTER.has(**char)).count();
    CAPITAL.at(word, start) && is_boundary(word, start)
}

/// The same at the beginning, perhaps behind a year in brackets; or a number; then one of `.,:` and white space.
fn starts_with_capitalized(text: &[char]) -> bool {
    let run = |text: &[char], digits: bool| {
        text.iter().take_while(|char| if digits { DIGIT.has(**char) } else { ANY_LETTER.has(**char) }).count()
    };
    let ends = |text: &[char]| matches!(text, ['.' | ',' | ':', space, ..] if space.is_whitespace());
    let name = match text {
        ['(', year @ ..] if run(year, true) == 4 && matches!(&year[4..], [')', space, ..] if space.is_whitespace()) => {
            &text[7..]
        }
        _ => text,
    };
    let digits = run(text, true);
    CAPITAL.at(name, 0) && ends(&name[run(name, false)..]) || digits > 0 && ends(&text[digits..])
}

/// A word that hardly ever begins a sentence.
fn starts_with_continuation(text: &[char]) -> bool {
    const WORDS: &str = "and are between by from has into is of or than that through via was were whether with";
    WORDS.split(' ').any(|word| {
        let length = word.len();
        text.len() >= length && word.chars().eq(text[..length].iter().copied()) && is_boundary(text, length)
    })
}

/// What stands before white space at the end, if there is some.
fn before_space(text: &[char]) -> Option<&[char]> {
    let space = text.iter().rev().take_while(|char| char.is_whitespace()).count();
    (space > 0).then(|| &text[..text.len() - space])
}
