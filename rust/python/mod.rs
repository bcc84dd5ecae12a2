//! The extension module `candlewick._native`: signatures, release of the GIL, errors to exceptions. No logic.

mod arguments;
mod classifiers;
mod errors;
mod results;
mod work;

use std::path::Path;

use pyo3::prelude::*;

use crate::config::Config;

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

#[pymodule(gil_used = false)]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::classifiers::{TextClassifier, TokenClassifier};
    #[pymodule_export]
    use super::results::{Answers, Logits};
    #[pymodule_export]
    use super::task_of;

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
