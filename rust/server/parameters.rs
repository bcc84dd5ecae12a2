//! `parameters` of a request, for either task.

use std::ops::RangeInclusive;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::Settings;
use crate::error::Error;
use crate::pipeline::{Task, TextClassification, TokenClassification};
use crate::types::{
    AggregationStrategy, Function, LongText, TextClassificationOptions, TokenClassificationOptions, TopK, Truncation,
};

/// A task whose options can be read from a request.
pub trait Parameters: Task {
    /// Every parameter that the task knows.
    const NAMES: &[&str];
    /// Whether an unknown parameter is always an error.
    const STRICT: bool;
    /// Whether an input may be an object of `text` and `text_pair`.
    const PAIRS: bool;

    /// Takes the task's parameters out of `given`.
    #[doc(hidden)]
    fn read(given: &mut Given, settings: &Settings) -> Self::Options;
}

impl Parameters for TokenClassification {
    const NAMES: &[&str] = &["aggregation_strategy", "ignore_labels", "stride", "is_split_into_words", "delimiter"];
    const STRICT: bool = true;
    const PAIRS: bool = false;

    fn read(given: &mut Given, settings: &Settings) -> TokenClassificationOptions {
        let aggregation_strategy = given.name("aggregation_strategy").unwrap_or(settings.default_aggregation_strategy);
        let last = settings.max_tokens.saturating_sub(settings.special_tokens + 1) as u64;
        let stride = given.whole("stride", 0..=last);
        if stride.is_some() && aggregation_strategy == AggregationStrategy::None {
            given.refuse("aggregation_strategy", "one of simple, first, average, max together with stride", &"none");
        }
        let default = TokenClassificationOptions::default();
        TokenClassificationOptions {
            aggregation_strategy,
            stride: stride.map(|stride| stride as usize),
            ignore_labels: given.labels("ignore_labels").unwrap_or(default.ignore_labels),
            long_text: LongText::Truncate,
            ..TokenClassificationOptions::default()
        }
    }
}

impl Parameters for TextClassification {
    const NAMES: &[&str] = &["top_k", "function_to_apply", "return_all_scores", "truncation", "max_length", "padding"];
    const STRICT: bool = false;
    const PAIRS: bool = true;

    fn read(given: &mut Given, settings: &Settings) -> TextClassificationOptions {
        // Absent is the server's default, null is all.
        let named = given.has("top_k");
        let top_k = given.whole("top_k", 1..=u64::from(u32::MAX)).map(|k| TopK::Count(k as i64));
        let all = given.flag("return_all_scores") == Some(true);
        let default = if named || all { TopK::All } else { settings.default_top_k };
        given.ignore("padding"); // no effect on scores: nothing is padded here
        let function_to_apply = given.name::<Function>("function_to_apply").unwrap_or_default();
        let truncation = given.truncation("truncation").unwrap_or(Truncation::LongestFirst);
        let least = settings.special_tokens.max(1) as u64;
        let max_length = given.whole("max_length", least..=settings.max_tokens as u64);
        TextClassificationOptions {
            top_k: top_k.unwrap_or(default),
            function_to_apply,
            truncation,
            max_length: max_length.and_then(|length| std::num::NonZeroUsize::new(length as usize)),
            ..TextClassificationOptions::default()
        }
    }
}

/// Parameters that nobody has taken yet, and what was wrong with those that were.
#[derive(Debug, Default)]
#[doc(hidden)]
pub struct Given {
    pub(super) values: Map<String, Value>,
    pub(super) problems: Vec<Error>,
}

impl Given {
    fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// Whether a request says how many labels it wants.
    pub(super) fn ranks(&self) -> bool {
        self.has("top_k") || self.values.get("return_all_scores") == Some(&Value::Bool(true))
    }

    /// Notes a value that is not allowed; of a long one, its beginning.
    pub(super) fn refuse(&mut self, key: &'static str, expected: &str, got: &dyn std::fmt::Display) {
        let mut got = got.to_string();
        if let Some((end, _)) = got.char_indices().nth(60) {
            got.truncate(end);
            got.push('…');
        }
        self.problems.push(Error::parameter(key, expected, &got));
    }

    /// The value of a key; null is absent.
    fn take(&mut self, key: &str) -> Option<Value> {
        self.values.remove(key).filter(|value| !value.is_null())
    }

    fn ignore(&mut self, key: &str) {
        self.values.remove(key);
    }

    /// A whole number; 2.0 is one, "2" and true are not.
    fn whole(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.take(key)?;
        let whole = |number: f64| (number.fract() == 0.0 && number >= 0.0).then_some(number as u64);
        let number = value.as_u64().or_else(|| value.as_f64().and_then(whole));
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            self.refuse(key, &format!("a whole number from {} to {}", range.start(), range.end()), &value);
        }
        number
    }

    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let value = self.take(key)?;
        if !value.is_boolean() {
            self.refuse(key, "true or false", &value);
        }
        value.as_bool()
    }

    pub(super) fn string(&mut self, key: &'static str) -> Option<String> {
        let value = self.take(key)?;
        if let Value::String(text) = value {
            return Some(text);
        }
        self.refuse(key, "a string", &value);
        None
    }

    fn name<E: FromStr<Err = Error>>(&mut self, key: &'static str) -> Option<E> {
        match self.string(key)?.parse() {
            Ok(name) => Some(name),
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    fn truncation(&mut self, key: &'static str) -> Option<Truncation> {
        match self.values.get(key) {
            Some(Value::Bool(cut)) => {
                let strategy = if *cut { Truncation::LongestFirst } else { Truncation::DoNotTruncate };
                self.ignore(key);
                Some(strategy)
            }
            _ => self.name(key),
        }
    }

    fn labels(&mut self, key: &'static str) -> Option<Vec<Option<String>>> {
        let value = self.take(key)?;
        let labels = value.as_array().and_then(|list| {
            list.iter().map(|label| Some(Some(label.as_str()?.to_owned()))).collect::<Option<Vec<_>>>()
        });
        if labels.is_none() {
            self.refuse(key, "a list of labels", &value);
        }
        labels
    }
}
