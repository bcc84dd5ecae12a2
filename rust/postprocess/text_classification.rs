//! Text classification: one row of logits becomes labels with scores, best first.

use std::cmp::Ordering;
use std::sync::Arc;

use super::scores::{sigmoid, softmax};
use crate::config::ProblemType;
use crate::types::{Function, Label, TopK};

/// The labels of one text, best first; equal scores stay in the order of the label ids.
///
/// `logits` has one value per label. Ordering looks at the scores and not at the logits: where the sigmoid saturates
/// the lowest id wins. A NaN counts as the largest score, so [`TopK::Count`]`(1)` is the reference's first maximum.
///
/// Source: `TextClassificationPipeline.postprocess` of transformers 5.18.
///
/// ```
/// use candlewick::postprocess::text_classification::labels_of;
/// use candlewick::{Function, TopK};
/// let labels = ["NEGATIVE".into(), "POSITIVE".into()];
/// let best = labels_of(&[-2.0, 2.0], &labels, Function::Default, None, TopK::Count(1));
/// assert_eq!(best[0].label.as_ref(), "POSITIVE");
/// assert!((best[0].score - 0.982).abs() < 1e-3);
/// ```
pub fn labels_of(
    logits: &[f32],
    labels: &[Arc<str>],
    function: Function,
    problem_type: Option<ProblemType>,
    top_k: TopK,
) -> Vec<Label> {
    let scores = match resolve(function, problem_type, labels.len()) {
        Function::Sigmoid => logits.iter().map(|&logit| sigmoid(logit)).collect(),
        Function::Softmax => {
            let mut scores = Vec::new();
            softmax(logits, &mut scores);
            scores
        }
        Function::None | Function::Default => logits.to_vec(),
    };
    let mut ranked: Vec<(f32, &Arc<str>)> = scores.into_iter().zip(labels).collect();
    ranked.sort_by(|(a, _), (b, _)| descending(*a, *b));
    ranked.truncate(kept(top_k, ranked.len()));
    ranked.into_iter().map(|(score, label)| Label { label: Arc::clone(label), score }).collect()
}

/// What [`Function::Default`] stands for: raw values for a regression, else a sigmoid where labels are independent or
/// there is only one, else a softmax. So one label without a problem type is a sigmoid, not a regression.
///
/// Gives [`Function::None`] for a model without labels, and never [`Function::Default`].
pub fn resolve(function: Function, problem_type: Option<ProblemType>, labels: usize) -> Function {
    match (function, problem_type) {
        (Function::Default, Some(ProblemType::Regression)) => Function::None,
        (Function::Default, Some(ProblemType::MultiLabel)) => Function::Sigmoid,
        (Function::Default, _) if labels == 1 => Function::Sigmoid,
        (Function::Default, Some(ProblemType::SingleLabel)) => Function::Softmax,
        (Function::Default, None) => {
            if labels > 1 {
                Function::Softmax
            } else {
                Function::None
            }
        }
        (explicit, _) => explicit,
    }
}

fn descending(a: f32, b: f32) -> Ordering {
    b.partial_cmp(&a).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// Length of Python's `[:k]`.
fn kept(top_k: TopK, len: usize) -> usize {
    match top_k {
        TopK::All => len,
        TopK::Count(k) => {
            let count = usize::try_from(k.unsigned_abs()).unwrap_or(usize::MAX);
            if k < 0 { len.saturating_sub(count) } else { len.min(count) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(count: usize) -> Vec<Arc<str>> {
        (0..count).map(|id| format!("LABEL_{id}").into()).collect()
    }

    /// The ids of the answered labels, best first.
    fn ids(logits: &[f32], function: Function, top_k: i64) -> Vec<usize> {
        let labels = names(logits.len());
        let answer = labels_of(logits, &labels, function, None, TopK::Count(top_k));
        answer.iter().map(|found| labels.iter().position(|label| *label == found.label).unwrap()).collect()
    }

    #[test]
    fn the_problem_type_chooses_the_function() {
        use ProblemType::{MultiLabel, Regression, SingleLabel};
        for (problem, labels, expected) in [
            (Some(Regression), 1, Function::None),
            (Some(Regression), 3, Function::None),
            (Some(MultiLabel), 3, Function::Sigmoid),
            (Some(SingleLabel), 3, Function::Softmax),
            (Some(SingleLabel), 1, Function::Sigmoid),
            (None, 1, Function::Sigmoid),
            (None, 2, Function::Softmax),
            (None, 0, Function::None),
        ] {
            assert_eq!(resolve(Function::Default, problem, labels), expected, "{problem:?} with {labels} labels");
            assert_eq!(resolve(Function::Softmax, problem, labels), Function::Softmax);
        }
    }

    #[test]
    fn ties_and_saturated_scores_go_to_the_lowest_id() {
        assert_eq!(ids(&[20.0, 30.0, 25.0], Function::Sigmoid, 9), [0, 1, 2]);
        assert_eq!(ids(&[20.0, 30.0, 25.0], Function::None, 9), [1, 2, 0]);
        assert_eq!(ids(&[0.0, 1.0, 1.0, 0.0], Function::Softmax, 9), [1, 2, 0, 3]);
        assert_eq!(ids(&[0.0, -0.0], Function::None, 9), [0, 1]);
    }

    #[test]
    fn top_k_is_a_python_slice() {
        let logits = [0.0, 3.0, 2.0, 1.0];
        for (k, expected) in
            [(0, &[][..]), (1, &[1]), (2, &[1, 2]), (9, &[1, 2, 3, 0]), (-1, &[1, 2, 3]), (-9, &[]), (i64::MIN, &[])]
        {
            assert_eq!(ids(&logits, Function::Softmax, k), expected, "top_k {k}");
        }
    }

    #[test]
    fn nan_counts_as_the_largest() {
        assert_eq!(ids(&[1.0, f32::NAN, 2.0, f32::NAN], Function::None, 9), [1, 3, 2, 0]);
        let best = labels_of(&[1.0, f32::NAN], &names(2), Function::Default, None, TopK::Count(1));
        assert!(best[0].score.is_nan());
        assert_eq!(best[0].label.as_ref(), "LABEL_0"); // softmax makes all of them NaN
    }

    proptest! {
        #[test]
        fn any_logits_are_answered(
            logits in prop::collection::vec(any::<f32>(), 0..40),
            function in prop::sample::select(vec![Function::Default, Function::Sigmoid, Function::Softmax, Function::None]),
            k in any::<i64>(),
        ) {
            let labels = names(logits.len());
            let all = labels_of(&logits, &labels, function, None, TopK::All);
            prop_assert_eq!(all.len(), logits.len());
            prop_assert!(all.is_sorted_by(|a, b| a.score >= b.score || a.score.is_nan()));
            let some = labels_of(&logits, &labels, function, None, TopK::Count(k));
            prop_assert!(all.iter().zip(&some).all(|(a, b)| a.label == b.label));
        }
    }
}
