//! Checkpoints on disk: safetensors files, mapped and read in place.

mod mapped;

pub use mapped::{Mapped, Weights};
