//! What a label says about its neighbours: its prefix, its type, and whether its group is filtered.

use std::sync::Arc;

use crate::types::{AggregationStrategy, Scheme, TokenClassificationOptions};

/// Where in an entity a token or word stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Begin,
    Inside,
    End,
    Single,
}

/// One label, read by a [`Scheme`].
///
/// | label | compat: place, kind, group | BIOES: place, kind, group |
/// |---|---|---|
/// | `B-PER` | begin `PER` `PER` | begin `PER` `PER` |
/// | `E-PER` | inside `E-PER` `PER` | end `PER` `PER` |
/// | `work-of-art` | inside `work-of-art` `of-art` | inside `work-of-art` `work-of-art` |
#[derive(Debug)]
pub(super) struct Tag<'a> {
    place: Place,
    /// What neighbours must share to be grouped.
    kind: &'a str,
    /// The name that the answer gets.
    pub(super) group: &'a str,
    /// The label `O` itself; never with [`Scheme::Compat`], which takes it for a type called `O`.
    outside: bool,
    /// Whether answers that start with this label are left out.
    pub(super) ignored: bool,
}

impl<'a> Tag<'a> {
    /// Reads every label of a model, by id.
    pub(super) fn all(labels: &'a [Arc<str>], options: &TokenClassificationOptions) -> Vec<Self> {
        labels.iter().map(|label| Self::new(label, options)).collect()
    }

    fn new(label: &'a str, options: &TokenClassificationOptions) -> Self {
        if options.aggregation_strategy == AggregationStrategy::None {
            // Every token stands alone under its full name, whatever the scheme.
            let ignored = ignores(options, label);
            return Self { place: Place::Single, kind: label, group: label, outside: false, ignored };
        }
        let compat = options.scheme == Scheme::Compat;
        let (place, kind) = split(label, options.scheme);
        // The reference cuts at the first hyphen, whether a prefix ends there or not.
        let group = if compat { label.split_once('-').map_or(label, |(_, rest)| rest) } else { kind };
        let outside = !compat && label == "O";
        // With a scheme, `O` in the list means the outside label, so that a type called O (`B-O`) is kept.
        let ignored = ignores(options, group) && (compat || outside || group != "O");
        Self { place, kind, group, outside, ignored }
    }

    /// Whether an entity with this tag joins the group whose last entity has the tag `last`.
    ///
    /// An inside or end tag after the outside, after another type or after a closed group opens one.
    pub(super) fn joins(&self, last: &Self) -> bool {
        matches!(self.place, Place::Inside | Place::End)
            && matches!(last.place, Place::Begin | Place::Inside)
            && self.kind == last.kind
            && self.outside == last.outside
    }
}

/// Whether a name is among the labels to leave out.
fn ignores(options: &TokenClassificationOptions, name: &str) -> bool {
    options.ignore_labels.iter().flatten().any(|ignored| ignored == name)
}

