//! What every task needs: the loaded model, text to tokens, tokens to logits.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::LoadOptions;
use super::network::{self, Network, PackedCache};
use crate::batch;
use crate::config::{Config, Task};
use crate::error::{Error, Result};
use crate::kernels::{Isa, Pool, PoolError, isa};
use crate::layers::{Arena, Context, Profile};
use crate::models::{self, Limits, Model};
use crate::quality::Report;
use crate::tokenizer::{Fit, Lead, Reader};
use crate::types::{Batch, Dtype, Encoded, Encoding, Input, Logits, Vocabulary};

/// Longest input of a model that has no limit of its own, unless `max_tokens` says otherwise.
const DEFAULT_MAX_TOKENS: usize = 8_192;

/// Bytes that a batch may leave to the next one: what [`crate::batch::TOKENS`] take in a large model, twice.
const ARENA: usize = 64 << 20;

/// A loaded model.
#[derive(Debug)]
pub struct Core {
    pub(super) config: Config,
    pub(super) reader: Reader,
    pub(super) model: Model,
    /// What int8 was measured to change.
    pub(super) report: Option<Report>,
    pub(super) cache: PackedCache,
    pub(super) pool: Arc<Pool>,
    pub(super) isa: Isa,
    pub(super) dtype: Dtype,
    /// Limit of truncation: the smaller of tokenizer's and network's.
    pub(super) max_tokens: usize,
    /// Limit of what the network can compute.
    pub(super) positions: usize,
    /// Memory of batches that are done, for the next ones: as many as ever ran at once.
    arenas: Mutex<Vec<Arena>>,
    /// Tokens that went through the network so far.
    pub(super) computed: AtomicUsize,
}

impl Core {
    pub(super) fn load(folder: &Path, task: Task, options: &LoadOptions, pool: Arc<Pool>) -> Result<Self> {
        let isa = isa::selected().map_err(|error| Error::parameter(isa::VARIABLE, error.allowed, &error.asked))?;
        if !folder.is_dir() {
            return Err(Error::ModelNotFound { path: folder.to_owned(), message: "no such folder".to_owned() });
        }
        let config = Config::load(folder)?;
        if let Some(own) = config.task.filter(|own| *own != task) {
            let got = format!("{} ({})", task.name(), config.architecture.as_deref().unwrap_or_default());
            return Err(Error::parameter("task", format!("{} for this model", own.name()), &got));
        }
        let class = if models::reads_words(&config) { None } else { Some(models::tokenizer_class(&config)?) };
        let reader = Reader::load(folder, &config, class)?;
        let cap = options.max_tokens.map_or(usize::MAX, NonZeroUsize::get);
        let own = Limits::read(&config)?.positions;
        let positions = if own == usize::MAX { cap.min(DEFAULT_MAX_TOKENS) } else { own.min(cap) };
        let max_tokens = positions.min(reader.max_length().unwrap_or(usize::MAX));
        let least = reader.added_tokens(false) + 1;
        if max_tokens < least {
            let expected = format!("at least {least}, for special tokens and one more");
            return Err(Error::parameter("max_tokens", expected, &max_tokens));
        }
        let (arenas, computed) = (Mutex::default(), AtomicUsize::new(0));
        let load = || network::load(folder, &config, task, &reader, max_tokens, options);
        let Network { model, dtype, report, cache } = pool.run(None, &mut || false, |_| load())??;
        Ok(Self { config, reader, model, report, cache, pool, isa, dtype, max_tokens, positions, arenas, computed })
    }

    /// Whether the network is a tagger.
    pub(super) fn reads_words(&self) -> bool {
        matches!(self.reader, Reader::Words(_))
    }

    /// Tokens of a batch.
    pub(super) fn batch_tokens(&self) -> usize {
        if self.reads_words() { batch::WORDS } else { batch::TOKENS }
    }

    /// Text to tokens, checked against the network's tables.
    pub(super) fn encode(&self, index: usize, input: &Input, fit: Fit, lead: Option<&Lead>) -> Result<Encoded> {
        let encoded = self.reader.encode(index, input, fit, lead)?;
        let Limits { vocabulary: rows, end, .. } = self.model.limits();
        let ids = encoded.windows.iter().flat_map(|window| &window.ids);
        if let Some(id) = ids.copied().find(|&id| id as usize >= rows) {
            let token = self.reader.token(id);
            let message = format!("token {token:?} has id {id}, the model's embedding table ends at {}", rows - 1);
            return Err(Error::input(index, message));
        }
        if let Some(end) = end.filter(|end| encoded.windows.iter().any(|window| !window.ids.contains(end))) {
            let (token, length) = (self.reader.token(end), encoded.windows[0].len());
            let message = format!("none of its {length} tokens is {token:?} (id {end}), where this model answers");
            return Err(Error::input(index, message));
        }
        Ok(encoded)
    }

    /// Tokens to logits, one per sequence.
    pub(super) fn forward(
        &self,
        sequences: &[&Encoding],
        cancelled: &dyn Fn() -> bool,
        profile: Option<&Profile>,
    ) -> Result<Vec<Logits>> {
        let batch = Batch::new(sequences, self.model.limits().segments);
        let arena = self.arenas.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        let context = Context::new(&batch.bounds, cancelled).profiled(profile).lent(&arena);
        let logits = self.model.forward(&batch, &context)?; // (tokens or sequences, labels)
        if arena.bytes() <= ARENA {
            self.arenas.lock().unwrap_or_else(PoisonError::into_inner).push(arena);
        }
        let (rows, columns) = logits.dims2()?;
        let values = logits.flatten_all()?.to_vec1::<f32>()?;
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(Error::Backend(format!(
                "the network gave {value} as a logit: its weights or its numbers overflow"
            )));
        }
        self.computed.fetch_add(batch.bounds.tokens(), Ordering::Relaxed);
        let per_token = rows == batch.bounds.tokens();
        let of_sequence = |(index, bounds): (usize, Range<usize>)| {
            let rows = if per_token { bounds } else { index..index + 1 };
            Logits { values: values[rows.start * columns..rows.end * columns].to_vec(), columns }
        };
        Ok(batch.bounds.rows().enumerate().map(of_sequence).collect())
    }
}

/// `CANDLEWICK_NUM_THREADS`, if it is set.
///
/// # Errors
/// [`Error::Parameter`] unless it is a whole number of at least 1.
pub fn threads_from_environment() -> Result<Option<NonZeroUsize>> {
    const NAME: &str = "CANDLEWICK_NUM_THREADS";
    let Ok(value) = std::env::var(NAME) else { return Ok(None) };
    let threads = value.trim().parse::<NonZeroUsize>();
    threads.map(Some).map_err(|_| Error::parameter(NAME, "a whole number of at least 1", &format_args!("{value:?}")))
}

impl From<PoolError> for Error {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Threads(message) => Self::Backend(format!("no threads: {message}")),
            PoolError::Stopped => Self::Interrupted,
            PoolError::Panic(message) => Self::Backend(format!("internal error: {message}")),
        }
    }
}
