//! `config.json` as far as the two tasks need it: architecture, labels, problem type. What a family's network needs
//! stands in that family's file under `models/`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::types::one_of;

/// The two tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// One label per token: names, places, parts of speech.
    TokenClassification,
    /// One answer per text or pair: sentiment, moderation, relevance.
    TextClassification,
}

impl Task {
    /// The name that pipelines use: `token-classification` or `text-classification`.
    pub fn name(self) -> &'static str {
        match self {
            Self::TokenClassification => "token-classification",
            Self::TextClassification => "text-classification",
        }
    }

    /// What an architecture's name ends with when it has this task's head.
    fn suffix(self) -> &'static str {
        match self {
            Self::TokenClassification => "ForTokenClassification",
            Self::TextClassification => "ForSequenceClassification",
        }
    }
}

/// What the scores of a text classification mean (`problem_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemType {
    /// The logits are the answer.
    Regression,
    /// Exactly one label holds.
    SingleLabel,
    /// Any number of labels may hold.
    MultiLabel,
}

/// A model's `config.json`.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file, for messages.
    pub file: PathBuf,
    /// `model_type`: the network's family.
    pub model_type: String,
    /// The task of `architectures[0]`; `None` when the key is absent.
    pub task: Option<Task>,
    /// `architectures[0]`, if given.
    pub architecture: Option<String>,
    /// The labels, by id.
    pub labels: Vec<Arc<str>>,
    /// `problem_type`, if given and known.
    pub problem_type: Option<ProblemType>,
    values: Map<String, Value>,
}

impl Config {
    /// Reads `folder/config.json`.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`] without the file, [`Error::ModelFormat`] when it is not an object or its labels have
    /// gaps, [`Error::Unsupported`] when its architecture has neither task's head.
    pub fn load(folder: &Path) -> Result<Self> {
        let file = folder.join("config.json");
        let values = read_object(&file)?;
        Self::from_values(file, values)
    }

    /// The same from the text of a `config.json`; `file` is used in messages.
    ///
    /// # Errors
    /// As for [`Config::load`].
    pub fn parse(file: &Path, text: &str) -> Result<Self> {
        Self::from_values(file.to_owned(), parse_object(file, text)?)
    }

    fn from_values(file: PathBuf, values: Map<String, Value>) -> Result<Self> {
        let text = |key| values.get(key).and_then(Value::as_str).map(str::to_owned);
        let model_type =
            text("model_type").ok_or_else(|| Error::format(&file, "model_type: expected a string, got none"))?;
        let architecture = values.get("architectures").and_then(|list| list.get(0)).and_then(Value::as_str);
        let task = architecture.map(task_of).transpose()?;
        let problem_type = match text("problem_type").as_deref() {
            Some("regression") => Some(ProblemType::Regression),
            Some("single_label_classification") => Some(ProblemType::SingleLabel),
            Some("multi_label_classification") => Some(ProblemType::MultiLabel),
            _ => None, // the reference treats an unknown one as absent
        };
        let labels = labels(&file, &values, if model_type == "bart" { 3 } else { 2 })?;
        Ok(Self { architecture: architecture.map(str::to_owned), task, model_type, labels, problem_type, file, values })
    }

    /// The value of a key, unless it is absent or null.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key).filter(|value| !value.is_null())
    }

    /// A whole number of the network's shape.
    ///
    /// # Errors
    /// [`Error::ModelFormat`] unless the key is absent (then `default`) or holds a number in 0..=2^31.
    pub fn size(&self, key: &str, default: usize) -> Result<usize> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value
            .as_u64()
            .filter(|&size| size <= 1 << 31)
            .map(|size| size as usize)
            .ok_or_else(|| self.error(key, "a whole number from 0 to 2147483648", value))
    }

    /// A real number.
    ///
    /// # Errors
    /// [`Error::ModelFormat`] unless the key is absent (then `default`) or holds a number.
    pub fn number(&self, key: &str, default: f64) -> Result<f64> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value.as_f64().ok_or_else(|| self.error(key, "a number", value))
    }

    /// A string.
    ///
    /// # Errors
    /// [`Error::ModelFormat`] unless the key is absent (then `default`) or holds a string.
    pub fn string<'a>(&'a self, key: &str, default: &'a str) -> Result<&'a str> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value.as_str().ok_or_else(|| self.error(key, "a string", value))
    }

    /// A switch.
    ///
    /// # Errors
    /// [`Error::ModelFormat`] unless the key is absent (then `default`) or holds true or false.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value.as_bool().ok_or_else(|| self.error(key, "true or false", value))
    }

    /// Whether a key is there and null.
    pub fn is_null(&self, key: &str) -> bool {
        self.values.get(key).is_some_and(Value::is_null)
    }

    /// The error for a key whose value is not allowed.
    pub fn error(&self, key: &str, expected: &str, got: impl std::fmt::Display) -> Error {
        Error::format(&self.file, format!("{key}: expected {expected}, got {got}"))
    }
}

