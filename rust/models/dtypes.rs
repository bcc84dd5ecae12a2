//! What each dense layer of an encoder is held in.

use serde::{Deserialize, Serialize};

use crate::kernels::isa::has_bfloat16;
use crate::types::Dtype;

/// One type for all dense layers, with exceptions by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dtypes {
    every: Dtype,
    kept: Vec<String>,
}

impl Dtypes {
    /// All layers alike.
    pub fn all(every: Dtype) -> Self {
        Self { every, kept: Vec::new() }
    }

    /// int8 but for the layers of these names, which have [`Dtypes::safe`].
    pub fn int8_without(kept: Vec<String>) -> Self {
        Self { every: Dtype::Int8, kept }
    }

    /// What is fast on this machine and near float32 for every layer: bfloat16 where it has an instruction.
    pub fn safe() -> Dtype {
        if has_bfloat16() { Dtype::Bfloat16 } else { Dtype::Float32 }
    }

    /// What the layers are held in, exceptions aside.
    pub fn every(&self) -> Dtype {
        self.every
    }

    pub(super) fn of(&self, name: &str) -> Dtype {
        if self.kept.iter().any(|kept| kept == name) { Self::safe() } else { self.every }
    }

    /// What attention computes in between the layers: int8 is too coarse for it.
    pub(super) fn scores(&self) -> Dtype {
        if self.every == Dtype::Int8 { Self::safe() } else { self.every }
    }
}