/// The prefix and what follows it; a label without a prefix of the scheme counts as inside.
fn split(label: &str, scheme: Scheme) -> (Place, &str) {
    let Some((prefix, kind)) = label.split_once('-') else { return (Place::Inside, label) };
    match (prefix, scheme) {
        ("B", _) => (Place::Begin, kind),
        ("I", _) => (Place::Inside, kind),
        ("E", Scheme::Bioes) | ("L", Scheme::Bilou) => (Place::End, kind),
        ("S", Scheme::Bioes) | ("U", Scheme::Bilou) => (Place::Single, kind),
        _ => (Place::Inside, label),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(scheme: Scheme) -> TokenClassificationOptions {
        TokenClassificationOptions {
            aggregation_strategy: AggregationStrategy::Simple,
            scheme,
            ..TokenClassificationOptions::default()
        }
    }

    /// The groups that a list of labels forms, as `name(number of members)`.
    fn groups(scheme: Scheme, labels: &[&str]) -> String {
        let labels: Vec<Arc<str>> = labels.iter().map(|&label| label.into()).collect();
        let options = options(scheme);
        let tags = Tag::all(&labels, &options);
        let mut groups: Vec<(&str, u32)> = Vec::new();
        for (i, tag) in tags.iter().enumerate() {
            match groups.last_mut() {
                Some((_, members)) if tag.joins(&tags[i - 1]) => *members += 1,
                _ => groups.push((tag.group, 1)),
            }
        }
        groups.iter().map(|(name, members)| format!("{name}({members})")).collect::<Vec<_>>().join(" ")
    }

    /// The table of the reference's own runs.
    #[test]
    fn compat_groups_as_the_reference() {
        for (labels, expected) in [
            (&["B-PER", "B-PER"][..], "PER(1) PER(1)"),
            (&["I-PER", "I-PER"], "PER(2)"),
            (&["I-PER", "B-PER"], "PER(1) PER(1)"),
            (&["B-PER", "I-PER", "I-LOC", "I-PER"], "PER(2) LOC(1) PER(1)"),
            (&["PER", "B-PER"], "PER(1) PER(1)"),
            (&["B-PER", "PER"], "PER(2)"),
            (&["PER", "I-PER"], "PER(2)"),
            (&["S-PER", "E-PER"], "PER(1) PER(1)"),
            (&["S-PER", "S-PER"], "PER(2)"),
            (&["E-PER", "I-PER"], "PER(1) PER(1)"),
            (&["b-PER", "b-PER"], "PER(2)"),
            (&["B_PER", "B_PER"], "B_PER(2)"),
            (&["work-of-art", "work-of-art"], "of-art(2)"),
            (&["B-work-of-art", "I-work-of-art"], "work-of-art(2)"),
            (&["work-of-art", "play-of-art"], "of-art(1) of-art(1)"),
            (&["I-PER", "I-PER-X"], "PER(1) PER-X(1)"),
            (&["-LRB-", "-LRB-"], "LRB-(2)"),
            (&["B-O", "I-O", "O"], "O(3)"),
            (&["B-", "I-"], "(2)"),
        ] {
            assert_eq!(groups(Scheme::Compat, labels), expected, "{labels:?}");
        }
    }

    #[test]
    fn schemes_open_and_close() {
        for (scheme, labels, expected) in [
            (Scheme::Bioes, &["B-PER", "I-PER", "E-PER", "I-PER"][..], "PER(3) PER(1)"),
            (Scheme::Bioes, &["S-PER", "E-PER", "E-PER"], "PER(1) PER(1) PER(1)"),
            (Scheme::Bioes, &["S-PER", "S-PER", "B-PER", "B-PER"], "PER(1) PER(1) PER(1) PER(1)"),
            (Scheme::Bioes, &["I-PER", "E-PER", "O", "O", "E-LOC"], "PER(2) O(2) LOC(1)"),
            (Scheme::Bioes, &["L-PER", "L-PER", "U-PER"], "L-PER(2) U-PER(1)"),
            (Scheme::Bilou, &["B-PER", "L-PER", "U-PER", "L-PER"], "PER(2) PER(1) PER(1)"),
            (Scheme::Bilou, &["E-PER", "S-PER"], "E-PER(1) S-PER(1)"),
            (Scheme::Iob2, &["B-PER", "I-PER", "E-PER"], "PER(2) E-PER(1)"),
            (Scheme::Iob2, &["work-of-art", "work-of-art", "-LRB-"], "work-of-art(2) -LRB-(1)"),
            (Scheme::Iob2, &["B-O", "I-O", "O", "I-O"], "O(2) O(1) O(1)"),
        ] {
            assert_eq!(groups(scheme, labels), expected, "{scheme} {labels:?}");
        }
    }

    #[test]
    fn a_type_called_o_is_lost_only_in_compat() {
        let labels: Vec<Arc<str>> = ["O", "B-O", "B-PER"].map(Into::into).to_vec();
        let ignored = |scheme| Tag::all(&labels, &options(scheme)).iter().map(|tag| tag.ignored).collect::<Vec<_>>();
        assert_eq!(ignored(Scheme::Compat), [true, true, false]);
        assert_eq!(ignored(Scheme::Iob2), [true, false, false]);
    }

    #[test]
    fn without_grouping_labels_stay_whole() {
        let labels: Vec<Arc<str>> = ["O", "B-O", "I-work-of-art"].map(Into::into).to_vec();
        let tags = Tag::all(&labels, &TokenClassificationOptions::default());
        assert_eq!(tags.iter().map(|tag| tag.group).collect::<Vec<_>>(), ["O", "B-O", "I-work-of-art"]);
        assert_eq!(tags.iter().map(|tag| tag.ignored).collect::<Vec<_>>(), [true, false, false]);
        assert!(!tags[2].joins(&tags[2]));
    }
}
