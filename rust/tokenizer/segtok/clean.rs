//! What flair does to a text first: invisible characters go, and those of Windows that came through as controls are
//! restored.

/// A text that was cleaned, and where each character was.
pub(super) struct Clean {
    pub(super) chars: Vec<char>,
    /// In the caller's text, in code points.
    pub(super) places: Vec<u32>,
}

impl Clean {
    pub(super) fn new(text: &str) -> Self {
        let kept = (0..).zip(text.chars()).filter_map(|(place, char)| Some((cleaned(char)?, place)));
        let (chars, places) = kept.unzip();
        Self { chars, places }
    }
}

/// Windows-1252 from 0x80 to 0x99; a space stands for what it leaves undefined.
const WINDOWS: [char; 26] = [
    '€', ' ', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', ' ', 'Ž', ' ', ' ', '‘', '’', '“', '”', '•', '–',
    '—', '˜', '™',
];

fn cleaned(char: char) -> Option<char> {
    match char {
        '\u{200b}' | '\u{200c}' | '\u{fe0f}' | '\u{feff}' | '\u{2028}' | '\u{2029}' => None,
        '\u{80}'..='\u{99}' => Some(WINDOWS[char as usize - 0x80]).filter(|char| *char != ' '),
        _ => Some(char),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_given_text() {
        let clean = Clean::new("\u{feff}a\u{200b}\u{81}b\u{93}");
        assert_eq!((clean.chars, clean.places), (vec!['a', 'b', '“'], vec![1, 4, 5]));
    }
}
