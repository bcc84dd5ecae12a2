//! What belongs to a word, unit by unit: the first rule that holds counts.

use super::classes::{LETTER, NUMBER, alphanumeric_at, is_alphanumeric, is_apostrophe, is_boundary, is_hyphen};

/// The units of a chunk, which has no white space.
pub(super) struct Units<'a> {
    chunk: &'a [char],
    /// Up to here no element of a formula has a count, or each of many would be looked at from each.
    uncounted: usize,
}

impl<'a> Units<'a> {
    pub(super) fn new(chunk: &'a [char]) -> Self {
        Self { chunk, uncounted: 0 }
    }

    /// Characters of the unit at a place.
    pub(super) fn at(&mut self, at: usize) -> Option<usize> {
        let rest = &self.chunk[at..];
        let first = *rest.first()?;
        punctuated(rest)
            .or_else(|| hyphenated(rest))
            .or_else(|| apostrophe(rest))
            .or_else(|| quoted(rest))
            .or_else(|| if is_boundary(self.chunk, at) { dimension(rest).or_else(|| self.formula(at)) } else { None })
            .or_else(|| is_alphanumeric(first).then_some(1))
    }

    /// Elements or closing brackets, their count below the line, and perhaps a charge.
    fn formula(&mut self, at: usize) -> Option<usize> {
        let rest = &self.chunk[at..];
        if at < self.uncounted {
            return None;
        }
        let mut elements = 0;
        loop {
            elements += match &rest[elements..] {
                ['A'..='Z', 'a'..='z', ..] => 2,
                ['A'..='Z' | ')' | ']', ..] => 1,
                _ => break,
            };
        }
        let counts = rest[elements..].iter().take_while(|char| ('₀'..='₉').contains(*char)).count();
        if counts == 0 {
            self.uncounted = at + elements;
        }
        let end = elements + counts;
        let charge = match &rest[end..] {
            ['²' | '³', '⁺' | '⁻', ..] => 2,
            ['⁺' | '⁻', ..] => 1,
            _ => 0,
        };
        (elements > 0 && counts > 0).then_some(end + charge)
    }
}

/// A full stop behind it that begins no ellipsis; a comma between two; a colon between numbers.
fn punctuated(rest: &[char]) -> Option<usize> {
    let holds = match rest.get(1) {
        Some('.') => !matches!(rest, [_, _, '.', '.', ..]),
        Some(',') => alphanumeric_at(rest, 2),
        Some(':') => NUMBER.has(rest[0]) && NUMBER.at(rest, 2),
        _ => false,
    };
    (holds && is_alphanumeric(rest[0])).then_some(2)
}

/// A hyphen between two, perhaps with an apostrophe before it.
fn hyphenated(rest: &[char]) -> Option<usize> {
    let hyphen = 1 + usize::from(rest.get(1).is_some_and(|&char| is_apostrophe(char)));
    let holds = rest.get(hyphen).is_some_and(|&char| is_hyphen(char)) && alphanumeric_at(rest, hyphen + 1);
    (holds && is_alphanumeric(rest[0])).then_some(hyphen + 1)
}

/// An apostrophe that no other follows.
fn apostrophe(rest: &[char]) -> Option<usize> {
    let follows = rest.get(1).is_some_and(|&char| is_apostrophe(char));
    (is_apostrophe(rest[0]) && !follows).then_some(1)
}

/// The quote of ASCII between two, or behind an s at the end.
fn quoted(rest: &[char]) -> Option<usize> {
    let between = is_alphanumeric(rest[0]) && rest.get(1) == Some(&'\'') && alphanumeric_at(rest, 2);
    (between || rest == ['s', '\'']).then_some(2)
}

/// A unit of measurement with its power at the end: up to three letters, or four with a prefix, and `²`, `⁻¹`.
fn dimension(rest: &[char]) -> Option<usize> {
    let [unit @ .., '¹' | '²' | '³'] = rest else { return None };
    let unit = if let [unit @ .., '⁻'] = unit { unit } else { unit };
    let long = unit.len() == 4 && "yzafpnµmcdhkMGTPEZY".contains(unit[0]);
    let holds = (long || (1..=3).contains(&unit.len())) && unit.iter().all(|&char| LETTER.has(char));
    holds.then_some(rest.len())
}
