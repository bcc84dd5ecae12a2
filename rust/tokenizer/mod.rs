//! From text to what the network reads, and from ids back to strings.

mod class;
mod decode;
mod files;
mod fit;
mod settings;
mod subword;

pub use fit::{Fit, Overlong};
pub use subword::Tokenizer;