/// Reads a file that holds a JSON object.
pub(crate) fn read_object(file: &Path) -> Result<Map<String, Value>> {
    parse_object(file, &read_text(file)?)
}

/// Reads a UTF-8 file.
pub(crate) fn read_text(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::ModelNotFound { path: file.to_owned(), message: "no such file".to_owned() }
        }
        _ => Error::format(file, error.to_string()),
    })
}

fn parse_object(file: &Path, text: &str) -> Result<Map<String, Value>> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Error::format(file, "expected a JSON object")),
        Err(error) => Err(Error::format(file, format!("broken JSON: {error}"))),
    }
}

fn task_of(architecture: &str) -> Result<Task> {
    let tasks = [Task::TokenClassification, Task::TextClassification];
    tasks.into_iter().find(|task| architecture.ends_with(task.suffix())).ok_or_else(|| Error::Unsupported {
        what: "architecture",
        got: architecture.to_owned(),
        supported: one_of(&tasks.map(Task::suffix)),
    })
}

/// `id2label`, else `LABEL_0`, `LABEL_1`, … (`num_labels` of them, or as many as the family has by default).
///
/// Keys are decimal numbers in any order; transformers reads them with `int()`, which allows spaces and leading zeros.
fn labels(file: &Path, values: &Map<String, Value>, default: u64) -> Result<Vec<Arc<str>>> {
    let format = |message: String| Error::format(file, message);
    let Some(id2label) = values.get("id2label").filter(|value| !value.is_null()) else {
        let count = match values.get("num_labels").filter(|value| !value.is_null()) {
            None => default,
            Some(count) => count
                .as_u64()
                .filter(|count| (1..=1 << 20).contains(count))
                .ok_or_else(|| format(format!("num_labels: expected a number from 1 to 1048576, got {count}")))?,
        };
        return Ok((0..count).map(|id| format!("LABEL_{id}").into()).collect());
    };
    let object = id2label
        .as_object()
        .filter(|object| !object.is_empty())
        .ok_or_else(|| format(format!("id2label: expected an object with at least one label, got {id2label}")))?;
    let mut labels = vec![None; object.len()];
    for (key, label) in object {
        let id: usize =
            key.trim().parse().map_err(|_| format(format!("id2label: expected a number as key, got {key:?}")))?;
        let label = label.as_str().ok_or_else(|| format(format!("id2label[{id}]: expected a string, got {label}")))?;
        *labels.get_mut(id).ok_or_else(|| gap(file, object.len(), id))? = Some(Arc::from(label));
    }
    let count = labels.len();
    labels.into_iter().enumerate().map(|(id, label)| label.ok_or_else(|| gap(file, count, id))).collect()
}

fn gap(file: &Path, count: usize, id: usize) -> Error {
    let last = count - 1;
    Error::format(file, format!("id2label: expected the ids 0 to {last} for its {count} labels, but see id {id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config> {
        Config::parse(Path::new("config.json"), text)
    }

    #[test]
    fn labels_are_read_by_id() {
        let config = parse(r#"{"model_type":"bert","id2label":{"1":"B","00":"A"}}"#).unwrap();
        assert_eq!(config.labels, ["A".into(), "B".into()]);
        assert_eq!(parse(r#"{"model_type":"bert"}"#).unwrap().labels, ["LABEL_0".into(), "LABEL_1".into()]);
        assert_eq!(parse(r#"{"model_type":"bart"}"#).unwrap().labels.len(), 3);
        let config = parse(r#"{"model_type":"bert","num_labels":1,"id2label":null}"#).unwrap();
        assert_eq!(config.labels, ["LABEL_0".into()]);
    }

    #[test]
    fn gaps_and_wrong_kinds_are_refused_by_name() {
        for (text, part) in [
            (r#"{"model_type":"bert","id2label":{"1":"A","2":"B"}}"#, "ids 0 to 1"),
            (r#"{"model_type":"bert","id2label":{"0":"A","x":"B"}}"#, "got \"x\""),
            (r#"{"model_type":"bert","id2label":{"0":7}}"#, "id2label[0]: expected a string"),
            (r#"{"model_type":"bert","id2label":{}}"#, "at least one label"),
            (r#"{"model_type":"bert","num_labels":-1}"#, "num_labels"),
            (r#"{"id2label":{"0":"A"}}"#, "model_type"),
            ("[]", "JSON object"),
            ("{", "broken JSON"),
        ] {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.contains(part), "{message} does not say {part}");
        }
    }

    #[test]
    fn the_architecture_names_the_task() {
        let config = parse(r#"{"model_type":"bert","architectures":["BertForTokenClassification"]}"#).unwrap();
        assert_eq!(config.task, Some(Task::TokenClassification));
        let error = parse(r#"{"model_type":"bert","architectures":["BertModel"]}"#).unwrap_err();
        assert_eq!(error.kind(), "unsupported_model");
        assert!(error.to_string().contains("ForSequenceClassification"));
    }
}
