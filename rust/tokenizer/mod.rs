//! From text to what the network reads, and from ids back to strings.

mod class;
mod decode;
mod files;
mod settings;
mod subword;

pub use subword::{Fit, Overlong, Tokenizer};
