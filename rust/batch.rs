//! From encodings to batches: sorted by length, cut by tokens, ragged.

use crate::types::{Batch, Bounds, Encoding};

/// Tokens per forward pass: enough rows to use every core, few enough that what lies between two layers stays in the
/// cache.
pub const TOKENS: usize = 1_024;

/// The same for a tagger, which reads its weights with every step of all sequences: a few that are left for a second
/// batch take nearly as long as all (a page of 50 sentences, 1,150 tokens: 0.75 of the time in one batch).
pub const WORDS: usize = 4_096;

/// Groups sequences into batches: each holds indices into `lengths`, longest sequences first, so that sequences of
/// like length share a batch and the largest buffers are made once. No batch has more than `tokens` tokens (unless one
/// sequence alone has) or `sequences` sequences.
///
/// ```
/// use candlewick::batch::plan;
/// assert_eq!(plan(&[3, 9, 4], 8, 2), vec![vec![1], vec![2, 0]]);
/// ```
pub fn plan(lengths: &[usize], tokens: usize, sequences: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(lengths[index]));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut room = 0;
    for index in order {
        match batches.last_mut() {
            Some(batch) if lengths[index] <= room && batch.len() < sequences => {
                room -= lengths[index];
                batch.push(index);
            }
            _ => {
                room = tokens.saturating_sub(lengths[index]);
                batches.push(vec![index]);
            }
        }
    }
    batches
}

impl Batch {
    /// Sequences one after the other; segment ids at or above `segments` become 0, as for networks that know fewer.
    pub fn new(sequences: &[&Encoding], segments: usize) -> Self {
        let known = |id: &u32| if (*id as usize) < segments { *id } else { 0 };
        Self {
            ids: sequences.iter().flat_map(|sequence| &sequence.ids).copied().collect(),
            type_ids: sequences.iter().flat_map(|sequence| &sequence.type_ids).map(known).collect(),
            bounds: Bounds::from_lengths(sequences.iter().map(|sequence| sequence.len())),
            tracks: sequences.iter().map(|sequence| sequence.sentence.tracks.clone()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_sequence_is_in_one_batch_within_the_limits(
            lengths in prop::collection::vec(1_usize..600, 0..80),
            tokens in 1_usize..2_000,
            sequences in 1_usize..20,
        ) {
            let batches = plan(&lengths, tokens, sequences);
            let mut seen: Vec<usize> = batches.iter().flatten().copied().collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
            for batch in batches {
                let total: usize = batch.iter().map(|&index| lengths[index]).sum();
                prop_assert!(!batch.is_empty() && batch.len() <= sequences);
                prop_assert!(total <= tokens || batch.len() == 1);
            }
        }
    }
}
