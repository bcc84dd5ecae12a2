//! What a family has to say: the names of its tensors, how to read its configuration, which heads it has.

use crate::config::Config;
use crate::error::{Error, Result};
use crate::kernels::Activation;
use crate::layers::{Distances, Positions};
use crate::types::one_of;

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
#[derive(Debug)]
pub(super) struct Names {
    pub prefix: &'static str,
    pub word: &'static str,
    pub position: &'static str,
    pub segment: &'static str,
    pub embedding_norm: &'static str,
    pub projection: &'static str,
    pub query: &'static str,
    pub key: &'static str,
    pub value: &'static str,
    pub attention_output: &'static str,
    pub attention_norm: &'static str,
    pub up: &'static str,
    pub down: &'static str,
    pub output_norm: &'static str,
}

/// How a family classifies a sequence: its first row through `dense` and an activation, then through `output`.
#[derive(Debug)]
pub(super) struct SequenceHead {
    pub dense: Place,
    pub activation: HeadActivation,
    /// Outside of the encoder.
    pub output: &'static str,
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

/// Sizes and options of one encoder.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    pub vocabulary: usize,
    pub hidden: usize,
    pub layers: usize,
    pub heads: usize,
    pub intermediate: usize,
    /// Width of the embedding tables.
    pub embedding: usize,
    pub position_rows: usize,
    pub positions: Positions,
    /// 0 = the network knows no segments.
    pub segments: usize,
    pub activation: Activation,
    pub norm_eps: f64,
    /// Whether rows get the network's width, where the tables have another, before the norm and not after it.
    pub projected_first: bool,
    pub relative: Option<RelativeShape>,
    pub convolution: Option<ConvolutionShape>,
}

/// Scores by distance, from relative embeddings that all layers share.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RelativeShape {
    pub names: &'static RelativeNames,
    pub distances: Distances,
    /// Whether queries meet the distance to a key.
    pub keys: bool,
    /// Whether keys meet the distance to a query.
    pub queries: bool,
    /// Whether both by the projections of the keys and queries of texts.
    pub shared: bool,
    /// The norm over the embeddings, where there is one.
    pub norm: Option<&'static str>,
}

/// Names of what belongs to distances, as in [`Names`].
#[derive(Debug, PartialEq)]
pub(super) struct RelativeNames {
    pub table: &'static str,
    pub key: &'static str,
    pub query: &'static str,
}

/// A convolution beside the first layer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ConvolutionShape {
    pub name: &'static str,
    pub norm: &'static str,
    pub width: usize,
    pub groups: usize,
    pub activation: Activation,
}

impl Shape {
    /// Refuses sizes that no network can have and options that change the computation.
    pub(super) fn check(&self, config: &Config) -> Result<()> {
        for (name, size) in [
            ("vocabulary", self.vocabulary),
            ("hidden size", self.hidden),
            ("number of attention heads", self.heads),
            ("intermediate size", self.intermediate),
            ("embedding size", self.embedding),
            ("number of layers", self.layers),
            ("number of positions", self.positions.limit(self.position_rows)),
        ] {
            if size == 0 {
                return Err(Error::format(&config.file, format!("{name}: expected at least 1, got 0")));
            }
        }
        if !self.hidden.is_multiple_of(self.heads) {
            let message = format!("hidden size: expected a multiple of {} heads, got {}", self.heads, self.hidden);
            return Err(Error::format(&config.file, message));
        }
        let embedding = config.string("position_embedding_type", "absolute")?;
        if embedding != "absolute" {
            return Err(Error::Unsupported {
                what: "position_embedding_type",
                got: embedding.to_owned(),
                supported: "absolute".to_owned(),
            });
        }
        for key in ["is_decoder", "add_cross_attention"] {
            if config.get(key).is_some_and(|value| value.as_bool() != Some(false)) {
                return Err(Error::Unsupported {
                    what: "option",
                    got: format!("{key}=true"),
                    supported: format!("{key}=false"),
                });
            }
        }
        Ok(())
    }
}

/// The activation of a configuration key; GELU where it says nothing.
pub(super) fn activation(config: &Config, key: &str) -> Result<Activation> {
    activation_or(config, key, "gelu")
}

/// The activation of a configuration key with another default.
pub(super) fn activation_or(config: &Config, key: &str, default: &str) -> Result<Activation> {
    let name = config.string(key, default)?;
    Activation::from_name(name).ok_or_else(|| Error::Unsupported {
        what: "activation",
        got: name.to_owned(),
        supported: one_of(&Activation::names().collect::<Vec<_>>()),
    })
}
