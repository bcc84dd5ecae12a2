//! This machine: what it runs, and how fast.

use std::num::NonZeroUsize;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::errors::{parameter, to_exception};
use crate::kernels::{self, Isa, Limits, Pool, PoolError, isa};
use crate::pipeline::threads_from_environment;

/// What runs on this machine, and with `measure` its rates in bytes and operations a second on so many threads.
#[pyfunction]
#[pyo3(signature = (measure, threads = None))]
pub(super) fn machine(py: Python<'_>, measure: bool, threads: Option<NonZeroUsize>) -> PyResult<Bound<'_, PyDict>> {
    let isa = isa::selected().map_err(|error| parameter(isa::VARIABLE, &error.allowed, &error.asked))?;
    let dict = PyDict::new(py);
    dict.set_item("isa", isa.name())?;
    dict.set_item("available", Isa::available().into_iter().map(Isa::name).collect::<Vec<_>>())?;
    dict.set_item("refused", isa::refused().map(|(isa, why)| format!("{isa}: {why}")))?;
    dict.set_item("bfloat16", isa::has_bfloat16())?;
    dict.set_item("int8", isa::int8_instruction())?;
    let threads = threads.map_or_else(threads_from_environment, |threads| Ok(Some(threads))).map_err(to_exception)?;
    dict.set_item("threads", Pool::new(threads).threads().get())?;
    dict.set_item("processors", Pool::new(None).threads().get())?;
    if measure {
        dict.update(rates(py, || Limits::measure(threads))?.as_mapping())?;
    }
    Ok(dict)
}

/// Measures the rates of this machine again and again, on so many threads.
#[pyclass(frozen, module = "candlewick._native")]
pub(super) struct Yardstick(kernels::Yardstick);

#[pymethods]
impl Yardstick {
    #[new]
    fn new(threads: NonZeroUsize) -> Self {
        Self(kernels::Yardstick::new(Some(threads)))
    }

    /// The rates of this moment.
    fn now<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        rates(py, || self.0.now())
    }
}

fn rates(py: Python<'_>, measure: impl FnOnce() -> Result<Limits, PoolError> + Send) -> PyResult<Bound<'_, PyDict>> {
    let limits = py.detach(measure).map_err(|error| to_exception(error.into()))?;
    let dict = PyDict::new(py);
    dict.set_item("bandwidth", limits.bandwidth)?;
    dict.set_item("float32_rate", limits.float32)?;
    dict.set_item("bfloat16_rate", limits.bfloat16)?;
    dict.set_item("int8_rate", limits.int8)?;
    Ok(dict)
}
