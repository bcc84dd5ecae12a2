//! Windows of a long text overlap, and so may their answers.

use super::spans::Span;

/// Settles overlaps between the spans of all windows, in the order of the text.
///
/// A walk by start, where each span is compared with the one kept last, whatever their labels: if it starts inside
/// that one, the longer survives; of two equally long the one with the higher score; of equal scores the earlier.
/// Two surprises are the reference's: a survivor moves the end, so a chain `[0,5] [4,10] [9,11]` leaves only
/// `[4,10]`; and a first span of no length is answered twice, since it is compared with itself and does not start
/// inside.
///
/// The walk stops where windows that are still to come begin, so that nothing they bring could stand before it.
#[derive(Debug, Default)]
pub(super) struct Overlaps {
    /// Spans that the walk has not reached, by start; of equal starts, those of earlier windows first.
    waiting: Vec<Span>,
    /// The span kept last, and whether it was given out.
    previous: Option<(Span, bool)>,
}

impl Overlaps {
    /// Takes in the spans of the next window.
    pub(super) fn add(&mut self, spans: Vec<Span>) {
        self.waiting.extend(spans);
        self.waiting.sort_by_key(|span| span.offset.start);
    }

    /// What is final by now and was not before, where no span that is still to come starts before `horizon`: all that
    /// the walk leaves behind, and the span kept last if it ends before the horizon.
    pub(super) fn settle(&mut self, horizon: u32) -> Vec<Span> {
        let reached = self.waiting.partition_point(|span| span.offset.start <= horizon);
        let mut kept = Vec::with_capacity(reached);
        for span in self.waiting.drain(..reached) {
            let (previous, given) = self.previous.get_or_insert_with(|| (span.clone(), false));
            if (previous.offset.start..previous.offset.end).contains(&span.offset.start) {
                if survives(&span, previous) {
                    *previous = span;
                }
            } else {
                let left = std::mem::replace(previous, span);
                if !std::mem::replace(given, false) {
                    kept.push(left);
                }
            }
        }
        if let Some((last, given)) = &mut self.previous
            && !*given
            && last.offset.end <= horizon
        {
            *given = true;
            kept.push(last.clone());
        }
        kept
    }
}

/// Whether a span takes the place of the one in which it starts.
fn survives(span: &Span, previous: &Span) -> bool {
    length(span) > length(previous) || (length(span) == length(previous) && span.score > previous.score)
}

/// Negative for offsets that a user gave the wrong way round.
fn length(span: &Span) -> i64 {
    i64::from(span.offset.end) - i64::from(span.offset.start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Offset;

    /// Takes `(name, start, end, score)` in and returns the names that are final at the horizon.
    fn settled(overlaps: &mut Overlaps, spans: &[(char, u32, u32, f32)], horizon: u32) -> String {
        let spans = spans.iter().map(|&(name, start, end, score)| Span {
            window: 0,
            units: 0..1,
            label: name as usize,
            score,
            offset: Offset { start, end },
        });
        overlaps.add(spans.collect());
        overlaps.settle(horizon).iter().filter_map(|span| char::from_u32(span.label as u32)).collect()
    }

    /// The table of the reference's own runs.
    #[test]
    fn overlaps_are_settled_as_in_the_reference() {
        for (spans, expected) in [
            (&[][..], ""),
            (&[('A', 0, 5, 0.5), ('B', 0, 5, 0.6)], "B"),
            (&[('A', 0, 5, 0.5), ('B', 0, 5, 0.5)], "A"),
            (&[('A', 0, 5, 0.9), ('B', 2, 9, 0.1)], "B"),
            (&[('A', 0, 9, 0.1), ('B', 2, 5, 0.9)], "A"),
            (&[('A', 0, 5, 0.9), ('B', 4, 10, 0.5), ('C', 9, 11, 0.9)], "B"),
            (&[('A', 0, 5, 0.9), ('B', 3, 7, 0.5), ('C', 6, 9, 0.9)], "AC"),
            (&[('A', 0, 5, 0.5), ('B', 5, 8, 0.5)], "AB"),
            (&[('A', 0, 0, 0.5), ('B', 5, 8, 0.5)], "AAB"),
            (&[('A', 0, 3, 0.5), ('Z', 1, 1, 0.5), ('B', 5, 8, 0.5)], "AB"),
            (&[('A', 9, 12, 0.5), ('B', 0, 3, 0.5)], "BA"),
            (&[('A', 0, 5, f32::NAN), ('B', 0, 5, 0.5)], "A"),
        ] {
            assert_eq!(settled(&mut Overlaps::default(), spans, u32::MAX), expected, "{spans:?}");
        }
    }

    #[test]
    fn what_a_later_window_reaches_is_held_back() {
        let mut overlaps = Overlaps::default();
        assert_eq!(settled(&mut overlaps, &[('A', 0, 3, 0.5), ('B', 4, 6, 0.5), ('C', 7, 9, 0.5)], 6), "AB");
        // Longer than C, which so is never seen.
        assert_eq!(settled(&mut overlaps, &[('D', 6, 10, 0.1), ('E', 12, 13, 0.5)], 11), "D");
        assert_eq!(settled(&mut overlaps, &[('F', 12, 13, 0.9)], u32::MAX), "F");
    }

    #[test]
    fn what_was_given_out_is_neither_repeated_nor_changed() {
        let mut overlaps = Overlaps::default();
        assert_eq!(settled(&mut overlaps, &[('A', 0, 5, 0.1)], 5), "A");
        assert_eq!(settled(&mut overlaps, &[('Z', 5, 5, 0.9)], 5), "Z");
        assert_eq!(settled(&mut overlaps, &[('B', 5, 9, 0.9)], u32::MAX), "B");
        assert_eq!(settled(&mut overlaps, &[], u32::MAX), "");
    }
}
