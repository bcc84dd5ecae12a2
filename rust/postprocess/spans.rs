//! Neighbours of one type become one span of text.

use std::ops::Range;

use super::aggregate::Units;
use super::scores::nan_mean;
use super::tags::Tag;
use crate::types::{Encoding, Offset};

/// An answer before it has strings: a run of units of one window.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    /// The window that the units stand in.
    pub(super) window: usize,
    /// Its members in [`Units`].
    pub(super) units: Range<usize>,
    /// Id of the first member's label.
    pub(super) label: usize,
    /// Probability in 0..=1.
    pub(super) score: f32,
    /// From its first token's start to its last token's end, in code points.
    pub(super) offset: Offset,
}

/// One window's units, with what is needed to make spans of them.
pub(super) struct Window<'a> {
    pub(super) index: usize,
    pub(super) encoding: &'a Encoding,
    pub(super) units: &'a Units,
    /// The window's own among the units of all windows.
    pub(super) range: Range<usize>,
}

impl Window<'_> {
    /// One span per group that passes the filter. The outside label takes part like any other, so it separates groups
    /// of one type; gaps between offsets do not. With the strategy `none` no tag joins another.
    pub(super) fn spans(&self, tags: &[Tag], spans: &mut Vec<Span>) {
        let tag = |unit: usize| &tags[self.units.units[unit].label];
        let mut start = self.range.start;
        for end in self.range.start + 1..=self.range.end {
            if end < self.range.end && tag(end).joins(tag(end - 1)) {
                continue;
            }
            if !tag(start).ignored {
                spans.push(self.span(start..end));
            }
            start = end;
        }
    }

    /// The score of a span is the mean over its units: of a group of words, each word weighs the same.
    fn span(&self, units: Range<usize>) -> Span {
        let (first, last) = (self.units.units[units.start], self.units.units[units.end - 1]);
        let offsets = &self.encoding.offsets;
        Span {
            window: self.index,
            label: first.label,
            score: nan_mean(&self.units.scores[units.clone()]),
            offset: Offset { start: offsets[first.first].start, end: offsets[last.last].end },
            units,
        }
    }
}
