//! Positions in a text. Offsets count code points; Rust slices by bytes, JavaScript and Java count UTF-16 units.

use std::borrow::Cow;

use crate::types::{Offset, OffsetUnit};

/// A text in which code points are found without counting from its start.
pub(super) struct Text<'a> {
    text: &'a str,
    bytes: Cow<'a, [usize]>,
}

/// The byte at which each code point of a text starts, then the text's length; empty for ASCII, where both count alike.
///
/// `"é😀x"`: code point 0 at byte 0, 1 at byte 2, 2 at byte 6, and its end, 3, at byte 7.
#[derive(Debug)]
pub(super) struct Positions(Vec<usize>);

impl<'a> Text<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let bytes = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().map(|(byte, _)| byte).chain([text.len()]).collect()
        };
        Self { text, bytes: Cow::Owned(bytes) }
    }

    /// What was found out about the text, to come back to it later.
    pub(super) fn into_positions(self) -> Positions {
        Positions(self.bytes.into_owned())
    }

    /// The same text again.
    pub(super) fn with(text: &'a str, positions: &'a Positions) -> Self {
        Self { text, bytes: Cow::Borrowed(&positions.0) }
    }

    /// Number of code points.
    pub(super) fn len(&self) -> usize {
        if self.is_ascii() { self.text.len() } else { self.bytes.len() - 1 }
    }

    pub(super) fn as_str(&self) -> &'a str {
        self.text
    }

    fn is_ascii(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The byte of a code point; of a position beyond the text, its end.
    fn byte(&self, position: u32) -> usize {
        let position = position as usize;
        if self.is_ascii() {
            position.min(self.text.len())
        } else {
            self.bytes.get(position).copied().unwrap_or(self.text.len())
        }
    }

    /// Python's `text[start:end]`: empty when the end comes first, cut where the text ends.
    pub(super) fn slice(&self, offset: Offset) -> &'a str {
        self.text.get(self.byte(offset.start)..self.byte(offset.end)).unwrap_or_default()
    }

    /// Number of code points in [`slice`](Self::slice).
    pub(super) fn slice_len(&self, offset: Offset) -> usize {
        let end = (offset.end as usize).min(self.len());
        end.saturating_sub(offset.start as usize)
    }

    /// Whether U+0020 stands at a position.
    pub(super) fn is_space(&self, position: u32) -> bool {
        self.text.as_bytes().get(self.byte(position)) == Some(&b' ')
    }

    /// Rewrites offsets in another unit, in one pass over the text. Other units than code points stay inside the text.
    pub(super) fn convert<'o>(&self, offsets: impl Iterator<Item = &'o mut Offset>, unit: OffsetUnit) {
        let utf16 = match unit {
            OffsetUnit::Utf16 if !self.is_ascii() => self.utf16(),
            _ => Vec::new(),
        };
        let convert = |position: u32| match unit {
            OffsetUnit::Char => position,
            OffsetUnit::Utf16 if !self.is_ascii() => utf16[(position as usize).min(utf16.len() - 1)],
            OffsetUnit::Utf16 | OffsetUnit::Byte => self.byte(position) as u32,
        };
        for offset in offsets {
            *offset = Offset { start: convert(offset.start), end: convert(offset.end) };
        }
    }

    /// The UTF-16 unit at which each code point starts, then the text's length in units.
    fn utf16(&self) -> Vec<u32> {
        let mut unit = 0;
        let mut units = Vec::with_capacity(self.bytes.len());
        units.push(0);
        units.extend(self.text.chars().map(|c| {
            unit += c.len_utf16() as u32;
            unit
        }));
        units
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: u32, end: u32) -> Offset {
        Offset { start, end }
    }

    #[test]
    fn slices_are_pythons() {
        let text = Text::new("é😀 x");
        assert_eq!(text.len(), 4);
        assert_eq!(text.slice(at(0, 2)), "é😀");
        assert_eq!(text.slice(at(1, 99)), "😀 x");
        assert_eq!(text.slice(at(3, 1)), "");
        assert_eq!(text.slice(at(7, 9)), "");
        assert_eq!([text.slice_len(at(1, 99)), text.slice_len(at(3, 1)), text.slice_len(at(7, 9))], [3, 0, 0]);
        assert!(text.is_space(2) && !text.is_space(1) && !text.is_space(4) && !text.is_space(u32::MAX));
        assert_eq!(Text::new("").slice(at(0, 3)), "");
        assert_eq!(Text::new("abc").slice(at(1, u32::MAX)), "bc");
    }

    #[test]
    fn units_count_as_their_languages_do() {
        for (unit, expected) in [
            (OffsetUnit::Char, [at(1, 2), at(2, 9)]),
            (OffsetUnit::Utf16, [at(1, 3), at(3, 4)]),
            (OffsetUnit::Byte, [at(2, 6), at(6, 7)]),
        ] {
            let mut offsets = [at(1, 2), at(2, 9)];
            Text::new("é😀x").convert(offsets.iter_mut(), unit);
            assert_eq!(offsets, expected, "{unit}");
        }
        let mut ascii = [at(1, 9)];
        Text::new("abc").convert(ascii.iter_mut(), OffsetUnit::Utf16);
        assert_eq!(ascii, [at(1, 3)]);
    }
}
