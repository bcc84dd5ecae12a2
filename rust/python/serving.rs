//! The server behind `candlewick serve` and `candlewick.serve`.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyString, PyTuple};

use super::arguments::Keywords;
use super::errors::{parameter, to_exception};
use crate::config::Task;
use crate::error::Error;
use crate::pipeline::LoadOptions;
use crate::server::http::{self, App, Config, Found, Listen, LogFormat, Resolver, Stopper, Wanted};
use crate::types::TopK;

const KEYWORDS: &[&str] = &[
    "api_keys",
    "auto_truncate",
    "cache_size",
    "cors_origins",
    "default_aggregation_strategy",
    "default_top_k",
    "dtype",
    "list_output",
    "loading_hold",
    "max_batch_requests",
    "max_batch_tokens",
    "max_client_batch_size",
    "max_concurrent_requests",
    "max_tokens",
    "otlp_endpoint",
    "otlp_service_name",
    "packed_cache",
    "payload_limit",
    "predict_is_hub",
    "prometheus_port",
    "quality",
    "request_timeout",
    "strict_parameters",
    "target_latency",
    "threads",
    "tokenization_workers",
    "wait_timeout",
];

/// A model's name, what the resolver is asked for, revision and task.
type Named = (String, Option<String>, Option<String>, Option<String>);

/// A server that listens, and answers while it runs.
#[pyclass(frozen, module = "candlewick._native")]
pub(super) struct Server {
    waiting: Mutex<Option<(http::Server, Resolver)>>,
    app: Arc<App>,
    stopper: Stopper,
    address: Option<(String, u16)>,
    metrics_address: Option<(String, u16)>,
}

#[pymethods]
impl Server {
    #[new]
    #[pyo3(signature = (models, resolve, host, port, path, **options))]
    fn new(
        models: Vec<Named>,
        resolve: Py<PyAny>,
        host: String,
        port: u16,
        path: Option<PathBuf>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let config = config(options)?;
        let wanted = models.into_iter().map(wanted).collect::<PyResult<Vec<_>>>()?;
        let listen = path.map_or(Listen::Tcp(host, port), Listen::Unix);
        let server = http::Server::bind(&listen, config, wanted).map_err(to_exception)?;
        let (app, stopper) = (server.app(), server.stopper());
        let parts = |address: SocketAddr| (address.ip().to_string(), address.port());
        let (address, metrics_address) = (server.address().map(parts), server.metrics_address().map(parts));
        Ok(Self { waiting: Mutex::new(Some((server, resolver(resolve)))), app, stopper, address, metrics_address })
    }

    /// Answers until it is stopped; with `signals`, SIGTERM and SIGINT do that.
    fn run(&self, py: Python<'_>, signals: bool) -> PyResult<()> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (server, resolver) =
            waiting.ok_or_else(|| to_exception(Error::Backend("the server has run already".to_owned())))?;
        py.detach(|| server.run(resolver, signals)).map_err(to_exception)
    }

    fn stop(&self) {
        self.stopper.stop();
    }

    #[getter]
    fn address(&self) -> Option<(String, u16)> {
        self.address.clone()
    }

    #[getter]
    fn metrics_address(&self) -> Option<(String, u16)> {
        self.metrics_address.clone()
    }

    #[getter]
    fn loading(&self) -> bool {
        self.app.loading()
    }

    #[getter]
    fn ready(&self) -> bool {
        self.app.ready()
    }
}

/// Sends logs to standard error.
#[pyfunction]
pub(super) fn log_to_stderr(level: &str, json: bool) -> bool {
    http::log_to_stderr(level, if json { LogFormat::Json } else { LogFormat::Text })
}

fn wanted((id, model, revision, task): Named) -> PyResult<Wanted> {
    let task = match task.as_deref() {
        None => None,
        Some("token-classification") => Some(Task::TokenClassification),
        Some("text-classification") => Some(Task::TextClassification),
        Some(other) => return Err(parameter("task", "token-classification or text-classification", other)),
    };
    Ok(Wanted { id, model, revision, task })
}

