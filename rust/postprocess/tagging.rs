//! What a tagger answers: spans of words with their class, or words with their tag.

use std::sync::Arc;

use super::bioes::{Run, has_spans, is_outside, runs};
use super::text::Text;
use super::viterbi;
use crate::types::{
    Encoded, Entity, Logits, Offset, OffsetUnit, RandomField, TokenClassificationOptions, Word, WordSource,
};

/// The entities of one text, in its order, whatever `aggregation_strategy` says: tags that begin and continue spans
/// become those spans, all others stand for their word. As the hosted API answers, which is what `word` is from: the
/// words, as far apart as in the text.
///
/// Of the options those are read: `ignore_labels`, `offset_unit`, `word`. Rows without a word and columns without a
/// label are passed over.
pub fn entities(
    encoded: &Encoded,
    emissions: &[Logits],
    labels: &[Arc<str>],
    field: Option<&RandomField>,
    options: &TokenClassificationOptions,
) -> Vec<Entity> {
    let (Some(window), Some(emissions)) = (encoded.windows.first(), emissions.first()) else { return Vec::new() };
    let tags = viterbi::tags(emissions, field);
    let tags: Vec<(&str, f32)> = tags.iter().filter_map(|&(tag, score)| Some((&**labels.get(tag)?, score))).collect();
    let runs = if has_spans(labels.iter().map(|label| &**label)) { runs(&tags) } else { words_alone(&tags) };
    let nothing = options.ignore_labels.contains(&None);
    let ignored = |class: &str| nothing || options.ignore_labels.iter().any(|label| label.as_deref() == Some(class));
    let text = Text::new(&encoded.text);
    let entity = |run: Run<'_>| {
        let (words, offsets) =
            (window.sentence.words.get(run.tokens.clone())?, window.offsets.get(run.tokens.clone())?);
        let offset = Offset { start: offsets.first()?.start, end: offsets.last()?.end };
        let word = match options.word {
            WordSource::Decoded => written(words),
            WordSource::Source => text.slice(offset).to_owned(),
        };
        Some(Entity { label: run.class.into(), score: run.score, index: None, word, offset })
    };
    let mut entities: Vec<Entity> = runs.into_iter().filter(|run| !ignored(run.class)).filter_map(entity).collect();
    if options.offset_unit != OffsetUnit::Char && !entities.is_empty() {
        text.convert(entities.iter_mut().map(|entity| &mut entity.offset), options.offset_unit);
    }
    entities
}

fn words_alone<'a>(tags: &[(&'a str, f32)]) -> Vec<Run<'a>> {
    let tagged = tags.iter().enumerate().filter(|(_, (tag, _))| !is_outside(tag));
    tagged.map(|(at, &(class, score))| Run { tokens: at..at + 1, class, score }).collect()
}

/// Words with as many spaces between them as there is white space.
fn written(words: &[Word]) -> String {
    let mut text = String::new();
    for word in words {
        text.push_str(&word.text);
        text.extend((0..word.gap).map(|_| ' '));
    }
    text.trim().to_owned()
}
