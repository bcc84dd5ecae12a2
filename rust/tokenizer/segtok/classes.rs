//! The classes of characters that the rules speak of.

use std::sync::LazyLock;

use regex_syntax::hir::{Class as HirClass, HirKind};

/// One class, as a bit.
#[derive(Clone, Copy)]
pub(in crate::tokenizer) struct Class(u16);

/// Ll.
pub(super) const LOWER: Class = Class(1);
/// Lu.
pub(super) const UPPER: Class = Class(1 << 1);
/// Lu and Lt.
pub(super) const CAPITAL: Class = Class(1 << 2);
/// Lm.
pub(super) const MODIFIER: Class = Class(1 << 3);
/// What words are made of: Ll, Lm, Lt, Lu. Not Lo, so that Chinese is symbols.
pub(super) const LETTER: Class = Class(1 << 4);
/// Every letter, Lo included.
pub(super) const ANY_LETTER: Class = Class(1 << 5);
/// Nd.
pub(in crate::tokenizer) const DIGIT: Class = Class(1 << 6);
/// Nd and Nl.
pub(super) const NUMBER: Class = Class(1 << 7);
/// What is inside of a word where a rule asks for a word's boundary.
pub(super) const WORD: Class = Class(1 << 8);

/// Patterns of the classes, by bit.
const PATTERNS: [&str; 9] = [
    r"\p{Ll}",
    r"\p{Lu}",
    r"[\p{Lu}\p{Lt}]",
    r"\p{Lm}",
    r"[\p{Ll}\p{Lm}\p{Lt}\p{Lu}]",
    r"\p{L}",
    r"\p{Nd}",
    r"[\p{Nd}\p{Nl}]",
    r"\w",
];

impl Class {
    pub(in crate::tokenizer) fn has(self, char: char) -> bool {
        TABLE.classes(char) & self.0 != 0
    }

    /// Whether there is such a character at a place.
    pub(super) fn at(self, chars: &[char], place: usize) -> bool {
        chars.get(place).is_some_and(|&char| self.has(char))
    }
}

/// Letters and numbers.
pub(super) fn is_alphanumeric(char: char) -> bool {
    TABLE.classes(char) & (LETTER.0 | NUMBER.0) != 0
}

/// Whether a letter or number stands at a place.
pub(super) fn alphanumeric_at(chars: &[char], place: usize) -> bool {
    chars.get(place).is_some_and(|&char| is_alphanumeric(char))
}

/// Whether a word begins or ends between a place and the one before.
pub(super) fn is_boundary(chars: &[char], place: usize) -> bool {
    let before = place.checked_sub(1).is_some_and(|before| WORD.at(chars, before));
    before != WORD.at(chars, place)
}

/// Hyphens inside of words.
pub(super) fn is_hyphen(char: char) -> bool {
    const HYPHENS: &str = "-\u{ad}\u{58a}\u{5be}\u{f0c}\u{1400}\u{1806}\u{2010}\u{2011}\u{2012}\u{2e17}\u{30a0}";
    HYPHENS.contains(char)
}

/// Apostrophes but the one of ASCII.
pub(super) fn is_apostrophe(char: char) -> bool {
    "´ʹʼ’′".contains(char)
}

/// What sentences end in.
pub(super) fn is_terminal(char: char) -> bool {
    ".!?‼‽⁇⁈⁉。﹒﹗！．？｡".contains(char)
}

/// White space for Python's own functions, which count four separators of ASCII that regular expressions do not.
pub(in crate::tokenizer) fn is_python_space(char: char) -> bool {
    char.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&char)
}

struct Table {
    ascii: [u16; 128],
    /// Where the classes change, and what they are from there on.
    changes: Vec<(u32, u16)>,
}

static TABLE: LazyLock<Table> = LazyLock::new(Table::new);

impl Table {
    fn new() -> Self {
        let mut edges: Vec<(u32, u16)> = Vec::new();
        for (bit, pattern) in PATTERNS.iter().enumerate() {
            // A pattern of one class is a class, whose ranges are apart from each other.
            if let Ok(HirKind::Class(HirClass::Unicode(class))) =
                regex_syntax::parse(pattern).as_ref().map(regex_syntax::hir::Hir::kind)
            {
                let bounds = class.ranges().iter().flat_map(|range| [range.start() as u32, range.end() as u32 + 1]);
                edges.extend(bounds.map(|edge| (edge, 1 << bit)));
            }
        }
        edges.sort_unstable();
        let mut classes = 0;
        let changes: Vec<(u32, u16)> = edges
            .into_iter()
            .map(|(edge, bit)| {
                classes ^= bit;
                (edge, classes)
            })
            .collect();
        let mut table = Self { ascii: [0; 128], changes };
        table.ascii = std::array::from_fn(|code| table.searched(code as u32));
        table
    }

    fn classes(&self, char: char) -> u16 {
        self.ascii.get(char as usize).copied().unwrap_or_else(|| self.searched(char as u32))
    }

    fn searched(&self, code: u32) -> u16 {
        let behind = self.changes.partition_point(|(edge, _)| *edge <= code);
        behind.checked_sub(1).map_or(0, |at| self.changes[at].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_of_unicode() {
        for (class, inside, outside) in [
            (LOWER, "aéжµ", "AǅʼªⅷあΩ1_"),
            (UPPER, "AÉЖΩ", "aǅʼ1"),
            (CAPITAL, "Aǅ", "aʼ"),
            (MODIFIER, "ʼʹ々", "a´"),
            (LETTER, "aAǅʼ々", "ªあ東1²_"),
            (ANY_LETTER, "aAª東ʼ", "1²\u{301}_"),
            (DIGIT, "1٣", "ⅷ²₂"),
            (NUMBER, "1٣ⅷ", "²₂½"),
            (WORD, "aª東1\u{301}_", " ²₂½-'"),
        ] {
            assert!(inside.chars().all(|char| class.has(char)), "{inside}");
            assert!(!outside.chars().any(|char| class.has(char)), "{outside}");
        }
    }

    #[test]
    fn boundaries_are_where_words_begin_and_end() {
        let chars: Vec<char> = "ab, c".chars().collect();
        assert_eq!(
            (0..=5).map(|at| is_boundary(&chars, at)).collect::<Vec<_>>(),
            [true, false, true, false, true, true]
        );
    }
}
