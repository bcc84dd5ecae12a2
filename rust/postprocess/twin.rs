//! The reference's rules written down once more, word for word and without any care for speed, to be compared with.

use std::sync::Arc;

use unicode_segmentation::UnicodeSegmentation;

use super::fake::Fake;
use crate::types::{
    AggregationStrategy, Encoded, Encoding, Entity, Logits, Offset, OffsetUnit, Scheme,
    TokenClassificationOptions as Options, Vocabulary, WordBoundary, WordSource,
};

#[derive(Clone, Debug)]
struct PreEntity {
    word: String,
    scores: Vec<f32>,
    offset: Offset,
    index: usize,
    is_subword: bool,
}

fn python_slice(text: &str, start: u32, end: u32) -> String {
    let chars: Vec<char> = text.chars().collect();
    let (start, end) = ((start as usize).min(chars.len()), (end as usize).min(chars.len()));
    if start < end { chars[start..end].iter().collect() } else { String::new() }
}

fn softmax(row: &[f32]) -> Vec<f32> {
    let max = row.iter().fold(f32::NEG_INFINITY, |a, &b| if a.is_nan() || b.is_nan() { f32::NAN } else { a.max(b) });
    let exp: Vec<f32> = row.iter().map(|x| (x - max).exp()).collect();
    let sum = numpy_sum(&exp);
    exp.iter().map(|x| x / sum).collect()
}

/// Only as far as a test has values: the order for more than 128 is checked in `scores.rs`.
fn numpy_sum(values: &[f32]) -> f32 {
    if values.len() < 8 {
        return values.iter().fold(0.0, |a, b| a + b);
    }
    let whole = values.len() / 8 * 8;
    let r: Vec<f32> = (0..8).map(|j| (j + 8..whole).step_by(8).fold(values[j], |sum, i| sum + values[i])).collect();
    let tree = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
    values[whole..].iter().fold(tree, |a, b| a + b)
}

fn nan_mean(values: &[f32]) -> f32 {
    let zeroed: Vec<f32> = values.iter().map(|x| if x.is_nan() { 0.0 } else { *x }).collect();
    numpy_sum(&zeroed) / values.iter().filter(|x| !x.is_nan()).count() as f32
}

fn argmax(scores: &[f32]) -> usize {
    if let Some(nan) = scores.iter().position(|score| score.is_nan()) {
        return nan;
    }
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    scores.iter().position(|&score| score == max).unwrap()
}

fn gather_pre_entities(text: &str, encoding: &Encoding, logits: &Logits, fake: &Fake, o: &Options) -> Vec<PreEntity> {
    let mut pre_entities: Vec<PreEntity> = Vec::new();
    for (index, row) in logits.rows().enumerate() {
        if encoding.special[index] {
            continue;
        }
        let (id, offset) = (encoding.ids[index], encoding.offsets[index]);
        let mut word = fake.token(id).into_owned();
        let word_ref = python_slice(text, offset.start, offset.end);
        let previous = pre_entities.last().map(|previous| previous.index);
        let mut is_subword = match o.word_boundary {
            WordBoundary::Compat if fake.marks => word.chars().count() != word_ref.chars().count(),
            WordBoundary::Compat => {
                offset.start > 0 && !python_slice(text, offset.start - 1, offset.start.saturating_add(1)).contains(' ')
            }
            WordBoundary::Tokenizer => {
                encoding.word_ids[index].is_some()
                    && previous.map(|p| encoding.word_ids[p]) == Some(encoding.word_ids[index])
            }
            WordBoundary::Unicode => {
                previous.map(|p| segment(text, encoding.offsets[p].start)) == Some(segment(text, offset.start))
            }
        };
        if fake.unk == Some(id) {
            word = word_ref;
            is_subword &= o.word_boundary != WordBoundary::Compat;
        }
        pre_entities.push(PreEntity { word, scores: softmax(row), offset, index, is_subword });
    }
    pre_entities
}

/// The UAX #29 segment with the first character at or after `start` that is no space.
fn segment(text: &str, start: u32) -> Option<usize> {
    let (byte, _) = text.char_indices().skip(start as usize).find(|(_, c)| !c.is_whitespace())?;
    text.split_word_bound_indices().position(|(from, segment)| (from..from + segment.len()).contains(&byte))
}

struct Labelled {
    entity: String,
    score: f32,
    word: String,
    offset: Offset,
    index: Option<usize>,
}

fn aggregate_word(word: &[PreEntity], labels: &[Arc<str>], fake: &Fake, strategy: AggregationStrategy) -> Labelled {
    let scores = match strategy {
        AggregationStrategy::First => word[0].scores.clone(),
        AggregationStrategy::Max => {
            let mut best = &word[0].scores;
            for entity in word {
                if entity.scores[argmax(&entity.scores)] > best[argmax(best)] {
                    best = &entity.scores;
                }
            }
            best.clone()
        }
        _ => (0..labels.len())
            .map(|label| {
                let column: Vec<f32> = word.iter().map(|entity| entity.scores[label]).filter(|x| !x.is_nan()).collect();
                column.iter().fold(0.0, |a, b| a + b) / column.len() as f32
            })
            .collect(),
    };
    Labelled {
        entity: labels[argmax(&scores)].to_string(),
        score: scores[argmax(&scores)],
        word: fake.decode(&word.iter().map(|entity| entity.word.as_str().into()).collect::<Vec<_>>()),
        offset: Offset { start: word[0].offset.start, end: word[word.len() - 1].offset.end },
        index: None,
    }
}

