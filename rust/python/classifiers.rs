//! The two native classes behind `candlewick.pipeline`.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use super::arguments::{Keywords, pairs};
use super::awaiting::{Awaitable, Awaiting, Pending};
use super::errors::to_exception;
use super::results::{Answers as AnswerStream, Cuts, Logits, ToPython, answers};
use super::work::detached;
use crate::error::Error;
use crate::layers::{Profile, Stage};
use crate::pipeline::{LoadOptions, Pipeline, TextClassification, TokenClassification};
use crate::quality::Report;
use crate::server::{self, Answers, Parameters};
use crate::types::{Input, RunOptions, TextClassificationOptions, TokenClassificationOptions, TopK, Truncation};

/// A pipeline that can be closed.
struct Open<T: Awaitable> {
    pipeline: RwLock<Option<Arc<Pipeline<T>>>>,
    awaiting: Awaiting<T>,
}

impl<T: Parameters<Output: ToPython + Answers> + Awaitable> Open<T> {
    fn load(py: Python<'_>, folder: &str, options: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let keywords =
            Keywords::new(options, &["dtype", "threads", "max_tokens", "quality", "calibration", "packed_cache"])?;
        let options = LoadOptions {
            threads: keywords.positive("threads")?,
            max_tokens: keywords.positive("max_tokens")?,
            dtype: keywords.name("dtype")?,
            quality: keywords.name("quality")?,
            calibration: keywords.samples("calibration")?,
            packed_cache: keywords.string("packed_cache")?.map(Into::into),
        };
        let pipeline = detached(py, |_| Pipeline::load(folder, &options))?;
        Ok(Self { pipeline: RwLock::new(Some(Arc::new(pipeline))), awaiting: Awaiting::new() })
    }

    fn get(&self) -> PyResult<Arc<Pipeline<T>>> {
        let pipeline = self.pipeline.read().unwrap_or_else(PoisonError::into_inner);
        pipeline.clone().ok_or_else(|| to_exception(Error::Backend("the pipeline is closed".to_owned())))
    }

    fn close(&self, py: Python<'_>) {
        let pipeline = self.pipeline.write().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| {
            self.awaiting.close();
            drop(pipeline);
        });
    }

    fn run<'py>(
        &self,
        py: Python<'py>,
        inputs: Vec<Input>,
        options: &T::Options,
    ) -> PyResult<(Bound<'py, PyList>, Cuts)> {
        let pipeline = self.get()?;
        let found = detached(py, |watch| pipeline.stream(inputs, options)?.into_answers(watch))?;
        answers(py, found.iter().map(|answer| (&answer.output, answer.cut)))
    }

    fn submit(&self, inputs: Vec<Input>, options: T::Options, done: Py<PyAny>) -> PyResult<Pending> {
        self.awaiting.submit(self.get()?, inputs, options, done)
    }

    fn stream(&self, inputs: Vec<Input>, options: &T::Options) -> PyResult<AnswerStream> {
        Ok(AnswerStream::new(self.get()?.stream(inputs, options).map_err(to_exception)?))
    }

    fn logits(
        &self,
        py: Python<'_>,
        inputs: Vec<Input>,
        options: &T::Options,
        per_token: bool,
    ) -> PyResult<Vec<Logits>> {
        let pipeline = self.get()?;
        let found = detached(py, |watch| pipeline.logits(inputs, options)?.into_answers(watch))?;
        found.into_iter().map(|answer| Logits::new(py, answer.output, per_token)).collect()
    }

    fn query(&self, py: Python<'_>, body: &str) -> PyResult<(String, Vec<String>)> {
        let pipeline = self.get()?;
        detached(py, |watch| server::query(&pipeline, body.as_bytes(), watch))
    }

    /// Seconds of each stage in `rounds` answers to one text, the median round's.
    fn profile(&self, py: Python<'_>, text: &str, rounds: usize) -> PyResult<Vec<(&'static str, f64)>> {
        let (pipeline, input, options) = (self.get()?, Input::from(text), T::Options::default());
        detached(py, |watch| {
            let mut found = Vec::new();
            for _ in 0..rounds.max(1) {
                if watch() {
                    return Err(Error::Interrupted);
                }
                let (start, profile) = (Instant::now(), Profile::default());
                pipeline.profile(&input, &options, &profile)?;
                found.push((start.elapsed(), profile));
            }
            found.sort_by_key(|(time, _)| *time);
            let (time, profile) = found.swap_remove(found.len() / 2);
            let stages = Stage::ALL.map(|stage| (stage.name(), profile.of(stage).as_secs_f64()));
            Ok([&stages[..], &[("call", time.as_secs_f64())]].concat())
        })
    }

    /// Bytes of weights, and operations of dense layers and of attention, that an input of so many tokens takes.
    fn work(&self, tokens: usize) -> PyResult<(usize, usize, usize)> {
        let work = self.get()?.work(tokens);
        Ok((work.bytes, work.dense, work.attention))
    }

    fn labels(&self) -> PyResult<Vec<String>> {
        Ok(self.get()?.labels().iter().map(ToString::to_string).collect())
    }

    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let info = self.get()?.info();
        let dict = PyDict::new(py);
        dict.set_item("architecture", info.architecture)?;
        dict.set_item("dtype", info.dtype.to_string())?;
        dict.set_item("quality", info.quality.map(|report| quality(py, &report)).transpose()?)?;
        dict.set_item("packed_cache", info.packed_cache.to_string())?;
        dict.set_item("isa", info.isa.to_string())?;
        dict.set_item("threads", info.threads.get())?;
        dict.set_item("max_tokens", info.max_tokens)?;
        dict.set_item("linear_parameters", info.linear_parameters)?;
        Ok(dict)
    }
}

