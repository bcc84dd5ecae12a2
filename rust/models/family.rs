//! What a family has to say: the names of its tensors, how to read its configuration, which heads it has.

use super::shape::Shape;
use crate::config::Config;
use crate::error::Result;
use crate::kernels::Activation;

/// One row of the registry.
#[derive(Debug)]
pub(super) struct Family {
    /// `model_type` in `config.json`.
    pub model_type: &'static str,
    /// The class that reads its tokenizer files when `tokenizer_config.json` names none.
    pub tokenizer_class: &'static str,
    /// Its names for the tensors of the encoder.
    pub names: Names,
    /// Its sequence head.
    pub sequence_head: SequenceHead,
    /// Reads sizes and options out of `config.json`.
    pub shape: fn(&Config) -> Result<Shape>,
}

/// The names that a family's checkpoints use, without `.weight` and `.bias`; `{}` stands for the layer. All but
/// `prefix` stand behind the prefix.
#[derive(Debug, PartialEq)]
pub(super) struct Names {
    pub prefix: &'static str,
    pub word: &'static str,
    pub position: &'static str,
    pub segment: &'static str,
    pub embedding_norm: &'static str,
    pub projection: &'static str,
    /// Query, key and value, or one that has all three.
    pub qkv: &'static [&'static str],
    pub attention_output: &'static str,
    pub attention_norm: &'static str,
    pub up: &'static str,
    pub down: &'static str,
    pub output_norm: &'static str,
    pub last_norm: &'static str,
}

/// Those of a decoder.
#[derive(Debug, PartialEq)]
pub(super) struct DecoderNames {
    /// What it has in common with an encoder.
    pub own: Names,
    /// Of the attention to the encoder's rows.
    pub query: &'static str,
    pub key_value: &'static [&'static str],
    pub output: &'static str,
    pub norm: &'static str,
}

/// How a family classifies a sequence: one row through `dense`, an activation and perhaps a norm, then through `output`.
#[derive(Debug)]
pub(super) struct SequenceHead {
    pub dense: Place,
    pub activation: HeadActivation,
    pub norm: Option<Place>,
    pub tokens: TokenHead,
    /// Outside of the encoder.
    pub output: &'static str,
}

/// How it classifies tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenHead {
    /// Each through `classifier` alone.
    Plain,
    /// As it classifies sequences.
    AsSequences,
    /// It does not.
    None,
}

/// What stands between the two.
#[derive(Debug)]
pub(super) enum HeadActivation {
    Always(Activation),
    /// What this key of the configuration says.
    Key(&'static str),
}

/// Where a tensor of the head stands.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// Behind the encoder's prefix.
    Encoder(&'static str),
    /// Beside the encoder.
    Top(&'static str),
}

impl Place {
    /// The tensor's name without prefix.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Encoder(name) | Self::Top(name) => name,
        }
    }
}
