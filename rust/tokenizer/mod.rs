//! From text to what the network reads, and from ids back to strings.

mod charsmap;
mod class;
mod decode;
mod files;
mod fit;
mod lead;
mod protobuf;
mod reader;
pub mod segtok;
mod sentencepiece;
mod settings;
mod subword;
mod ties;
mod tracks;
mod unigram;
mod words;

pub use fit::{Fit, Overlong};
pub use lead::Lead;
pub use reader::Reader;
pub use subword::Tokenizer;
pub use words::WordReader;
