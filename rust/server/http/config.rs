//! What the operator of a server decides, resolved: nothing else reads flags.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::Task;
use crate::pipeline::LoadOptions;
use crate::server::Settings;
use crate::types::{AggregationStrategy, ListOutput, TopK};

/// Every flag of `candlewick serve` that is about the server and not about one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Keys, any of which opens the routes that compute; none = no key is asked for.
    pub api_keys: Vec<String>,
    /// Origins that browsers may call from; none = all of them, without credentials.
    pub cors_origins: Vec<String>,
    /// Most bytes of a request's body.
    pub payload_limit: usize,
    /// Most inputs of one request.
    pub max_client_batch_size: usize,
    /// Most requests at a time.
    pub max_concurrent_requests: usize,
    /// Most tokens of a batch.
    pub max_batch_tokens: usize,
    /// Most inputs of a batch; `None` = as many as fit.
    pub max_batch_requests: Option<NonZeroUsize>,
    /// Threads that only read texts while all others compute.
    pub tokenization_workers: usize,
    /// Bytes of the cache of answers, for all models together; 0 = none.
    pub cache_size: usize,
    /// How long a request may have to wait before it is refused.
    pub target_latency: Duration,
    /// How long a request may take from its arrival to its answer.
    pub request_timeout: Duration,
    /// How long a request is held while its model loads, unless it asked to wait.
    pub loading_hold: Duration,
    /// How long one that asked to wait is held.
    pub wait_timeout: Duration,
    /// How many labels a text classification answers that names no `top_k`.
    pub default_top_k: TopK,
    /// How tokens become entities where a request does not say.
    pub default_aggregation_strategy: AggregationStrategy,
    /// Whether an unknown parameter of text classification is an error and not only a warning.
    pub strict_parameters: bool,
    /// How a list for text classification is answered that names no `top_k`.
    pub list_output: ListOutput,
    /// Whether `/predict` cuts long texts unless a request says otherwise.
    pub auto_truncate: bool,
    /// Whether `/predict` is another name of `/` and not the route of text-embeddings-inference.
    pub predict_is_hub: bool,
    /// A port for metrics alone, on the same host; they stay where they are, too.
    pub prometheus_port: Option<u16>,
    /// Where spans are sent: `http://host:port` of a collector that speaks OTLP over HTTP.
    pub otlp_endpoint: Option<String>,
    /// What this server is called in traces.
    pub otlp_service_name: String,
    /// How models are loaded; its threads are those of all models together.
    pub load: LoadOptions,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            api_keys: Vec::new(),
            cors_origins: Vec::new(),
            payload_limit: 10_000_000,
            max_client_batch_size: 1_024,
            max_concurrent_requests: 512,
            max_batch_tokens: 16_384,
            max_batch_requests: None,
            tokenization_workers: 1,
            cache_size: 64 << 20,
            target_latency: Duration::from_millis(200),
            request_timeout: Duration::from_mins(1),
            loading_hold: Duration::from_secs(1),
            wait_timeout: Duration::from_mins(5),
            default_top_k: TopK::All,
            default_aggregation_strategy: AggregationStrategy::Simple,
            strict_parameters: false,
            list_output: ListOutput::Nested,
            auto_truncate: true,
            predict_is_hub: false,
            prometheus_port: None,
            otlp_endpoint: None,
            otlp_service_name: "candlewick".to_owned(),
            load: LoadOptions::default(),
        }
    }
}

impl Config {
    /// The part that is about requests, for a model of these limits.
    pub(super) fn settings(&self, max_tokens: usize, special_tokens: usize) -> Settings {
        Settings {
            max_tokens,
            special_tokens,
            default_top_k: self.default_top_k,
            default_aggregation_strategy: self.default_aggregation_strategy,
            strict_parameters: self.strict_parameters,
            list_output: self.list_output,
        }
    }
}

/// A model that is to be served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Its name in URLs and answers.
    pub id: String,
    /// What the resolver is asked for: a Hub id or a folder.
    pub model: Option<String>,
    /// Branch, tag or commit.
    pub revision: Option<String>,
    /// Its task; `None` = what its configuration says.
    pub task: Option<Task>,
}

/// Where a model is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Its folder on this machine.
    pub folder: PathBuf,
    /// The commit that it is of, if known.
    pub sha: Option<String>,
}
