//! Token and text classification with BERT-family encoders: exact, fast, on ordinary machines.
//!
//! ```
//! use candlewick::{TextClassificationPipeline, TopK};
//! # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/python/candlewick/demo/sentiment");
//! let sentiment = TextClassificationPipeline::load(folder, &Default::default())?;
//! let answers = sentiment.run(["What a wonderful evening!", "The soup was cold."], &Default::default())?;
//! assert_eq!(&*answers[0].output[0].label, "positive");
//! # Ok::<(), candlewick::Error>(())
//! ```
//!
//! A model is a folder as the Hub has it: `config.json`, safetensors, tokenizer files. Rooms, from the lowest:
//! [`kernels`], [`weights`], [`layers`], [`models`]; [`tokenizer`], [`batch`]; [`quality`]; [`postprocess`];
//! [`pipeline`], which knows them all; and, with the feature `server`, `engine` for many callers and [`server`] for HTTP.

pub mod batch;
pub mod config;
#[cfg(feature = "server")]
pub mod engine;
mod error;
pub mod kernels;
pub mod layers;
pub mod models;
pub mod pipeline;
pub mod postprocess;
#[cfg(feature = "python")]
mod python;
pub mod quality;
pub mod server;
pub mod tokenizer;
pub mod types;
pub mod weights;

pub use error::{Error, Result};
pub use pipeline::{Answer, LoadOptions, Pipeline, TextClassificationPipeline, TokenClassificationPipeline};
pub use types::{
    AggregationStrategy, Dtype, Entity, Function, Input, Label, LongText, OffsetUnit, Precision, QualityGate,
    RunOptions, Scheme, TextClassificationOptions, TokenClassificationOptions, TopK, Truncation, TruncationSide,
    WordBoundary, WordSource,
};
