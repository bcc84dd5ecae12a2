//! The answer to a text while its windows are being computed.

use std::sync::Arc;

use super::aggregate::Units;
use super::merge::Overlaps;
use super::spans::{Span, Window};
use super::strings::Strings;
use super::tags::Tag;
use super::text::{Positions, Text};
use super::words::{Rule, Words};
use crate::types::{
    AggregationStrategy, Encoded, Encoding, Entity, Logits, OffsetUnit, TokenClassificationOptions, Vocabulary,
};

/// What an answer is made from, besides logits.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The text and its windows.
    pub encoded: &'a Encoded,
    /// The name of each column of the logits.
    pub labels: &'a [Arc<str>],
    /// The strings behind the ids.
    pub vocabulary: &'a dyn Vocabulary,
    /// How tokens become entities.
    pub options: &'a TokenClassificationOptions,
}

/// What is known of an answer. It borrows nothing, so that it can wait for the next window anywhere; every step is given
/// the same [`Source`] again.
///
/// The entities of all steps, one after the other, are those that [`entities`] gives when it is asked once.
///
/// [`entities`]: super::token_classification::entities
#[derive(Debug)]
pub struct Draft {
    positions: Positions,
    rule: Rule,
    /// For each window, the first position of the text that a later one reads.
    horizons: Vec<u32>,
    units: Units,
    overlaps: Overlaps,
    /// The next window.
    next: usize,
}

impl Draft {
    /// Before the first window.
    pub fn new(source: &Source) -> Self {
        let text = Text::new(&source.encoded.text);
        let rule = Rule::new(&text, source.vocabulary, source.options);
        let horizons = horizons(&source.encoded.windows);
        Self {
            positions: text.into_positions(),
            rule,
            horizons,
            units: Units::default(),
            overlaps: Overlaps::default(),
            next: 0,
        }
    }

    /// Takes in the logits of the next window, `[tokens, labels]`; gives the entities that are final by now and were
    /// not before: those that end where no later window reads.
    pub fn add(&mut self, source: &Source, logits: &Logits) -> Vec<Entity> {
        let mut entities = self.window(source, logits);
        self.convert(source, &mut entities);
        entities
    }

    /// The same with offsets in code points.
    pub(super) fn window(&mut self, source: &Source, logits: &Logits) -> Vec<Entity> {
        let Source { encoded, labels, vocabulary, options } = *source;
        let index = self.next;
        // `None` stands for the key that an entity does not have, so every entity has it.
        let nothing = labels.is_empty() || options.ignore_labels.contains(&None);
        let Some(encoding) = encoded.windows.get(index).filter(|_| !nothing) else { return Vec::new() };
        self.next += 1;
        let tags = Tag::all(labels, options);
        let start = self.units.units.len();
        let text = Text::with(&encoded.text, &self.positions);
        let words = Words::new(&text, vocabulary, &self.rule);
        self.units.add(encoding, logits, labels.len(), options.aggregation_strategy, &words);
        let mut spans = Vec::new();
        Window { index, encoding, units: &self.units, range: start..self.units.units.len() }.spans(&tags, &mut spans);
        if encoded.windows.len() > 1 {
            self.overlaps.add(spans);
            spans = self.overlaps.settle(self.horizons[index]);
        }
        self.entities(source, &tags, spans)
    }

    /// What was held back for windows that do not come.
    pub(super) fn rest(&mut self, source: &Source) -> Vec<Entity> {
        let spans = self.overlaps.settle(u32::MAX);
        self.entities(source, &Tag::all(source.labels, source.options), spans)
    }

    fn entities(&self, source: &Source, tags: &[Tag], spans: Vec<Span>) -> Vec<Entity> {
        let Source { encoded, labels, vocabulary, options } = *source;
        let text = Text::with(&encoded.text, &self.positions);
        let units = &self.units;
        let strings = Strings { encoded, text: &text, units, vocabulary, options };
        let entity = |span: Span| Entity {
            label: name(&labels[span.label], &tags[span.label]),
            score: span.score,
            index: (options.aggregation_strategy == AggregationStrategy::None)
                .then(|| units.units[span.units.start].first),
            word: strings.word(&span),
            offset: span.offset,
        };
        spans.into_iter().map(entity).collect()
    }

    /// From code points to the unit that was asked for, in one pass over the text.
    pub(super) fn convert(&self, source: &Source, entities: &mut [Entity]) {
        if source.options.offset_unit != OffsetUnit::Char && !entities.is_empty() {
            let text = Text::with(&source.encoded.text, &self.positions);
            text.convert(entities.iter_mut().map(|entity| &mut entity.offset), source.options.offset_unit);
        }
    }
}

/// For each window the least start of a token in those that follow it; after the last one, nothing follows.
fn horizons(windows: &[Encoding]) -> Vec<u32> {
    let start = |window: &Encoding| {
        let tokens = window.offsets.iter().zip(&window.special);
        tokens.filter(|(_, special)| !**special).map(|(offset, _)| offset.start).min().unwrap_or(u32::MAX)
    };
    let mut least = u32::MAX;
    let mut horizons: Vec<u32> = windows
        .iter()
        .rev()
        .map(|window| {
            let horizon = least;
            least = least.min(start(window));
            horizon
        })
        .collect();
    horizons.reverse();
    horizons
}

/// The name of a span, without a new string where the label keeps its prefix or has none.
fn name(label: &Arc<str>, tag: &Tag) -> Arc<str> {
    if tag.group.len() == label.len() { Arc::clone(label) } else { tag.group.into() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fake::Fake;
    use super::super::properties::{Case, case, comparable, options, vocabulary, windowed};
    use super::super::twin::naive;
    use super::*;

    /// What each window adds.
    fn steps(case: &Case, fake: &Fake, options: &TokenClassificationOptions) -> Vec<Vec<Entity>> {
        let source = Source { encoded: &case.encoded, labels: &case.labels, vocabulary: fake, options };
        let mut draft = Draft::new(&source);
        case.logits.iter().map(|logits| draft.add(&source, logits)).collect()
    }

    fn whole(case: &Case, fake: &Fake, options: &TokenClassificationOptions) -> Vec<Entity> {
        naive(&case.encoded, &case.logits, &case.labels, fake, options)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_steps_together_are_the_answer(case in windowed(), fake in vocabulary(), options in options()) {
            let found = steps(&case, &fake, &options).concat();
            prop_assert_eq!(comparable(&found), comparable(&whole(&case, &fake, &options)));
        }

        #[test]
        fn also_where_windows_and_offsets_make_no_sense(case in case(false), fake in vocabulary(), options in options()) {
            let found = steps(&case, &fake, &options).concat();
            prop_assert_eq!(comparable(&found), comparable(&whole(&case, &fake, &options)));
        }

        /// An entity of the answer is told by the first window after which no other reads what it covers.
        #[test]
        fn nothing_final_is_held_back(case in windowed(), fake in vocabulary(), mut options in options()) {
            options.offset_unit = OffsetUnit::Char;
            let answer = whole(&case, &fake, &options);
            let mut told = 0;
            for (step, horizon) in steps(&case, &fake, &options).iter().zip(horizons(&case.encoded.windows)) {
                told += step.len();
                let settled = |entity: &&Entity| entity.offset.start < horizon && entity.offset.end <= horizon;
                prop_assert!(told >= answer.iter().take_while(settled).count());
            }
        }
    }
}