/// Asks Python where a model is, with a function to report the bytes of a download, all of them and those that are
/// here. What it raises is told as text: the server has no exceptions.
fn resolver(resolve: Py<PyAny>) -> Resolver {
    Box::new(move |wanted, progress| {
        Python::attach(|py| {
            let task = wanted.task.map(Task::name);
            let progress = Arc::clone(progress);
            let report = move |given: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
                let (total, done) = given.extract()?;
                progress.downloaded(total, done);
                PyResult::Ok(())
            };
            let report = PyCFunction::new_closure(py, None, None, report)?;
            let asked = (wanted.model.as_deref(), wanted.revision.as_deref(), task, report);
            let (folder, sha): (PathBuf, Option<String>) = resolve.bind(py).call1(asked)?.extract()?;
            Ok(Found { folder, sha })
        })
        .map_err(|error: PyErr| {
            let said = Python::attach(|py| error.value(py).str().map(|text: Bound<'_, PyString>| text.to_string()));
            Error::Backend(said.unwrap_or_else(|_| "the model can't be found".to_owned()))
        })
    })
}

fn config(options: Option<&Bound<'_, PyDict>>) -> PyResult<Config> {
    let given = Keywords::new(options, KEYWORDS)?;
    let default = Config::default();
    let whole = |key: &'static str, default: usize| {
        Ok::<_, PyErr>(given.whole(key, "a whole number of at least 0")?.unwrap_or(default))
    };
    let positive =
        |key: &'static str, default: usize| Ok::<_, PyErr>(given.positive(key)?.map_or(default, NonZeroUsize::get));
    let strategy = given.string("default_aggregation_strategy")?;
    Ok(Config {
        api_keys: given.strings("api_keys")?,
        cors_origins: given.strings("cors_origins")?,
        payload_limit: positive("payload_limit", default.payload_limit)?,
        max_client_batch_size: positive("max_client_batch_size", default.max_client_batch_size)?,
        max_concurrent_requests: positive("max_concurrent_requests", default.max_concurrent_requests)?,
        max_batch_tokens: positive("max_batch_tokens", default.max_batch_tokens)?,
        max_batch_requests: given.positive("max_batch_requests")?,
        tokenization_workers: whole("tokenization_workers", default.tokenization_workers)?,
        cache_size: whole("cache_size", default.cache_size)?,
        target_latency: given.seconds("target_latency")?.unwrap_or(default.target_latency),
        request_timeout: given.seconds("request_timeout")?.unwrap_or(default.request_timeout),
        loading_hold: given.seconds("loading_hold")?.unwrap_or(default.loading_hold),
        wait_timeout: given.seconds("wait_timeout")?.unwrap_or(default.wait_timeout),
        default_top_k: given.positive("default_top_k")?.map_or(TopK::All, |k| TopK::Count(k.get() as i64)),
        default_aggregation_strategy: match strategy {
            Some(name) => name.parse().map_err(to_exception)?,
            None => default.default_aggregation_strategy,
        },
        strict_parameters: given.flag("strict_parameters")?,
        auto_truncate: if given.get("auto_truncate")?.is_some() { given.flag("auto_truncate")? } else { true },
        list_output: given.name("list_output")?,
        predict_is_hub: given.flag("predict_is_hub")?,
        prometheus_port: given.whole("prometheus_port", "a whole number from 0 to 65535")?,
        otlp_endpoint: given.string("otlp_endpoint")?,
        otlp_service_name: given.string("otlp_service_name")?.unwrap_or(default.otlp_service_name),
        load: LoadOptions {
            threads: given.positive("threads")?,
            max_tokens: given.positive("max_tokens")?,
            dtype: given.name("dtype")?,
            quality: given.name("quality")?,
            calibration: Vec::new(),
            packed_cache: given.string("packed_cache")?.map(Into::into),
        },
    })
}