fn aggregate(pre: &[PreEntity], labels: &[Arc<str>], fake: &Fake, o: &Options) -> Vec<Labelled> {
    if matches!(o.aggregation_strategy, AggregationStrategy::None | AggregationStrategy::Simple) {
        let labelled = |entity: &PreEntity| Labelled {
            entity: labels[argmax(&entity.scores)].to_string(),
            score: entity.scores[argmax(&entity.scores)],
            word: entity.word.clone(),
            offset: entity.offset,
            index: Some(entity.index),
        };
        return pre.iter().map(labelled).collect();
    }
    let mut words: Vec<Vec<PreEntity>> = Vec::new();
    for entity in pre {
        match words.last_mut() {
            Some(word) if entity.is_subword => word.push(entity.clone()),
            _ => words.push(vec![entity.clone()]),
        }
    }
    words.iter().map(|word| aggregate_word(word, labels, fake, o.aggregation_strategy)).collect()
}

fn prefix(label: &str, scheme: Scheme) -> (char, &str) {
    let known = match scheme {
        Scheme::Compat | Scheme::Iob2 => "BI",
        Scheme::Bioes => "BIES",
        Scheme::Bilou => "BILU",
    };
    let mut chars = label.chars();
    match (chars.next(), chars.next()) {
        (Some(prefix), Some('-')) if known.contains(prefix) => (prefix, &label[2..]),
        _ => ('I', label),
    }
}

/// Groups of entities with the name of each group and whether it is the outside.
fn group_entities(entities: &[Labelled], scheme: Scheme) -> Vec<(String, bool, Vec<&Labelled>)> {
    let mut groups: Vec<(String, bool, Vec<&Labelled>)> = Vec::new();
    for entity in entities {
        let (bi, tag) = prefix(&entity.entity, scheme);
        let outside = scheme != Scheme::Compat && entity.entity == "O";
        if let Some((_, group_outside, group)) = groups.last_mut() {
            let (last_bi, last_tag) = prefix(&group[group.len() - 1].entity, scheme);
            let open = !"ELSU".contains(last_bi) && !"BSU".contains(bi);
            if open && tag == last_tag && *group_outside == outside {
                group.push(entity);
                continue;
            }
        }
        let name = match scheme {
            Scheme::Compat => entity.entity.split_once('-').map_or(entity.entity.as_str(), |(_, rest)| rest),
            _ => tag,
        };
        groups.push((name.to_owned(), outside, vec![entity]));
    }
    groups
}

fn merge(mut entities: Vec<Entity>) -> Vec<Entity> {
    if entities.is_empty() {
        return entities;
    }
    entities.sort_by_key(|entity| entity.offset.start);
    let length = |entity: &Entity| i64::from(entity.offset.end) - i64::from(entity.offset.start);
    let mut merged = Vec::new();
    let mut previous = entities[0].clone();
    for entity in entities {
        if previous.offset.start <= entity.offset.start && entity.offset.start < previous.offset.end {
            let equal = length(&entity) == length(&previous);
            if length(&entity) > length(&previous) || (equal && entity.score > previous.score) {
                previous = entity;
            }
        } else {
            merged.push(previous);
            previous = entity;
        }
    }
    merged.push(previous);
    merged
}

pub(super) fn naive(
    encoded: &Encoded,
    logits: &[Logits],
    labels: &[Arc<str>],
    fake: &Fake,
    o: &Options,
) -> Vec<Entity> {
    let ignored = |name: &str| o.ignore_labels.iter().any(|label| label.as_deref() == Some(name));
    let mut all = Vec::new();
    for (encoding, logits) in encoded.windows.iter().zip(logits) {
        let pre_entities = gather_pre_entities(&encoded.text, encoding, logits, fake, o);
        let labelled = aggregate(&pre_entities, labels, fake, o);
        if o.aggregation_strategy == AggregationStrategy::None {
            for Labelled { entity, score, word, offset, index } in labelled {
                if !ignored(&entity) {
                    all.push(Entity { label: entity.into(), score, index, word, offset });
                }
            }
            continue;
        }
        for (name, outside, group) in group_entities(&labelled, o.scheme) {
            if ignored(&name) && (o.scheme == Scheme::Compat || outside || name != "O") {
                continue;
            }
            let scores: Vec<f32> = group.iter().map(|entity| entity.score).collect();
            all.push(Entity {
                label: name.into(),
                score: nan_mean(&scores),
                index: None,
                word: fake.decode(&group.iter().map(|entity| entity.word.as_str().into()).collect::<Vec<_>>()),
                offset: Offset { start: group[0].offset.start, end: group[group.len() - 1].offset.end },
            });
        }
    }
    if o.ignore_labels.contains(&None) {
        all.clear();
    }
    if encoded.windows.len() > 1 {
        all = merge(all);
    }
    for entity in &mut all {
        let Offset { start, end } = entity.offset;
        if o.word == WordSource::Source {
            entity.word = python_slice(&encoded.text, start, end);
        }
        let unit = |position| match o.offset_unit {
            OffsetUnit::Char => position,
            OffsetUnit::Utf16 => python_slice(&encoded.text, 0, position).encode_utf16().count() as u32,
            OffsetUnit::Byte => python_slice(&encoded.text, 0, position).len() as u32,
        };
        entity.offset = Offset { start: unit(start), end: unit(end) };
    }
    all
}
