//! The extension module `candlewick._native`: signatures, release of the GIL, errors to exceptions. No logic.

mod arguments;
mod awaiting;
mod classifiers;
mod errors;
mod machine;
mod results;
mod serving;
mod work;

use std::path::Path;
use std::time::SystemTime;

use pyo3::prelude::*;

use crate::config::Config;
use crate::weights;

/// The task that a model folder's `config.json` names.
#[pyfunction]
fn task_of(folder: &str) -> PyResult<&'static str> {
    let config = Config::load(Path::new(folder)).map_err(errors::to_exception)?;
    match config.task {
        Some(task) => Ok(task.name()),
        None => Err(errors::parameter(
            "task",
            "token-classification or text-classification, since config.json names no architecture",
            "None",
        )),
    }
}

/// The files of a packed cache: model, types, bytes, when it was last used in seconds since 1970.
#[pyfunction]
fn cache_list(folder: &str) -> PyResult<Vec<(String, String, u64, f64)>> {
    let seconds = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let row = |entry: weights::Entry| (entry.model, entry.dtypes, entry.bytes, seconds(entry.used));
    Ok(weights::list(Path::new(folder))?.into_iter().map(row).collect())
}

/// Empties a packed cache: how many files it had, and their bytes.
#[pyfunction]
fn cache_clear(folder: &str) -> PyResult<(usize, u64)> {
    Ok(weights::clear(Path::new(folder))?)
}

#[pymodule(gil_used = false)]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::awaiting::Pending;
    #[pymodule_export]
    use super::classifiers::{TextClassifier, TokenClassifier};
    #[pymodule_export]
    use super::machine::{Yardstick, machine};
    #[pymodule_export]
    use super::results::{Answers, Logits};
    #[pymodule_export]
    use super::serving::{Server, log_to_stderr};
    #[pymodule_export]
    use super::{cache_clear, cache_list, task_of};

    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "the name that Python expects")]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_init]
    #[expect(clippy::unnecessary_wraps, reason = "the signature that PyO3 asks for")]
    fn init(_module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::work::quiet_panics();
        Ok(())
    }
}
