//! What a configuration says about an encoder: sizes, and which of the bricks' forms.

use super::family::DecoderNames;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::kernels::Activation;
use crate::layers::{Distances, Positions};
use crate::types::one_of;

pub(super) use super::order::{Layers, View};

/// Sizes and options of one encoder.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    pub vocabulary: usize,
    pub hidden: usize,
    pub layers: Layers,
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
    pub norms: Norms,
    /// Where rows get the network's width.
    pub projection: Projection,
    pub terms: Terms,
    pub convolution: Option<ConvolutionShape>,
    /// One for each layer with weights; none = every layer sees whole sequences, and places are in a table.
    pub views: Vec<View>,
    /// Whether half of what the feed-forward block is wide multiplies the other half.
    pub gated: bool,
    pub biases: Biases,
    /// What a sequence head reads.
    pub pooling: Pooling,
    /// What rows of the table of words are multiplied with.
    pub word_scale: f32,
    pub decoder: Option<DecoderShape>,
}

/// Where norms stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Norms {
    /// Over the embeddings and over the sum at the end of each block.
    After,
    /// In front of each block and after the last one.
    Before,
    /// Over the embeddings, in front of each block but the first, and after the last one.
    Between,
}

/// Which parts have biases; what stands behind the head always has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of a configuration")]
pub(super) struct Biases {
    pub attention: bool,
    pub feed_forward: bool,
    pub norms: bool,
    pub head: bool,
}

impl Biases {
    pub(super) const ALL: Self = Self { attention: true, feed_forward: true, norms: true, head: true };
}

/// From rows of a sequence to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pooling {
    First,
    Mean,
    /// What a decoder makes of all of them.
    Decoded,
}

/// What reads the encoder's rows, and the ids once more, one place later.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DecoderShape {
    pub names: &'static DecoderNames,
    pub shape: Box<Shape>,
    /// The id of the first place.
    pub start: u32,
    /// The id at whose last place it answers.
    pub end: u32,
}

/// Layers of a network that says something of each, so that no number makes room for more than any has.
pub(super) fn layer_count(config: &Config, key: &str, default: usize) -> Result<usize> {
    let layers = config.size(key, default)?;
    if layers > 1 << 10 { Err(config.error(key, "at most 1024", layers)) } else { Ok(layers) }
}

/// Where rows of the tables' width get the network's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Projection {
    /// They have it.
    None,
    BeforeNorm,
    AfterNorm,
}

/// What scores have beside the product of query and key.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Terms {
    /// Nothing.
    None,
    /// Rows of relative embeddings that all layers share, each by projections of its own.
    Projected(Projected),
    /// Rows of relative embeddings of each layer that all heads share, as `position_embedding_type` says.
    PerLayer {
        name: &'static str,
        /// Whether keys meet them as queries do.
        queries: bool,
        /// Longest sequence.
        positions: usize,
    },
    /// T5's table of that name, the same for all layers.
    Bias(&'static str),
}

/// [`Terms::Projected`].
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Projected {
    pub names: &'static RelativeNames,
    /// `None` where the embeddings are not used; the scale of scores counts their terms nevertheless.
    pub distances: Option<Distances>,
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
    /// After BERT's plan with nothing special, for a family to say what it has. Without sizes, which
    /// [`check`](Self::check) refuses: each family has its own.
    pub(super) const PLAIN: Self = Self {
        vocabulary: 0,
        hidden: 0,
        layers: Layers::Each(0),
        heads: 0,
        intermediate: 0,
        embedding: 0,
        position_rows: 0,
        positions: Positions::From(0),
        segments: 0,
        activation: Activation::Gelu,
        norm_eps: 1e-12,
        norms: Norms::After,
        projection: Projection::None,
        terms: Terms::None,
        convolution: None,
        views: Vec::new(),
        gated: false,
        biases: Biases::ALL,
        pooling: Pooling::First,
        word_scale: 1.0,
        decoder: None,
    };

    /// Longest sequence, special tokens included.
    pub(super) fn longest(&self) -> usize {
        match self.terms {
            Terms::PerLayer { positions, .. } => positions,
            // Angles have no end, but the network was made for so many places.
            _ if self.views.iter().any(|view| view.theta.is_some()) => self.position_rows,
            _ => self.positions.limit(self.position_rows),
        }
    }

    /// What a layer with weights sees.
    pub(super) fn view(&self, layer: usize) -> View {
        self.views.get(layer).copied().unwrap_or(View::PLAIN)
    }

    /// Layers that have relative embeddings of their own stand for the table of places, which is then not read.
    #[must_use]
    pub(super) fn settled(self) -> Self {
        match self.terms {
            Terms::PerLayer { .. } => Self { positions: Positions::Nowhere, ..self },
            _ => self,
        }
    }

    /// Refuses sizes that no network can have and options that change the computation.
    pub(super) fn check(&self, config: &Config) -> Result<()> {
        for (name, size) in [
            ("vocabulary", self.vocabulary),
            ("hidden size", self.hidden),
            ("number of attention heads", self.heads),
            ("intermediate size", self.intermediate),
            ("embedding size", self.embedding),
            ("number of layers", self.layers.computed()),
            ("number of positions", self.longest()),
        ] {
            if size == 0 {
                return Err(Error::format(&config.file, format!("{name}: expected at least 1, got 0")));
            }
        }
        if !self.hidden.is_multiple_of(self.heads) {
            let message = format!("hidden size: expected a multiple of {} heads, got {}", self.heads, self.hidden);
            return Err(Error::format(&config.file, message));
        }
        let width = self.hidden / self.heads;
        if self.views.iter().any(|view| view.theta.is_some()) && !width.is_multiple_of(2) {
            let message = format!("hidden size: expected an even number for each of {} heads, got {width}", self.heads);
            return Err(Error::format(&config.file, message));
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

/// What `position_embedding_type` says: whether a layer has relative embeddings of its own, for queries or for keys too.
pub(super) fn terms(config: &Config) -> Result<Terms> {
    const NAMES: [&str; 3] = ["absolute", "relative_key", "relative_key_query"];
    let kind = config.string("position_embedding_type", NAMES[0])?;
    if kind == NAMES[0] {
        return Ok(Terms::None);
    }
    if !NAMES.contains(&kind) {
        let (what, got, supported) = ("position_embedding_type", kind.to_owned(), one_of(&NAMES));
        return Err(Error::Unsupported { what, got, supported });
    }
    let positions = config.size("max_position_embeddings", 512)?;
    Ok(Terms::PerLayer {
        name: "encoder.layer.{}.attention.self.distance_embedding",
        queries: kind == NAMES[2],
        positions,
    })
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
