//! Every token or word gets a label and a score: the strategies up to the point where neighbours are grouped.

use super::scores::{argmax, softmax};
use super::words::Words;
use crate::types::{AggregationStrategy, Encoding, Logits};

/// A token (`none`, `simple`) or a word (`first`, `average`, `max`) with its label; what the reference groups.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    /// Position of its first token in its window.
    pub(super) first: usize,
    /// Position of its last token.
    pub(super) last: usize,
    /// Id of its label.
    pub(super) label: usize,
}

/// The units of all windows one after the other, and beside each the score of its label.
#[derive(Debug, Default)]
pub(super) struct Units {
    pub(super) units: Vec<Unit>,
    pub(super) scores: Vec<f32>,
}

impl Units {
    /// Adds one window. `labels` is the number of labels: a column beyond it has no name and can't win.
    pub(super) fn add(
        &mut self,
        encoding: &Encoding,
        logits: &Logits,
        labels: usize,
        strategy: AggregationStrategy,
        words: &Words,
    ) {
        let tokens = tokens(encoding, logits);
        match strategy {
            AggregationStrategy::None | AggregationStrategy::Simple => self.each_token(tokens, labels),
            AggregationStrategy::First => self.first(grouped(tokens, encoding, words), labels),
            AggregationStrategy::Max => self.max(grouped(tokens, encoding, words), labels),
            AggregationStrategy::Average => self.average(grouped(tokens, encoding, words), labels),
        }
    }

    fn push(&mut self, first: usize, scores: &[f32]) {
        let label = argmax(scores);
        self.units.push(Unit { first, last: first, label });
        self.scores.push(scores.get(label).copied().unwrap_or(f32::NAN));
    }

    /// Extends the last unit to a token.
    fn extend(&mut self, last: usize) {
        if let Some(unit) = self.units.last_mut() {
            unit.last = last;
        }
    }

    fn each_token<'a>(&mut self, tokens: impl Iterator<Item = (usize, &'a [f32])>, labels: usize) {
        let mut scores = Vec::new();
        for (token, logits) in tokens {
            softmax(logits, &mut scores);
            self.push(token, named(&scores, labels));
        }
    }

    /// A word has the label and the score of its first token; the others are not even looked at.
    fn first<'a>(&mut self, tokens: impl Iterator<Item = (usize, &'a [f32], bool)>, labels: usize) {
        let mut scores = Vec::new();
        for (token, logits, opens) in tokens {
            if opens {
                softmax(logits, &mut scores);
                self.push(token, named(&scores, labels));
            }
            self.extend(token);
        }
    }

    /// A word has the label and the score of the token that is most certain of its own; the earliest of equal ones.
    ///
    /// Comparisons are Python's: a NaN is never larger, and a NaN in first place is never beaten.
    fn max<'a>(&mut self, tokens: impl Iterator<Item = (usize, &'a [f32], bool)>, labels: usize) {
        let mut scores = Vec::new();
        for (token, logits, opens) in tokens {
            softmax(logits, &mut scores);
            let scores = named(&scores, labels);
            if opens {
                self.push(token, scores);
            } else {
                self.challenge(scores);
            }
            self.extend(token);
        }
    }

    /// Gives the last unit the label of another row if that row is more certain.
    fn challenge(&mut self, scores: &[f32]) {
        let label = argmax(scores);
        let Some((unit, best)) = self.units.last_mut().zip(self.scores.last_mut()) else { return };
        if scores.get(label).is_some_and(|score| score > best) {
            unit.label = label;
            *best = scores[label];
        }
    }

    /// A word has the label with the highest mean over its tokens, which none of them need have chosen.
    ///
    /// The mean is numpy's `nanmean` over the token axis: rows added one after the other, those of NaN left out.
    fn average<'a>(&mut self, tokens: impl Iterator<Item = (usize, &'a [f32], bool)>, labels: usize) {
        let (mut scores, mut mean) = (Vec::new(), Mean::default());
        let mut word: Option<(usize, usize)> = None;
        for (token, logits, opens) in tokens {
            if opens && let Some((first, last)) = word.take() {
                self.push(first, mean.take());
                self.extend(last);
            }
            softmax(logits, &mut scores);
            mean.add(named(&scores, labels), word.is_none());
            word = Some((word.map_or(token, |(first, _)| first), token));
        }
        if let Some((first, last)) = word {
            self.push(first, mean.take());
            self.extend(last);
        }
    }
}

/// The mean of a word's rows.
#[derive(Default)]
struct Mean {
    sum: Vec<f32>,
    rows: usize,
}

impl Mean {
    /// Adds a row; with `restart` it is the first one.
    fn add(&mut self, scores: &[f32], restart: bool) {
        if restart {
            self.sum.clear();
            self.sum.resize(scores.len(), 0.0);
            self.rows = 0;
        }
        // Softmax rows are NaN as a whole, so the first value speaks for all.
        if scores.first().is_some_and(|score| score.is_nan()) {
            return;
        }
        for (sum, score) in self.sum.iter_mut().zip(scores) {
            *sum += score;
        }
        self.rows += 1;
    }

    /// The mean of the rows so far; NaN without any.
    fn take(&mut self) -> &[f32] {
        for sum in &mut self.sum {
            *sum /= self.rows as f32;
        }
        &self.sum
    }
}

/// The tokens that are classified, each with its position in the window and its row: all that the tokenizer's template
/// did not add. Special tokens that were typed in the text are among them.
fn tokens<'a>(encoding: &'a Encoding, logits: &'a Logits) -> impl Iterator<Item = (usize, &'a [f32])> {
    let Encoding { ids, offsets, special, word_ids, .. } = encoding;
    let whole = ids.len().min(offsets.len()).min(word_ids.len());
    let rows = logits.values.chunks_exact(logits.columns.max(1));
    let tokens = rows.zip(special).take(whole).enumerate();
    tokens.filter(|(_, (_, special))| !**special).map(|(token, (row, _))| (token, row))
}

/// The same with whether the token opens a word; a window's first token always does.
fn grouped<'a>(
    tokens: impl Iterator<Item = (usize, &'a [f32])>,
    encoding: &Encoding,
    words: &Words,
) -> impl Iterator<Item = (usize, &'a [f32], bool)> {
    let mut previous = None;
    tokens.map(move |(token, row)| {
        let opens = previous.is_none_or(|previous| words.opens(encoding, previous, token));
        previous = Some(token);
        (token, row, opens)
    })
}

/// The scores that have a label.
fn named(scores: &[f32], labels: usize) -> &[f32] {
    scores.get(..labels).unwrap_or(scores)
}
