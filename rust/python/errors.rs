//! [`Error`] to the exceptions of `candlewick.errors`.

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::error::Error;

/// The one place where an error becomes an exception.
#[allow(clippy::needless_pass_by_value, reason = "handed to map_err")]
pub(super) fn to_exception(error: Error) -> PyErr {
    let class = match error.kind() {
        "input" => "InputError",
        "parameter" => "ParameterError",
        "model_not_found" => "ModelNotFoundError",
        "model_format" => "ModelFormatError",
        "unsupported_model" => "UnsupportedModelError",
        "interrupted" => return PyKeyboardInterrupt::new_err(()),
        _ => "BackendError",
    };
    exception(class, error.to_string())
}

/// An option's value or type that is not allowed.
pub(super) fn parameter(name: &'static str, expected: &str, got: &str) -> PyErr {
    to_exception(Error::parameter(name, expected, &got))
}

/// An input of the wrong kind.
pub(super) fn input_type(index: usize, expected: &str, got: &Bound<'_, PyAny>) -> PyErr {
    exception("InputTypeError", format!("input {index}: expected {expected}, got {}", kind(got)))
}

/// The name of a value's type, for messages.
pub(super) fn kind(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string())
}

fn exception(class: &str, message: String) -> PyErr {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    Python::attach(|py| {
        let module = MODULE.get_or_try_init(py, || py.import("candlewick.errors").map(Bound::unbind))?;
        Ok(PyErr::from_value(module.bind(py).getattr(class)?.call1((message,))?))
    })
    .unwrap_or_else(|error: PyErr| error)
}
