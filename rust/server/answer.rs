//! Answers as JSON. Scores are the f32 widened to f64, as the hosted API writes them.

use serde::Serialize;

use crate::error::{Error, Result};
use crate::types::{Entity, Label};

/// What a task answers to one input, and how the API nests it.
pub trait Answers {
    /// Whether the answer to a single input stands in a list of its own. Clients of text classification take the first
    /// item of the response, those of token classification take all of it.
    const NESTED: bool;

    /// The JSON values of one input, or `None` when a score is not a number.
    #[doc(hidden)]
    fn items(&self) -> Option<Vec<Item<'_>>>;

    /// Labels with their scores, best first.
    #[doc(hidden)]
    fn scores(&self) -> impl Iterator<Item = (&str, f32)>;
}

/// One entity or label; the order of the fields is that of the hosted API.
#[derive(Debug, Serialize)]
#[serde(untagged)]
#[doc(hidden)]
pub enum Item<'a> {
    Group { entity_group: &'a str, score: f64, word: &'a str, start: u32, end: u32 },
    Token { entity: &'a str, score: f64, index: usize, word: &'a str, start: u32, end: u32 },
    Label { label: &'a str, score: f64 },
}

impl Answers for Vec<Entity> {
    const NESTED: bool = false;

    fn items(&self) -> Option<Vec<Item<'_>>> {
        self.iter().map(entity).collect()
    }

    fn scores(&self) -> impl Iterator<Item = (&str, f32)> {
        self.iter().map(|entity| (&*entity.label, entity.score))
    }
}

impl Answers for Vec<Label> {
    const NESTED: bool = true;

    fn items(&self) -> Option<Vec<Item<'_>>> {
        self.iter().map(|label| Some(Item::Label { label: &label.label, score: score(label.score)? })).collect()
    }

    fn scores(&self) -> impl Iterator<Item = (&str, f32)> {
        self.iter().map(|label| (&*label.label, label.score))
    }
}

fn entity(entity: &Entity) -> Option<Item<'_>> {
    let Entity { label, word, offset, .. } = entity;
    let (score, start, end) = (score(entity.score)?, offset.start, offset.end);
    Some(match entity.index {
        None => Item::Group { entity_group: label, score, word, start, end },
        Some(index) => Item::Token { entity: label, score, index, word, start, end },
    })
}

fn score(score: f32) -> Option<f64> {
    score.is_finite().then_some(score.into())
}

pub(super) fn not_numbers() -> Error {
    Error::Backend("the model's scores are not numbers".to_owned())
}

/// The response body for the answers of a request.
pub(super) fn body<A: Answers>(answers: &[A], single: bool) -> Result<String> {
    let items: Option<Vec<_>> = answers.iter().map(Answers::items).collect();
    let items = items.ok_or_else(not_numbers)?;
    let written = match &items[..] {
        [only] if single && !A::NESTED => serde_json::to_string(only),
        _ => serde_json::to_string(&items),
    };
    written.map_err(|error| Error::Backend(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Offset;

    fn group(score: f32) -> Entity {
        let offset = Offset { start: 1, end: 4 };
        Entity { label: "PER".into(), score, index: None, word: "Ada \"A\"".into(), offset }
    }

    #[test]
    fn keys_stand_in_the_apis_order() {
        let token = Entity { index: Some(7), ..group(0.5) };
        assert_eq!(
            body(&[vec![group(0.5)]], true).unwrap(),
            r#"[{"entity_group":"PER","score":0.5,"word":"Ada \"A\"","start":1,"end":4}]"#
        );
        assert_eq!(
            body(&[vec![token]], true).unwrap(),
            r#"[{"entity":"PER","score":0.5,"index":7,"word":"Ada \"A\"","start":1,"end":4}]"#
        );
    }

    #[test]
    fn row_20_text_classification_is_always_nested() {
        let labels = vec![Label { label: "A".into(), score: 0.1 }];
        assert_eq!(
            body(std::slice::from_ref(&labels), true).unwrap(),
            r#"[[{"label":"A","score":0.10000000149011612}]]"#
        );
        assert_eq!(body(std::slice::from_ref(&labels), false).unwrap(), body(&[labels], true).unwrap());
    }

    #[test]
    fn rows_14_and_15_of_entities() {
        let none: Vec<Entity> = Vec::new();
        assert_eq!(body(std::slice::from_ref(&none), true).unwrap(), "[]");
        assert_eq!(body(std::slice::from_ref(&none), false).unwrap(), "[[]]");
        assert_eq!(body(&[none.clone(), none], false).unwrap(), "[[],[]]");
    }

    #[test]
    fn row_71_scores_come_back_as_the_same_f32_and_are_never_null() {
        for score in [f32::MIN_POSITIVE, 1e-7, 0.1, 0.999_999_94, 1.0, 0.0] {
            let text = body(&[vec![Label { label: "A".into(), score }]], true).unwrap();
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value[0][0]["score"].as_f64().unwrap() as f32, score);
        }
        for score in [f32::NAN, f32::INFINITY] {
            assert_eq!(body(&[vec![group(score)]], true).unwrap_err().kind(), "backend");
        }
    }
}