/// What int8 was measured to change.
fn quality<'py>(py: Python<'py>, report: &Report) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("passes", report.passes())?;
    dict.set_item("labels", report.labels)?;
    dict.set_item("flips", report.flips)?;
    dict.set_item("worst_difference", report.worst)?;
    dict.set_item("layers", report.layers)?;
    dict.set_item("layers_kept", &report.kept)?;
    Ok(dict)
}

/// Keywords that both tasks know.
const RUN: [&str; 2] = ["batch_size", "threads"];

fn run_options(keywords: &Keywords<'_, '_>) -> PyResult<RunOptions> {
    Ok(RunOptions { batch_size: keywords.positive("batch_size")?, threads: keywords.positive("threads")? })
}

/// Token classification over a model folder.
#[pyclass(frozen, module = "candlewick._native")]
pub(super) struct TokenClassifier(Open<TokenClassification>);

impl TokenClassifier {
    const KEYWORDS: &[&str] = &[
        "aggregation_strategy",
        "ignore_labels",
        "stride",
        "is_split_into_words",
        "delimiter",
        "offset_mapping",
        "long_text",
        "offset_unit",
        "word",
        "word_boundary",
        "scheme",
        RUN[0],
        RUN[1],
    ];

    fn read(
        inputs: &Bound<'_, PyList>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<(Vec<Input>, TokenClassificationOptions)> {
        let keywords = Keywords::new(options, Self::KEYWORDS)?;
        let options = TokenClassificationOptions {
            aggregation_strategy: keywords.name("aggregation_strategy")?,
            ignore_labels: keywords.ignored("ignore_labels")?,
            stride: keywords.whole("stride", "a whole number of at least 0")?,
            long_text: keywords.name("long_text")?,
            offset_unit: keywords.name("offset_unit")?,
            word: keywords.name("word")?,
            word_boundary: keywords.name("word_boundary")?,
            scheme: keywords.name("scheme")?,
            run: run_options(&keywords)?,
        };
        Ok((keywords.texts(inputs)?, options))
    }
}

/// Text classification over a model folder.
#[pyclass(frozen, module = "candlewick._native")]
pub(super) struct TextClassifier(Open<TextClassification>);

impl TextClassifier {
    const KEYWORDS: &[&str] = &["top_k", "function_to_apply", "truncation", "max_length", RUN[0], RUN[1]];

