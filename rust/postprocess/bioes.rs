//! Tags with `B-`, `I-`, `E-`, `S-` become spans, as flair reads them.

use std::ops::Range;

/// A run of tokens of one class.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run<'a> {
    pub(super) tokens: Range<usize>,
    pub(super) class: &'a str,
    pub(super) score: f32,
}

/// Whether any of these tags begins or continues a span; otherwise each stands for a token alone.
pub(super) fn has_spans<'a>(mut tags: impl Iterator<Item = &'a str>) -> bool {
    tags.any(|tag| ["B-", "S-", "I-"].iter().any(|prefix| tag.starts_with(prefix)))
}

/// Whether a tag stands for nothing.
pub(super) fn is_outside(tag: &str) -> bool {
    matches!(tag, "" | "O" | "_")
}

/// The spans of a sentence. `B-` and `S-` begin one, `I-` does where the class changes, `E-` never does: it continues
/// whatever there is. The class of a span is that of most of its tokens, the one that began it counting a little more; its
/// score is their mean.
///
/// Source: `get_spans_from_bio` of flair 0.15.1.
pub(super) fn runs<'a>(tags: &[(&'a str, f32)]) -> Vec<Run<'a>> {
    let mut found: Vec<Run<'a>> = Vec::new();
    let (mut open, mut before): (Option<Open<'a>>, &str) = (None, "");
    for (at, &(tag, score)) in tags.iter().enumerate() {
        let outside = is_outside(tag);
        let (prefix, class) = if outside { ("O-", "") } else { split(tag) };
        let changes = !outside && class != before && (prefix == "I-" || before == "S-");
        let begins = matches!(prefix, "B-" | "S-") || changes;
        if begins || outside {
            found.extend(open.take().map(|open| open.close(at)));
        }
        if !outside {
            open.get_or_insert_with(|| Open { start: at, scores: 0.0, weights: Vec::new() }).add(class, score, begins);
        }
        before = class;
    }
    found.extend(open.map(|open| open.close(tags.len())));
    found
}

/// A span that may go on.
struct Open<'a> {
    start: usize,
    scores: f64,
    /// Of each class, in the order in which they came.
    weights: Vec<(&'a str, f64)>,
}

impl<'a> Open<'a> {
    fn add(&mut self, class: &'a str, score: f32, begins: bool) {
        self.scores += f64::from(score);
        let weight = if begins { 1.1 } else { 1.0 };
        match self.weights.iter_mut().find(|(known, _)| *known == class) {
            Some((_, sum)) => *sum += weight,
            None => self.weights.push((class, weight)),
        }
    }

    fn close(self, end: usize) -> Run<'a> {
        let mut heaviest = self.weights[0];
        for &other in &self.weights[1..] {
            if other.1 > heaviest.1 {
                heaviest = other;
            }
        }
        let score = (self.scores / (end - self.start) as f64) as f32;
        Run { tokens: self.start..end, class: heaviest.0, score }
    }
}

/// A tag's first two characters, and its class behind them.
fn split(tag: &str) -> (&str, &str) {
    let end = tag.char_indices().nth(2).map_or(tag.len(), |(at, _)| at);
    tag.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(tags: &str) -> String {
        let tags: Vec<_> = tags.split(' ').map(|tag| (tag, 0.5)).collect();
        let runs = runs(&tags).into_iter().map(|run| format!("{}-{} {}", run.tokens.start, run.tokens.end, run.class));
        runs.collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn spans_begin_and_end_as_in_flair() {
        for (tags, expected) in [
            ("S-PER O S-LOC", "0-1 PER | 2-3 LOC"),
            ("B-PER I-PER E-PER O", "0-3 PER"),
            ("B-PER E-LOC", "0-2 PER"),           // E- begins nothing
            ("O E-LOC O", "1-2 LOC"),             // but may stand alone
            ("B-PER I-LOC", "0-1 PER | 1-2 LOC"), // the class changes
            ("I-PER I-PER", "0-2 PER"),
            ("E-PER B-PER", "0-1 PER | 1-2 PER"),
            ("S-A E-B E-B", "0-3 B"), // most tokens
            ("E-A E-B", "0-2 A"),     // the first of equals
            ("<unk> _ S-X", "0-1 nk> | 2-3 X"),
            ("O O", ""),
        ] {
            assert_eq!(show(tags), expected, "{tags}");
        }
    }

    #[test]
    fn a_score_is_the_mean() {
        let runs = runs(&[("B-X", 0.5), ("E-X", 1.0)]);
        assert_eq!(runs, [Run { tokens: 0..2, class: "X", score: 0.75 }]);
    }

    #[test]
    fn tags_without_prefixes_are_no_spans() {
        assert!(!has_spans(["O", "NOUN", "E-X"].into_iter()));
        assert!(has_spans(["O", "I-X"].into_iter()));
    }
}
