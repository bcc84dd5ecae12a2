//! Weights on disk: safetensors files, mapped and read in place; and what was packed out of them, kept for the next
//! process.

mod folder;
mod mapped;
mod packed;

pub use mapped::{Mapped, Weights};
pub use packed::{Entry, PackedFile, Slot, clear, list};
