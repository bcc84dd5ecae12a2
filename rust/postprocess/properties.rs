//! Properties that hold for any logits, any offsets and any options; first of all, that the answers are the twin's.

use std::sync::Arc;

use proptest::prelude::*;

use super::fake::{Fake, byte_level, metaspace, names, wordpiece};
use super::token_classification::entities;
use super::twin::naive;
use crate::types::{
    AggregationStrategy, Encoded, Encoding, Entity, Logits, Offset, OffsetUnit, Scheme,
    TokenClassificationOptions as Options, WordBoundary, WordSource,
};

/// Everything but the score's bits can be compared; NaN is NaN.
pub(super) fn comparable(entities: &[Entity]) -> Vec<String> {
    let score = |score: f32| if score.is_nan() { "NaN".to_owned() } else { format!("{:08x}", score.to_bits()) };
    let line = |e: &Entity| format!("{} {} {:?} {:?} {:?}", e.label, score(e.score), e.index, e.word, e.offset);
    entities.iter().map(line).collect()
}

const LABELS: [&str; 17] = [
    "O",
    "B-PER",
    "I-PER",
    "E-PER",
    "S-PER",
    "L-PER",
    "U-PER",
    "PER",
    "B-O",
    "I-O",
    "work-of-art",
    "play-of-art",
    "B-",
    "I-",
    "-LRB-",
    "b-PER",
    "I-LOC",
];
const TOKENS: [&str; 12] = ["[UNK]", "New", "##w", "York", "▁Yo", "▁", "Ġa", "cafÃ©", "é", ".", "한", "\u{200b}"];

#[derive(Debug)]
pub(super) struct Case {
    pub(super) encoded: Encoded,
    pub(super) logits: Vec<Logits>,
    pub(super) labels: Vec<Arc<str>>,
}

fn logit() -> impl Strategy<Value = f32> {
    prop_oneof![
        6 => prop::sample::select(vec![0.0f32, 1.0, 2.0, 5.0]), // for ties
        6 => -9.0f32..9.0,
        1 => any::<f32>(),
    ]
}

fn position(text_length: u32) -> impl Strategy<Value = u32> {
    prop_oneof![9 => 0..=text_length, 1 => 0..=text_length + 3, 1 => any::<u32>()]
}

/// One token: id, offset, special, word id.
type Drawn = (u32, Offset, bool, Option<u32>);

fn token(text_length: u32) -> impl Strategy<Value = Drawn> {
    let offset = (position(text_length), position(text_length)).prop_map(|(start, end)| Offset { start, end });
    (0..TOKENS.len() as u32 + 1, offset, prop::bool::weighted(0.1), prop::option::weighted(0.9, 0..4u32))
}

/// Tokens in the order of the text and inside it, as tokenizers give them.
fn ordered(mut tokens: Vec<Drawn>, text_length: u32) -> Vec<Drawn> {
    for (_, offset, ..) in &mut tokens {
        let (a, b) = (offset.start.min(text_length), offset.end.min(text_length));
        *offset = Offset { start: a.min(b), end: a.max(b) };
    }
    tokens.sort_by_key(|(_, offset, ..)| offset.start);
    for i in 1..tokens.len() {
        let next = tokens[i].1.start;
        let before = &mut tokens[i - 1].1;
        before.end = before.end.min(next);
    }
    tokens
}

fn encoding(tokens: &[Drawn]) -> Encoding {
    Encoding {
        ids: tokens.iter().map(|token| token.0).collect(),
        type_ids: vec![0; tokens.len()],
        offsets: tokens.iter().map(|token| token.1).collect(),
        special: tokens.iter().map(|token| token.2).collect(),
        word_ids: tokens.iter().map(|token| token.3).collect(),
        ..Encoding::default()
    }
}

/// A text whose tokens are read in windows of up to `capacity`, each sharing tokens with the one before, as tokenizers
/// cut them; with `backwards` from its end.
pub(super) fn windowed() -> impl Strategy<Value = Case> {
    let text = prop_oneof!["[ab .,'\n-]{0,40}", "[a é😀한\u{301}\u{202f}.\n\t3]{0,40}"];
    let labels = prop::sample::subsequence(LABELS.to_vec(), 1..=LABELS.len());
    (text, labels, 1..12usize, any::<prop::sample::Index>(), prop::bool::weighted(0.1))
        .prop_flat_map(|(text, labels, capacity, stride, backwards)| {
            let tokens = prop::collection::vec(token(text.chars().count() as u32), 1..40);
            let rows = prop::collection::vec(prop::collection::vec(logit(), labels.len()), 40 * 12);
            (Just(text), Just(labels), tokens, rows, Just((capacity, stride.index(capacity), backwards)))
        })
        .prop_map(|(text, labels, tokens, rows, (capacity, stride, backwards))| {
            let tokens = ordered(tokens, text.chars().count() as u32);
            let (mut windows, mut logits, mut rows) = (Vec::new(), Vec::new(), rows.into_iter());
            let mut from = 0;
            loop {
                let to = (from + capacity).min(tokens.len());
                let range = if backwards { tokens.len() - to..tokens.len() - from } else { from..to };
                logits.push(Logits {
                    values: rows.by_ref().take(range.len()).flatten().collect(),
                    columns: labels.len(),
                });
                windows.push(encoding(&tokens[range]));
                if to == tokens.len() {
                    break;
                }
                from = to - stride;
            }
            Case { encoded: Encoded { text: text.into(), windows, cut: None }, logits, labels: names(&labels) }
        })
}

