//! Answers to Python values.

use std::sync::{Mutex, PoisonError};

use numpy::{IntoPyArray, PyArrayMethods};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyDict, PyList};

use super::work::detached;
use crate::pipeline::{Stream, Task, TokenLogits};
use crate::types::{Cut, Entity, Label};

/// What an answer is to Python.
pub(super) trait ToPython {
    fn to_python<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>>;
}

impl ToPython for Vec<Entity> {
    fn to_python<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let dict = |entity: &Entity| {
            let dict = PyDict::new(py);
            let key = if entity.index.is_some() { intern!(py, "entity") } else { intern!(py, "entity_group") };
            dict.set_item(key, &*entity.label)?;
            dict.set_item(intern!(py, "score"), f64::from(entity.score))?;
            if let Some(index) = entity.index {
                dict.set_item(intern!(py, "index"), index)?;
            }
            dict.set_item(intern!(py, "word"), &entity.word)?;
            dict.set_item(intern!(py, "start"), entity.offset.start)?;
            dict.set_item(intern!(py, "end"), entity.offset.end)?;
            Ok(dict)
        };
        let dicts = self.iter().map(dict).collect::<PyResult<Vec<_>>>()?;
        Ok(PyList::new(py, dicts)?.into_any())
    }
}

impl ToPython for Vec<Label> {
    fn to_python<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let dict = |label: &Label| {
            let dict = PyDict::new(py);
            dict.set_item(intern!(py, "label"), &*label.label)?;
            dict.set_item(intern!(py, "score"), f64::from(label.score))?;
            Ok(dict)
        };
        let dicts = self.iter().map(dict).collect::<PyResult<Vec<_>>>()?;
        Ok(PyList::new(py, dicts)?.into_any())
    }
}

/// Index, tokens read and tokens of the whole text, for each text that was cut.
pub(super) type Cuts = Vec<(usize, usize, usize)>;

/// Answers in order, and which inputs were cut.
pub(super) fn answers<'a, 'py, O: ToPython + 'a>(
    py: Python<'py>,
    answers: impl Iterator<Item = (&'a O, Option<Cut>)>,
) -> PyResult<(Bound<'py, PyList>, Cuts)> {
    let (mut values, mut cuts) = (Vec::new(), Cuts::new());
    for (index, (output, cut)) in answers.enumerate() {
        values.push(output.to_python(py)?);
        cuts.extend(cut.map(|cut| (index, cut.kept, cut.total)));
    }
    Ok((PyList::new(py, values)?, cuts))
}

type Item<'py> = (usize, Bound<'py, PyAny>, Option<(usize, usize)>);
type Next = dyn for<'py> FnMut(Python<'py>) -> PyResult<Option<Item<'py>>> + Send;

/// Answers as they finish.
#[pyclass(frozen, module = "candlewick._native")]
pub(super) struct Answers(Mutex<Box<Next>>);

impl Answers {
    pub(super) fn new<T: Task<Output: ToPython>>(mut stream: Stream<T>) -> Self {
        Self(Mutex::new(Box::new(move |py| {
            let next = detached(py, |watch| stream.next_watched(watch).transpose())?;
            let Some((index, answer)) = next else { return Ok(None) };
            let cut = answer.cut.map(|cut| (cut.kept, cut.total));
            Ok(Some((index, answer.output.to_python(py)?, cut)))
        })))
    }
}

#[pymethods]
impl Answers {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Item<'py>>> {
        // Detached while it waits: the thread that computes needs the GIL to give its answer.
        let mut next = self.0.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        next(py)
    }
}

/// What post-processing starts from, for one input.
#[pyclass(frozen, get_all, module = "candlewick._native")]
pub(super) struct Logits {
    /// float32, `[tokens, labels]` for token classification, `[labels]` for text classification.
    values: Py<PyAny>,
    /// int64, `[tokens, 2]`, in code points.
    offsets: Py<PyAny>,
    /// The vocabulary's strings.
    tokens: Py<PyList>,
    /// bool, `[tokens]`: whether the template added the token.
    special_tokens_mask: Py<PyAny>,
}

impl Logits {
    pub(super) fn new(py: Python<'_>, output: TokenLogits, per_token: bool) -> PyResult<Self> {
        let TokenLogits { tokens, encoding, logits } = output;
        let columns = logits.columns;
        let values = logits.values.into_pyarray(py);
        let values = if per_token { values.reshape([tokens.len(), columns])?.into_any() } else { values.into_any() };
        let offsets: Vec<i64> =
            encoding.offsets.iter().flat_map(|offset| [i64::from(offset.start), i64::from(offset.end)]).collect();
        Ok(Self {
            values: values.unbind(),
            offsets: offsets.into_pyarray(py).reshape([tokens.len(), 2])?.into_any().unbind(),
            tokens: PyList::new(py, tokens)?.unbind(),
            special_tokens_mask: encoding.special.into_pyarray(py).into_any().unbind(),
        })
    }
}
