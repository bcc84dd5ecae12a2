//! From a folder to a network: which numbers it computes in, and whether they were packed before.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::LoadOptions;
use crate::config::{Config, Task};
use crate::error::{Error, Result};
use crate::kernels::Isa;
use crate::models::{Dtypes, Limits, Model};
use crate::quality::{self, Report, Sample};
use crate::tokenizer::Reader;
use crate::types::{Dtype, Precision, QualityGate};
use crate::weights::{Slot, Weights};

/// A network, and what is known about its numbers.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) model: Model,
    /// What its dense layers are held in, but for those that the report names.
    pub(super) dtype: Dtype,
    /// What int8 was measured to change.
    pub(super) report: Option<Report>,
    pub(super) cache: PackedCache,
}

/// What became of the packed cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackedCache {
    /// It was not asked for.
    Off,
    /// The weights are mapped from it.
    Read,
    /// The weights were packed, and put there for the next time.
    Written,
    /// It can't be used, and why.
    Unusable(String),
}

impl fmt::Display for PackedCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Read => f.write_str("read"),
            Self::Written => f.write_str("written"),
            Self::Unusable(why) => write!(f, "unusable: {why}"),
        }
    }
}

/// What is noted beside packed weights.
#[derive(Serialize, Deserialize)]
struct Note {
    dtypes: Dtypes,
    report: Option<Report>,
}

/// Loads the network, on the threads of the pool that it runs in.
pub(super) fn load(
    folder: &Path,
    config: &Config,
    task: Task,
    reader: &Reader,
    max_length: usize,
    options: &LoadOptions,
) -> Result<Network> {
    let mut weights = Weights::open(folder)?;
    let slot = options.packed_cache.as_deref().map(|cache| {
        let exact = matches!(options.dtype, Precision::Fixed(Dtype::Float32 | Dtype::Bfloat16));
        let judged = !exact && (options.quality != QualityGate::Skip || options.dtype == Precision::Auto);
        let gate = judged.then(|| calibration(options, max_length));
        let (version, isa) = (env!("CARGO_PKG_VERSION"), Isa::current());
        let task = task.name();
        let key = format!("{version} {isa} {task} {:?} {gate:?} {}", options.dtype, weights.identity());
        Slot::new(cache, &key)
    });
    let found = slot.as_ref().and_then(|slot| slot.as_ref().ok()?.read());
    let note = found.as_ref().and_then(|packed| Note::deserialize(packed.note()).ok());
    if let (Some(packed), Some(Note { dtypes, report })) = (found, note) {
        weights = weights.with_packed(packed);
        let model = Model::load(config, task, &weights, &dtypes)?;
        return obey(options, Network { model, dtype: dtypes.every(), report, cache: PackedCache::Read });
    }
    let (model, dtypes, report) = choose(config, task, &weights, reader, max_length, options)?;
    let cache = match slot {
        None => PackedCache::Off,
        Some(slot) => {
            let note = serde_json::json!(Note { dtypes: dtypes.clone(), report: report.clone() });
            let layers = || model.linears().map(|layer| (layer.name(), layer.packed()));
            let name = folder.to_string_lossy();
            let written = slot.and_then(|slot| slot.write(&name, note, layers()));
            written.map_or_else(|error| PackedCache::Unusable(error.to_string()), |()| PackedCache::Written)
        }
    };
    obey(options, Network { model, dtype: dtypes.every(), report, cache })
}

/// The numbers that were asked for, or that the gate allows.
fn choose(
    config: &Config,
    task: Task,
    weights: &Weights,
    reader: &Reader,
    max_length: usize,
    options: &LoadOptions,
) -> Result<(Model, Dtypes, Option<Report>)> {
    let plain = |dtype| {
        let dtypes = Dtypes::all(dtype);
        Ok((Model::load(config, task, weights, &dtypes)?, dtypes, None))
    };
    match (options.dtype, options.quality) {
        (Precision::Fixed(Dtype::Int8), QualityGate::Skip) => plain(Dtype::Int8),
        (Precision::Fixed(dtype @ (Dtype::Float32 | Dtype::Bfloat16)), _) => plain(dtype),
        (precision, _) => {
            let sample = Sample::new(&options.calibration, reader, max_length, Limits::read(config)?)?;
            let (model, report) = quality::load(config, task, weights, &sample)?;
            if precision == Precision::Auto && !report.passes() {
                let (model, dtypes, _) = plain(Dtypes::safe())?;
                return Ok((model, dtypes, Some(report)));
            }
            let dtypes = Dtypes::int8_without(report.kept.clone());
            Ok((model, dtypes, Some(report)))
        }
    }
}

/// Refuses int8 that misses the gate where that was asked for.
fn obey(options: &LoadOptions, network: Network) -> Result<Network> {
    match &network.report {
        Some(report)
            if options.quality == QualityGate::Strict && options.dtype == Dtype::Int8.into() && !report.passes() =>
        {
            let expected = "float32, bfloat16 or auto for this model and quality=\"strict\"";
            Err(Error::parameter("dtype", expected, &format_args!("int8, which {report}")))
        }
        _ => Ok(network),
    }
}

/// Tells samples apart.
fn calibration(options: &LoadOptions, max_length: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{:?}", options.calibration).hash(&mut hasher);
    max_length.hash(&mut hasher);
    hasher.finish()
}
