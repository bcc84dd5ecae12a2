//! From text to what the network reads, and from ids back to strings.

mod charsmap;
mod class;
mod decode;
mod files;
mod fit;
mod lead;
mod protobuf;
mod sentencepiece;
mod settings;
mod subword;
mod unigram;

pub use fit::{Fit, Overlong};
pub use lead::Lead;
pub use subword::Tokenizer;
