//! The answer to one input, written where it was computed: a piece of a response's body.

use serde::Serialize;

use crate::error::{Error, Result};
use crate::server::{Answers, answer};

/// The JSON list of one input's answer.
///
/// # Errors
/// [`Error::Backend`] when a score is not a number.
pub(super) fn list<A: Answers>(answer: &A) -> Result<String> {
    let items = answer.items().ok_or_else(answer::not_numbers)?;
    serde_json::to_string(&items).map_err(|error| Error::Backend(error.to_string()))
}

/// The same as text-embeddings-inference writes it: scores in f32, before their labels.
///
/// # Errors
/// As for [`list`].
pub(super) fn plain_list<A: Answers>(answer: &A) -> Result<String> {
    #[derive(Serialize)]
    struct Plain<'a> {
        score: f32,
        label: &'a str,
    }
    let plain = |(label, score): (_, f32)| score.is_finite().then_some(Plain { score, label });
    let items: Vec<_> = answer.scores().map(plain).collect::<Option<_>>().ok_or_else(answer::not_numbers)?;
    serde_json::to_string(&items).map_err(|error| Error::Backend(error.to_string()))
}

/// The best label's score alone, in f32.
///
/// # Errors
/// As for [`list`].
pub(super) fn first_score<A: Answers>(answer: &A) -> Result<String> {
    let score = answer.scores().next().map(|(_, score)| score).filter(|score| score.is_finite());
    score.map(|score| serde_json::json!(score).to_string()).ok_or_else(answer::not_numbers)
}

/// Lists one after the other as one list.
pub(super) fn joined<'a>(lists: impl Iterator<Item = &'a str>) -> String {
    let mut joined = String::from("[");
    for items in lists.filter_map(|list| list.strip_prefix('[')?.strip_suffix(']')).filter(|items| !items.is_empty()) {
        if joined.len() > 1 {
            joined.push(',');
        }
        joined.push_str(items);
    }
    joined.push(']');
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_joined_and_empty_ones_leave_no_trace() {
        let of = |lists: &[&str]| joined(lists.iter().copied());
        assert_eq!(of(&["[]", r#"[{"a":[1]}]"#, "[]", "[2,3]", "[]"]), r#"[{"a":[1]},2,3]"#);
        assert_eq!((of(&["[]", "[]"]), of(&[])), ("[]".to_owned(), "[]".to_owned()));
    }
}
