//! From text to what the network reads, and from ids back to strings.

mod class;
mod decode;
mod files;
mod fit;
mod lead;
mod settings;
mod subword;

pub use fit::{Fit, Overlong};
pub use lead::Lead;
pub use subword::Tokenizer;
