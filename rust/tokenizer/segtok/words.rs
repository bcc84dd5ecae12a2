//! A line cut into words and symbols.

use std::ops::Range;

use super::classes::{alphanumeric_at, is_hyphen};
use super::units::Units;

/// The places of a line's characters without line breaks behind hyphens, which cut words in two.
///
/// Only carriage returns are left by now; a word that was joined gives its last character to the next one no more.
pub(super) fn joined(text: &[char], line: Range<usize>) -> Vec<usize> {
    let chars = &text[line.clone()];
    let mut places: Vec<usize> = Vec::with_capacity(line.len());
    let mut at = 0;
    while at < chars.len() {
        places.push(line.start + at);
        at += 1;
        let hyphenated = at > 1 && is_hyphen(chars[at - 1]) && alphanumeric_at(chars, at - 2);
        if let Some(behind) = hyphenated.then(|| line_break(&chars[at..])).flatten()
            && alphanumeric_at(chars, at + behind)
        {
            // The rule has eaten the letter behind the break: a hyphen right behind it is not looked at.
            places.push(line.start + at + behind);
            at += behind + 1;
            if chars.get(at).is_some_and(|&char| is_hyphen(char)) {
                places.push(line.start + at);
                at += 1;
            }
        }
    }
    places
}

/// Characters of a carriage return with spaces around it.
fn line_break(chars: &[char]) -> Option<usize> {
    // Zs and the tab.
    let space = |char: &char| {
        *char == '\t' || char.is_whitespace() && !matches!(char, '\n'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    let before = chars.iter().take_while(|char| space(char)).count();
    let behind = chars.get(before + 1..)?.iter().take_while(|char| space(char)).count();
    (chars[before] == '\r').then_some(before + 1 + behind)
}

/// Words, and runs of what belongs to none.
pub(super) fn split(line: &[char]) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = 0;
    for chunk in line.split(|char| char.is_whitespace()) {
        let mut units = Units::new(chunk);
        let mut at = 0;
        while at < chunk.len() {
            let first = at;
            let mut next = units.at(at);
            if next.is_none() {
                while next.is_none() && at < chunk.len() {
                    at += 1;
                    next = units.at(at);
                }
            } else {
                while let Some(length) = next {
                    at += length;
                    next = units.at(at);
                }
            }
            words.push(start + first..start + at);
        }
        start += chunk.len() + 1;
    }
    words
}
