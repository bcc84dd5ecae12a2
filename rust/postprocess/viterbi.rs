//! The best tags of a sentence, and how sure each of them is.

use super::scores::softmax;
use crate::types::{Logits, RandomField};

/// For each token its tag and score.
pub type Tags = Vec<(usize, f32)>;

/// The tags of one sentence by its emissions, which depend on each other where there is a random field.
pub fn tags(emissions: &Logits, field: Option<&RandomField>) -> Tags {
    field.map_or_else(|| each_alone(emissions), |field| best_way(emissions, field))
}

/// The best way through a conditional random field. A token's score is the largest share among the best ways up to it,
/// each ending in another tag: neither that of its own tag nor of the whole sentence.
///
/// Sums are in float32 and in flair's order: after hundreds of tokens their rounding shows in the scores.
/// Source: `ViterbiDecoder` of flair 0.15.1.
fn best_way(emissions: &Logits, field: &RandomField) -> Tags {
    let tags = emissions.columns;
    let from = |tag: usize| &field.transitions[tag * tags..][..tags];
    let (mut best, mut before): (Vec<f32>, Vec<Vec<usize>>) = (Vec::new(), Vec::new());
    let mut scores = Vec::new();
    for row in emissions.rows() {
        let step = |(tag, &emission): (usize, &f32)| {
            if best.is_empty() {
                return (field.start, emission + from(tag)[field.start]);
            }
            largest(best.iter().zip(from(tag)).map(|(so_far, transition)| (emission + transition) + so_far))
        };
        let (backwards, next): (Vec<usize>, Vec<f32>) = row.iter().enumerate().map(step).unzip();
        scores.push(softmax_largest(&next));
        before.push(backwards);
        best = next;
    }
    let mut tag = largest(best.iter().zip(from(field.stop)).map(|(so_far, transition)| so_far + transition)).0;
    let mut found = Tags::with_capacity(scores.len());
    for (backwards, score) in before.iter().zip(&scores).rev() {
        found.push((tag, *score));
        tag = backwards[tag];
    }
    found.reverse();
    found
}

/// The most probable tag of each token.
fn each_alone(emissions: &Logits) -> Tags {
    emissions.rows().map(|row| (largest(row.iter().copied()).0, softmax_largest(row))).collect()
}

/// The first of the largest.
fn largest(values: impl Iterator<Item = f32>) -> (usize, f32) {
    let mut found = (0, f32::NEG_INFINITY);
    for (at, value) in values.enumerate() {
        if value > found.1 {
            found = (at, value);
        }
    }
    found
}

fn softmax_largest(row: &[f32]) -> f32 {
    let mut shares = Vec::with_capacity(row.len());
    softmax(row, &mut shares);
    largest(shares.into_iter()).1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every way through a sentence, and the score of the best.
    fn exhaustive(emissions: &Logits, field: &RandomField) -> f32 {
        let tags = emissions.columns;
        let rows: Vec<&[f32]> = emissions.rows().collect();
        let ways = (0..tags.pow(rows.len() as u32)).map(|way| {
            let tag = |at: usize| way / tags.pow(at as u32) % tags;
            let mut score = 0.0;
            let mut last = field.start;
            for (at, row) in rows.iter().enumerate() {
                score += row[tag(at)] + field.transitions[tag(at) * tags + last];
                last = tag(at);
            }
            score + field.transitions[field.stop * tags + last]
        });
        ways.fold(f32::NEG_INFINITY, f32::max)
    }

    fn score(emissions: &Logits, field: &RandomField, way: &Tags) -> f32 {
        let mut last = field.start;
        let mut score = 0.0;
        for (row, &(tag, _)) in emissions.rows().zip(way) {
            score += row[tag] + field.transitions[tag * emissions.columns + last];
            last = tag;
        }
        score + field.transitions[field.stop * emissions.columns + last]
    }

    proptest! {
        #[test]
        fn no_way_is_better(
            values in prop::collection::vec(-5.0..5.0_f32, 4..=20), transitions in prop::collection::vec(-5.0..5.0_f32, 16),
        ) {
            let emissions = Logits { values: values[..values.len() / 4 * 4].to_vec(), columns: 4 };
            let field = RandomField { transitions, start: 2, stop: 3 };
            let found = best_way(&emissions, &field);
            prop_assert_eq!(found.len(), emissions.rows().len());
            prop_assert!((score(&emissions, &field, &found) - exhaustive(&emissions, &field)).abs() < 1e-4);
        }
    }

    #[test]
    fn nothing_has_no_tags() {
        let none = Logits { values: vec![], columns: 2 };
        assert!(best_way(&none, &RandomField { transitions: vec![0.0; 4], start: 0, stop: 1 }).is_empty());
        assert!(each_alone(&none).is_empty());
    }

    #[test]
    fn a_score_is_the_largest_share_and_not_the_tags_own() {
        // The second token forces the first one's tag against its own emissions.
        let emissions = Logits { values: vec![0.0, 1.0, -9.0, -9.0, 5.0, 0.0, -9.0, -9.0], columns: 4 };
        let mut field = RandomField { transitions: vec![0.0; 16], start: 2, stop: 3 };
        field.transitions[1] = -100.0; // to 0 from 1
        let found = best_way(&emissions, &field);
        assert_eq!([found[0].0, found[1].0], [0, 0]);
        assert!((found[0].1 - 1.0 / (1.0 + (-1.0_f32).exp())).abs() < 1e-3, "{}", found[0].1);
    }
}
