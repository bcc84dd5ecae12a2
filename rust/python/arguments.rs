//! Python values to typed options and inputs. `None` is always "not given".

use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBoolMethods, PyDict, PyDictMethods, PyList, PyString, PyTuple};

use super::errors::{input_type, kind, parameter, to_exception};
use crate::error::Error;
use crate::types::{Input, Offset};

/// A value, or nothing when the argument is absent or `None`.
pub(super) type Given<'py> = Option<Bound<'py, PyAny>>;

/// The keyword arguments of a call.
pub(super) struct Keywords<'a, 'py>(Option<&'a Bound<'py, PyDict>>);

impl<'a, 'py> Keywords<'a, 'py> {
    /// Refuses keywords that are not `allowed`, as Python does for a function that lists its own.
    pub(super) fn new(given: Option<&'a Bound<'py, PyDict>>, allowed: &[&str]) -> PyResult<Self> {
        for key in given.into_iter().flat_map(PyDictMethods::keys) {
            let key: String = key.extract()?;
            if !allowed.contains(&key.as_str()) {
                return Err(PyTypeError::new_err(format!("unexpected keyword argument '{key}'")));
            }
        }
        Ok(Self(given))
    }

    pub(super) fn get(&self, key: &str) -> PyResult<Given<'py>> {
        let value = self.0.map_or(Ok(None), |given| given.get_item(key))?;
        Ok(value.filter(|value| !value.is_none()))
    }

    /// A whole number; `True` is none.
    pub(super) fn whole<N>(&self, key: &'static str, expected: &str) -> PyResult<Option<N>>
    where
        N: for<'x> FromPyObject<'x, 'py>,
    {
        let Some(value) = self.get(key)? else { return Ok(None) };
        let number = if value.is_instance_of::<PyBool>() { None } else { value.extract().ok() };
        number.map(Some).ok_or_else(|| parameter(key, expected, &shown(&value)))
    }

    /// A whole number of at least 1.
    pub(super) fn positive(&self, key: &'static str) -> PyResult<Option<NonZeroUsize>> {
        self.whole(key, "a whole number of at least 1")
    }

    /// A string.
    pub(super) fn string(&self, key: &'static str) -> PyResult<Option<String>> {
        let Some(value) = self.get(key)? else { return Ok(None) };
        value.extract().map(Some).map_err(|_| parameter(key, "a string", &shown(&value)))
    }

    /// One of an option's names.
    pub(super) fn name<E: FromStr<Err = Error> + Default>(&self, key: &'static str) -> PyResult<E> {
        self.string(key)?.map_or(Ok(E::default()), |text| text.parse().map_err(to_exception))
    }

    /// `True` or `False`; not given is false.
    pub(super) fn flag(&self, key: &'static str) -> PyResult<bool> {
        let Some(value) = self.get(key)? else { return Ok(false) };
        value.cast::<PyBool>().map(PyBoolMethods::is_true).map_err(|_| parameter(key, "True or False", &shown(&value)))
    }

    /// A list of strings; not given is an empty one.
    pub(super) fn strings(&self, key: &'static str) -> PyResult<Vec<String>> {
        let Some(value) = self.get(key)? else { return Ok(Vec::new()) };
        let list = if value.is_instance_of::<PyString>() { None } else { value.extract().ok() };
        list.ok_or_else(|| parameter(key, "a list of strings", &kind(&value)))
    }

    /// A time in seconds.
    pub(super) fn seconds(&self, key: &'static str) -> PyResult<Option<Duration>> {
        let Some(value) = self.get(key)? else { return Ok(None) };
        let seconds = value.extract::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        seconds.map(Some).ok_or_else(|| parameter(key, "seconds, 0 or more", &shown(&value)))
    }

    /// Texts, or pairs of texts, that stand for what the model will get.
    pub(super) fn samples(&self, key: &'static str) -> PyResult<Vec<Input>> {
        let Some(value) = self.get(key)? else { return Ok(Vec::new()) };
        let refused = || parameter(key, "a list of at least one text or pair of texts", &shown(&value));
        let list = value.cast::<PyList>().map_err(|_| refused())?;
        let sample = |item: Bound<'_, PyAny>| {
            let pair = || item.extract::<(String, String)>().map(Input::from);
            item.extract::<String>().map(Input::from).or_else(|_| pair()).map_err(|_| refused())
        };
        let samples = list.iter().map(sample).collect::<PyResult<Vec<_>>>()?;
        if samples.is_empty() { Err(refused()) } else { Ok(samples) }
    }

    /// Labels to leave out; `None` inside of the list stands for a key that an entity lacks.
    pub(super) fn ignored(&self, key: &'static str) -> PyResult<Vec<Option<String>>> {
        let Some(value) = self.get(key)? else { return Ok(vec![Some("O".to_owned())]) };
        let labels = if value.is_instance_of::<PyString>() { None } else { value.extract().ok() };
        labels.ok_or_else(|| parameter(key, "a list of labels", &shown(&value)))
    }

    /// Offsets to report, a list for each input.
    fn offsets(&self, key: &'static str, inputs: usize) -> PyResult<Vec<Vec<Offset>>> {
        let Some(value) = self.get(key)? else { return Ok(Vec::new()) };
        let mapping: Vec<Vec<(u32, u32)>> = value
            .extract()
            .map_err(|_| parameter(key, "a list of (start, end) pairs for each input", &shown(&value)))?;
        if mapping.len() != inputs {
            return Err(parameter(key, &format!("one list for each of {inputs} inputs"), &mapping.len().to_string()));
        }
        let of_text = |pairs: Vec<(u32, u32)>| pairs.into_iter().map(|(start, end)| Offset { start, end }).collect();
        Ok(mapping.into_iter().map(of_text).collect())
    }

    /// Inputs of token classification: texts, or lists of words.
    pub(super) fn texts(&self, inputs: &Bound<'_, PyList>) -> PyResult<Vec<Input>> {
        if self.flag("is_split_into_words")? {
            let delimiter = self.string("delimiter")?.unwrap_or_else(|| " ".to_owned());
            let words = |(index, item): (usize, Bound<'_, PyAny>)| {
                let expected = "a list of words (is_split_into_words=True)";
                let list = item.cast::<PyList>().map_err(|_| input_type(index, expected, &item))?;
                let words = list.iter().map(|word| text(index, "a string for each word", &word));
                Ok(Input::words(words.collect::<PyResult<Vec<String>>>()?, &delimiter))
            };
            return inputs.iter().enumerate().map(words).collect();
        }
        let mut offsets = self.offsets("offset_mapping", inputs.len())?.into_iter();
        let texts = inputs.iter().enumerate();
        texts.map(|(index, item)| Ok(Input::Text(text(index, "a string", &item)?, offsets.next()))).collect()
    }
}

