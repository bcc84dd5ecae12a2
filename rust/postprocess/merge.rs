//! Windows of a long text overlap, and so may their answers.

use super::spans::Span;

/// Settles overlaps between the spans of all windows, in the order of the text.
///
/// A walk by start, where each span is compared with the one kept last, whatever their labels: if it starts inside
/// that one, the longer survives; of two equally long the one with the higher score; of equal scores the earlier.
/// Two surprises are the reference's: a survivor moves the end, so a chain `[0,5] [4,10] [9,11]` leaves only
/// `[4,10]`; and a first span of no length is answered twice, since it is compared with itself and does not start
/// inside.
pub(super) fn overlaps(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by_key(|span| span.offset.start);
    let Some(first) = spans.first() else { return spans };
    let mut kept = Vec::with_capacity(spans.len());
    let mut previous = first.clone();
    for span in spans {
        if (previous.offset.start..previous.offset.end).contains(&span.offset.start) {
            if length(&span) > length(&previous) || (length(&span) == length(&previous) && span.score > previous.score)
            {
                previous = span;
            }
        } else {
            kept.push(std::mem::replace(&mut previous, span));
        }
    }
    kept.push(previous);
    kept
}

/// Negative for offsets that a user gave the wrong way round.
fn length(span: &Span) -> i64 {
    i64::from(span.offset.end) - i64::from(span.offset.start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Offset;

    /// Merges `(name, start, end, score)` and returns the names that are left.
    fn merged(spans: &[(char, u32, u32, f32)]) -> String {
        let spans = spans.iter().map(|&(name, start, end, score)| Span {
            window: 0,
            units: 0..1,
            label: name as usize,
            score,
            offset: Offset { start, end },
        });
        overlaps(spans.collect()).iter().filter_map(|span| char::from_u32(span.label as u32)).collect()
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
            assert_eq!(merged(spans), expected, "{spans:?}");
        }
    }
}