pub(super) fn case(sorted: bool) -> impl Strategy<Value = Case> {
    let text = prop_oneof!["[ab .,'\n-]{0,40}", "[a é😀한\u{301}\u{202f}.\n\t3]{0,40}"];
    let labels = prop::sample::subsequence(LABELS.to_vec(), 1..=LABELS.len());
    (text, labels, 1..4usize)
        .prop_flat_map(move |(text, labels, windows)| {
            let length = text.chars().count() as u32;
            let row = prop::collection::vec(logit(), labels.len());
            let window = prop::collection::vec((token(length), row), 0..24);
            (Just(text), Just(labels), prop::collection::vec(window, windows))
        })
        .prop_map(move |(text, labels, drawn)| {
            let length = text.chars().count() as u32;
            let (mut windows, mut logits) = (Vec::new(), Vec::new());
            for window in drawn {
                let (mut tokens, rows): (Vec<Drawn>, Vec<Vec<f32>>) = window.into_iter().unzip();
                if sorted {
                    tokens = ordered(tokens, length);
                }
                windows.push(encoding(&tokens));
                logits.push(Logits { values: rows.concat(), columns: labels.len() });
            }
            Case { encoded: Encoded { text: text.into(), windows, cut: None }, logits, labels: names(&labels) }
        })
}

pub(super) fn options() -> impl Strategy<Value = Options> {
    fn name<T: std::str::FromStr<Err: std::fmt::Debug> + std::fmt::Debug>(
        names: &'static [&'static str],
    ) -> impl Strategy<Value = T> {
        prop::sample::select(names).prop_map(|name| name.parse().unwrap())
    }
    let ignored = prop::sample::subsequence(vec![Some("O"), Some("PER"), Some("B-PER"), Some("of-art"), None], 0..3);
    (
        name::<AggregationStrategy>(AggregationStrategy::NAMES),
        ignored,
        name::<OffsetUnit>(OffsetUnit::NAMES),
        name::<WordSource>(WordSource::NAMES),
        prop_oneof![Just(WordBoundary::Compat), name(WordBoundary::NAMES)],
        prop_oneof![Just(Scheme::Compat), name(Scheme::NAMES)],
    )
        .prop_map(|(aggregation_strategy, ignored, offset_unit, word, word_boundary, scheme)| Options {
            aggregation_strategy,
            ignore_labels: ignored.into_iter().map(|label| label.map(str::to_owned)).collect(),
            offset_unit,
            word,
            word_boundary,
            scheme,
            ..Options::default()
        })
}

pub(super) fn vocabulary() -> impl Strategy<Value = Fake> {
    (0..3_usize, prop::option::of(Just(0))).prop_map(|(kind, unk)| {
        let fake = [wordpiece, metaspace, byte_level][kind]();
        Fake { tokens: TOKENS.map(Into::into).to_vec(), unk, ..fake }
    })
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} unk {:?}", self.decoder, self.unk)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_are_the_twins(case in case(false), fake in vocabulary(), options in options()) {
        let Case { encoded, logits, labels } = &case;
        let fast = entities(encoded, logits, labels, &fake, &options);
        prop_assert_eq!(comparable(&fast), comparable(&naive(encoded, logits, labels, &fake, &options)));
    }

    #[test]
    fn answers_of_ordered_tokens_are_the_twins(case in case(true), fake in vocabulary(), options in options()) {
        let Case { encoded, logits, labels } = &case;
        let fast = entities(encoded, logits, labels, &fake, &options);
        prop_assert_eq!(comparable(&fast), comparable(&naive(encoded, logits, labels, &fake, &options)));
    }

    #[test]
    fn answers_stand_in_the_text_in_order(mut case in case(true), fake in vocabulary(), mut options in options()) {
        case.encoded.windows.truncate(1);
        options.offset_unit = OffsetUnit::Byte;
        options.word = WordSource::Source;
        let found = entities(&case.encoded, &case.logits, &case.labels, &fake, &options);
        let ignored = |entity: &Entity| options.ignore_labels.contains(&Some(entity.label.to_string()));
        prop_assert!(options.scheme != Scheme::Compat || !found.iter().any(ignored));
        prop_assert!(found.is_sorted_by_key(|entity| entity.offset.start));
        for Entity { word, offset, score, .. } in found {
            prop_assert!(score.is_nan() || (0.0..=1.0001).contains(&score), "score {}", score);
            prop_assert_eq!(case.encoded.text.get(offset.start as usize..offset.end as usize), Some(&*word));
        }
    }

    /// Where every label begins an entity, grouping changes nothing but the names.
    #[test]
    fn simple_is_none_when_nothing_joins(mut case in case(false), fake in vocabulary(), mut options in options()) {
        case.labels = (0..case.labels.len()).map(|id| format!("B-{id}").into()).collect();
        let mut found = [AggregationStrategy::None, AggregationStrategy::Simple].map(|strategy| {
            options.aggregation_strategy = strategy;
            options.word = WordSource::Source;
            entities(&case.encoded, &case.logits, &case.labels, &fake, &options)
        });
        for entity in &mut found[0] {
            entity.label = entity.label[2..].into();
            entity.index = None;
        }
        prop_assert_eq!(comparable(&found[0]), comparable(&found[1]));
    }

    /// Arrays that do not fit each other are cut to the shortest.
    #[test]
    fn misfits_are_passed_over(mut case in case(false), fake in vocabulary(), options in options(), cut in 0..9usize) {
        for (encoding, logits) in case.encoded.windows.iter_mut().zip(&mut case.logits) {
            match cut {
                0 => encoding.ids.truncate(1),
                1 => encoding.offsets.clear(),
                2 => encoding.special.truncate(3),
                3 => encoding.word_ids.truncate(2),
                4 => logits.columns = 0,
                5 => logits.columns += 1,
                6 => logits.values.truncate(5),
                7 => case.labels.truncate(1),
                _ => case.labels.clear(),
            }
        }
        entities(&case.encoded, &case.logits, &case.labels, &fake, &options);
    }
}
