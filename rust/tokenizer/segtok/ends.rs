//! What comes off words: the full stop of a sentence, commas, contractions.

use std::ops::Range;

use super::classes::{is_alphanumeric, is_apostrophe, is_hyphen, is_terminal};
use super::units::Units;

/// The words of a line with all their ends apart.
pub(super) fn split(line: &[char], mut words: Vec<Range<usize>>) -> Vec<Range<usize>> {
    split_terminal(line, &mut words);
    let mut apart = Vec::with_capacity(words.len());
    for word in words {
        let end = 1 + line[word.clone()].iter().rposition(|char| !matches!(char, ',' | ';' | ':')).unwrap_or(0);
        let stem = word.start..word.start + end;
        let commas = stem.end..word.end;
        match contraction(&line[stem.clone()]) {
            Some(at) if at > 0 => apart.extend([stem.start..stem.start + at, stem.start + at..stem.end]),
            _ => apart.push(stem),
        }
        apart.extend(commas.map(|at| at..at + 1));
    }
    apart
}

/// Cuts the terminal of the sentence off the last of its last three words that can have one.
fn split_terminal(line: &[char], words: &mut Vec<Range<usize>>) {
    let has_one = |word: &&Range<usize>| {
        let chars = &line[(*word).clone()];
        Units::new(chars).at(0).is_some() && !is_apostrophe(chars[0]) || chars.iter().any(|&char| is_terminal(char))
    };
    let Some(from_end) = words.iter().rev().take(3).position(|word| has_one(&word)) else { return };
    let at = words.len() - 1 - from_end;
    let word = words[at].clone();
    let chars = &line[word.clone()];
    if chars.len() == 1 || chars == ['.', '.', '.'] {
        return;
    }
    let cut = if is_terminal(chars[chars.len() - 1]) {
        word.end - 1
    } else if is_terminal(chars[0]) {
        word.start + 1
    } else {
        return;
    };
    words[at] = word.start..cut;
    words.insert(at + 1, cut..word.end);
}

/// Where a contraction begins in a word: at its apostrophe, or before the n of `n't`.
fn contraction(word: &[char]) -> Option<usize> {
    const ENDINGS: [&[char]; 7] = [&['d'], &['l', 'l'], &['m'], &['r', 'e'], &['s'], &['t'], &['v', 'e']];
    let stem = ENDINGS.iter().find_map(|ending| match word.strip_suffix(*ending) {
        Some([stem @ .., apostrophe]) if *apostrophe == '\'' || is_apostrophe(*apostrophe) => Some(stem),
        _ => None,
    })?;
    let mut after_hyphen = true; // a hyphen stands between two letters
    for &char in stem {
        if is_alphanumeric(char) {
            after_hyphen = false;
        } else if is_hyphen(char) && !after_hyphen {
            after_hyphen = true;
        } else {
            return None;
        }
    }
    let not = stem.last() == Some(&'n') && word.last() == Some(&'t');
    (!after_hyphen).then_some(stem.len() - usize::from(not))
}