    fn read(
        inputs: &Bound<'_, PyList>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<(Vec<Input>, TextClassificationOptions)> {
        let keywords = Keywords::new(options, Self::KEYWORDS)?;
        let options = TextClassificationOptions {
            top_k: keywords.whole("top_k", "a whole number or None")?.map_or(TopK::All, TopK::Count),
            function_to_apply: keywords.name("function_to_apply")?,
            truncation: truncation(&keywords)?,
            max_length: keywords.positive("max_length")?,
            truncation_side: None,
            run: run_options(&keywords)?,
        };
        Ok((pairs(inputs)?, options))
    }
}

/// `True`, `False` or the name of a strategy.
fn truncation(keywords: &Keywords<'_, '_>) -> PyResult<Truncation> {
    match keywords.get("truncation")? {
        Some(value) if value.is_instance_of::<PyString>() => keywords.name("truncation"),
        Some(_) if keywords.flag("truncation")? => Ok(Truncation::LongestFirst),
        _ => Ok(Truncation::DoNotTruncate),
    }
}

/// The methods of a class; `PyO3` knows no generic ones.
macro_rules! methods {
    ($class:ident, per_token = $per_token:literal) => {
        #[pymethods]
        impl $class {
            #[new]
            #[pyo3(signature = (folder, **options))]
            fn new(py: Python<'_>, folder: &str, options: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
                Open::load(py, folder, options).map(Self)
            }

            #[pyo3(signature = (inputs, **options))]
            fn run<'py>(
                &self,
                py: Python<'py>,
                inputs: &Bound<'py, PyList>,
                options: Option<&Bound<'py, PyDict>>,
            ) -> PyResult<(Bound<'py, PyList>, Cuts)> {
                let (inputs, options) = Self::read(inputs, options)?;
                self.0.run(py, inputs, &options)
            }

            #[pyo3(signature = (inputs, done, **options))]
            fn submit(
                &self,
                inputs: &Bound<'_, PyList>,
                done: Py<PyAny>,
                options: Option<&Bound<'_, PyDict>>,
            ) -> PyResult<Pending> {
                let (inputs, options) = Self::read(inputs, options)?;
                self.0.submit(inputs, options, done)
            }

            #[pyo3(signature = (inputs, **options))]
            fn stream(
                &self,
                inputs: &Bound<'_, PyList>,
                options: Option<&Bound<'_, PyDict>>,
            ) -> PyResult<AnswerStream> {
                let (inputs, options) = Self::read(inputs, options)?;
                self.0.stream(inputs, &options)
            }

            #[pyo3(signature = (inputs, **options))]
            fn logits(
                &self,
                py: Python<'_>,
                inputs: &Bound<'_, PyList>,
                options: Option<&Bound<'_, PyDict>>,
            ) -> PyResult<Vec<Logits>> {
                let (inputs, options) = Self::read(inputs, options)?;
                self.0.logits(py, inputs, &options, $per_token)
            }

            fn query(&self, py: Python<'_>, body: &str) -> PyResult<(String, Vec<String>)> {
                self.0.query(py, body)
            }

            fn close(&self, py: Python<'_>) {
                self.0.close(py);
            }

            fn profile(&self, py: Python<'_>, text: &str, rounds: usize) -> PyResult<Vec<(&'static str, f64)>> {
                self.0.profile(py, text, rounds)
            }

            fn work(&self, tokens: usize) -> PyResult<(usize, usize, usize)> {
                self.0.work(tokens)
            }

            #[getter]
            fn labels(&self) -> PyResult<Vec<String>> {
                self.0.labels()
            }

            #[getter]
            fn max_tokens(&self) -> PyResult<usize> {
                Ok(self.0.get()?.max_tokens())
            }

            #[getter]
            fn model_type(&self) -> PyResult<String> {
                Ok(self.0.get()?.model_type().to_owned())
            }

            #[getter]
            fn computed_tokens(&self) -> PyResult<usize> {
                Ok(self.0.get()?.computed_tokens())
            }

            #[getter]
            fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
                self.0.info(py)
            }
        }
    };
}

methods!(TokenClassifier, per_token = true);
methods!(TextClassifier, per_token = false);
