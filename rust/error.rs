//! One error type for the whole crate.
//!
//! A message says what was wrong, where, and what is allowed; it is lower case and without a full stop, so that it can
//! stand inside another sentence. [`Error::kind`] is the stable part that programs may compare.

use std::path::{Path, PathBuf};

/// The result of every fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong, one variant per class of `candlewick.errors`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An input can't be answered as it is; `index` counts from 0 in the call's list of inputs.
    #[error("input {index}: {message}")]
    Input {
        /// Position in the list of inputs.
        index: usize,
        /// What is wrong with it and what is allowed.
        message: String,
    },
    /// An option's value is not allowed.
    #[error("{name}: expected {expected}, got {got}")]
    Parameter {
        /// The option.
        name: &'static str,
        /// What is allowed.
        expected: String,
        /// What was given.
        got: String,
    },
    /// A model folder or one of its files does not exist.
    #[error("{}: {message}", path.display())]
    ModelNotFound {
        /// Where was looked.
        path: PathBuf,
        /// What was looked for.
        message: String,
    },
    /// A file of the model is damaged, inconsistent or incomplete.
    #[error("{}: {message}", file.display())]
    ModelFormat {
        /// The file at fault.
        file: PathBuf,
        /// Which part of it (tensor, key), what was expected and what was found.
        message: String,
    },
    /// The model asks for something that is not implemented.
    #[error("{what} {got} is not supported; supported: {supported}; docs/MODELS.md lists what is tested")]
    Unsupported {
        /// The kind of thing: architecture, activation, tokenizer model.
        what: &'static str,
        /// Its name in the model's files.
        got: String,
        /// Every name that is implemented.
        supported: String,
    },
    /// Several things are wrong with one request; never empty.
    #[error("{}", join(.0))]
    Several(Vec<Error>),
    /// The computation itself failed.
    #[error("{0}")]
    Backend(String),
    /// The caller asked for the computation to stop.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// A stable slug, of several errors the first one's: `input`, `parameter`, `model_not_found`, `model_format`,
    /// `unsupported_model`, `backend`, `interrupted`.
    pub fn kind(&self) -> &'static str {
        match self {
            // What a request asks about is no option, even where it has no place in a list yet.
            Self::Input { .. } | Self::Parameter { name: "inputs" | "body", .. } => "input",
            Self::Parameter { .. } => "parameter",
            Self::ModelNotFound { .. } => "model_not_found",
            Self::ModelFormat { .. } => "model_format",
            Self::Unsupported { .. } => "unsupported_model",
            Self::Several(errors) => errors.first().map_or("backend", Self::kind),
            Self::Backend(_) => "backend",
            Self::Interrupted => "interrupted",
        }
    }

    pub(crate) fn input(index: usize, message: impl Into<String>) -> Self {
        Self::Input { index, message: message.into() }
    }

    pub(crate) fn parameter(name: &'static str, expected: impl Into<String>, got: &dyn std::fmt::Display) -> Self {
        Self::Parameter { name, expected: expected.into(), got: got.to_string() }
    }

    pub(crate) fn format(file: &Path, message: impl Into<String>) -> Self {
        Self::ModelFormat { file: file.to_owned(), message: message.into() }
    }
}

/// A tensor operation of ours is checked before it starts, so what candle still reports is a fault of the computation.
impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::Backend(format!("computation failed: {error}"))
    }
}

fn join(errors: &[Error]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