/// Texts with or without a second text. First texts that are one object, as when many documents are compared with one
/// query, are taken over once.
pub(super) fn pairs<'py>(inputs: &Bound<'py, PyList>) -> PyResult<Vec<Input>> {
    let mut last: Option<(Bound<'py, PyAny>, Arc<str>)> = None;
    let pair = |(index, item): (usize, Bound<'py, PyAny>)| {
        let expected = "a text and a second text or None";
        let tuple = item.cast::<PyTuple>().ok().filter(|tuple| tuple.len() == 2);
        let tuple = tuple.ok_or_else(|| input_type(index, expected, &item))?;
        let (first, second) = (tuple.get_item(0)?, tuple.get_item(1)?);
        if second.is_none() {
            return Ok(text(index, "a string", &first)?.into());
        }
        let shared = match last.take() {
            Some((object, shared)) if object.is(&first) => shared,
            _ => text(index, "a string", &first)?.into(),
        };
        last = Some((first, Arc::clone(&shared)));
        Ok((shared, text(index, "a string", &second)?).into())
    };
    inputs.iter().enumerate().map(pair).collect()
}

/// A string that can be UTF-8: one with half of a surrogate pair can't.
fn text(index: usize, expected: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    let string = value.cast::<PyString>().map_err(|_| input_type(index, expected, value))?;
    let utf8 = string.to_str().map_err(|_| {
        to_exception(Error::input(index, "expected Unicode text, got a string with an unpaired surrogate"))
    })?;
    Ok(utf8.to_owned())
}

/// A value as it was written, or its type where that could be long.
pub(super) fn shown(value: &Bound<'_, PyAny>) -> String {
    let repr = value.repr().map(|repr| repr.to_string()).unwrap_or_default();
    if repr.is_empty() || repr.len() > 60 { kind(value) } else { repr }
}
