//! Networks. A family is data: its configuration, the names of its tensors, its choice of bricks.

mod albert;
mod bart;
mod bert;
mod checkpoint;
mod deberta;
mod decoder;
mod distilbert;
mod dtypes;
mod electra;
mod encoder;
mod examine;
mod family;
mod head;
mod layer;
mod modernbert;
mod mpnet;
mod named;
mod order;
mod roberta;
mod shape;
mod tagger;

use candle_core::Tensor;

use crate::config::{Config, Task};
use crate::error::{Error, Result};
use crate::layers::{Context, Linear};
use crate::types::{Batch, RandomField, one_of};
use crate::weights::Weights;

use checkpoint::Checkpoint;
pub use dtypes::Dtypes;
use encoder::Encoder;
use family::Family;
use head::Head;
use shape::Shape;
use tagger::Tagger;

/// Every family that can be loaded: `model_type` decides.
const FAMILIES: &[&Family] = &[
    &albert::ALBERT,
    &bart::BART,
    &bert::BERT,
    &roberta::CAMEMBERT,
    &deberta::DEBERTA_V2,
    &distilbert::DISTILBERT,
    &electra::ELECTRA,
    &modernbert::MODERNBERT,
    &mpnet::MPNET,
    &roberta::ROBERTA,
    &roberta::XLM_ROBERTA,
    &roberta::XLM_ROBERTA_XL,
];

/// A network with its weights.
#[derive(Debug)]
pub struct Model {
    network: Network,
    limits: Limits,
}

/// The two kinds of networks.
#[derive(Debug)]
enum Network {
    /// An encoder of a family with a head.
    Encoder(Box<Encoder>, Box<Head>),
    /// A tagger of flair.
    Tagger(Box<Tagger>),
}

/// What the network's tables allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest sequence, special tokens included.
    pub positions: usize,
    /// Ids are below this.
    pub vocabulary: usize,
    /// Segments are below this; 0 = the network knows none.
    pub segments: usize,
    /// The id that every sequence must have, where the network answers at its place.
    pub end: Option<u32>,
}

impl Limits {
    /// Of the network that `config` describes.
    ///
    /// # Errors
    /// [`Error::Unsupported`] and [`Error::ModelFormat`], as for [`Model::load`].
    pub fn read(config: &Config) -> Result<Self> {
        if reads_words(config) {
            return Ok(Self::NONE);
        }
        Ok(Self::of(&family_and_shape(config)?.1))
    }

    /// Of a tagger, which reads sentences of any length, and whose words have no ids.
    const NONE: Self = Self { positions: usize::MAX, vocabulary: 1, segments: 0, end: None };

    fn of(shape: &Shape) -> Self {
        let end = shape.decoder.as_ref().map(|decoder| decoder.end);
        Self { positions: shape.longest(), vocabulary: shape.vocabulary, segments: shape.segments, end }
    }
}

impl Model {
    /// Reads the network that `config` describes, with the head of `task`. The dense layers of the encoder are held in
    /// `dtypes`; the head, which decides, and the tables stay as exact as they are.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a family, activation or option that is not implemented, [`Error::ModelFormat`] when
    /// a tensor is missing, unexpected or of another shape or dtype than the configuration says.
    pub fn load(config: &Config, task: Task, weights: &Weights, dtypes: &Dtypes) -> Result<Self> {
        if reads_words(config) {
            let network = Network::Tagger(Box::new(Tagger::load(config, weights, dtypes)?));
            return Ok(Self { network, limits: Limits::NONE });
        }
        let (family, shape) = family_and_shape(config)?;
        let checkpoint = Checkpoint::new(weights, &family.names)?;
        let encoder = Encoder::load(&checkpoint, &shape, dtypes)?;
        let head = Head::load(&checkpoint, family, task, &shape, config)?;
        checkpoint.finish()?;
        Ok(Self { network: Network::Encoder(Box::new(encoder), Box::new(head)), limits: Limits::of(&shape) })
    }

    /// What int8 would do to the network, and the logits of a batch in float32: an encoder's without loading it as a
    /// whole.
    ///
    /// # Errors
    /// As for [`Model::load`] and [`Model::forward`].
    pub fn examine(config: &Config, task: Task, weights: &Weights, batch: &Batch) -> Result<Examined> {
        if reads_words(config) {
            return Tagger::examine(config, weights, batch);
        }
        let (family, shape) = family_and_shape(config)?;
        let checkpoint = Checkpoint::new(weights, &family.names)?;
        let head = Head::load(&checkpoint, family, task, &shape, config)?;
        let (xs, moved) = examine::examine(&checkpoint, &shape, batch, head.reads())?;
        let context = Context::new(&batch.bounds, &|| false);
        Ok(Examined { moved, logits: head.forward(&xs, &context)? })
    }

    /// Logits of a batch: `[tokens, labels]` with a token head, `[sequences, labels]` with a sequence head.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when the batch was cancelled, [`Error::Backend`] when the computation failed,
    /// [`Error::ModelFormat`] when it met an embedding that is NaN or infinite.
    pub fn forward(&self, batch: &Batch, context: &Context<'_>) -> Result<Tensor> {
        match &self.network {
            Network::Encoder(encoder, head) => {
                let xs = encoder.forward(batch, head.reads(), context)?;
                head.forward(&xs, context)
            }
            Network::Tagger(tagger) => tagger.forward(batch, context),
        }
    }

    /// How a tagger's tags depend on each other, if they do.
    pub fn field(&self) -> Option<&RandomField> {
        match &self.network {
            Network::Encoder(..) => None,
            Network::Tagger(tagger) => tagger.field(),
        }
    }

    /// What the network's tables allow.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The dense layers of the encoder, and a tagger's recurrent ones.
    pub fn linears(&self) -> impl Iterator<Item = &Linear> {
        let (encoder, tagger) = match &self.network {
            Network::Encoder(encoder, _) => (Some(encoder.linears()), None),
            Network::Tagger(tagger) => (None, Some(tagger.linears())),
        };
        encoder.into_iter().flatten().chain(tagger.into_iter().flatten())
    }

    /// What one sequence of so many tokens asks of the machine.
    pub fn work(&self, tokens: usize) -> Work {
        match &self.network {
            Network::Encoder(encoder, head) => encoder.work(tokens, head.reads()),
            Network::Tagger(tagger) => tagger.work(tokens),
        }
    }

    /// Number of weights outside of the embedding tables.
    pub fn linear_parameters(&self) -> usize {
        match &self.network {
            Network::Encoder(encoder, head) => encoder.linear_parameters() + head.parameters(),
            Network::Tagger(tagger) => tagger.linear_parameters(),
        }
    }
}

/// What an answer takes at least, the encoder's dense layers and attention being nearly all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Bytes of weights that are read.
    pub bytes: usize,
    /// Operations of the dense layers, a multiplication and an addition being two.
    pub dense: usize,
    /// Operations of attention, its softmax not counted.
    pub attention: usize,
}

/// What [`Model::examine`] found.
#[derive(Debug)]
pub struct Examined {
    /// For each dense layer its name and how far its products move in int8, relative to their length.
    pub moved: Vec<(String, f64)>,
    /// In float32: `[tokens, labels]` or `[sequences, labels]`.
    pub logits: Tensor,
}

/// Whether the network is a tagger, which reads whole words.
pub fn reads_words(config: &Config) -> bool {
    config.model_type == tagger::MODEL_TYPE
}

/// `model_type` of every family that can be loaded.
pub fn families() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().map(|family| family.model_type).chain([tagger::MODEL_TYPE])
}

/// The tokenizer class of a family, for checkpoints that do not name one.
///
/// # Errors
/// [`Error::Unsupported`] when the family is not implemented.
pub fn tokenizer_class(config: &Config) -> Result<&'static str> {
    Ok(family(config)?.tokenizer_class)
}

fn family_and_shape(config: &Config) -> Result<(&'static Family, Shape)> {
    let family = family(config)?;
    let shape = (family.shape)(config)?.settled();
    shape.check(config)?;
    Ok((family, shape))
}

fn family(config: &Config) -> Result<&'static Family> {
    FAMILIES.iter().copied().find(|family| family.model_type == config.model_type).ok_or_else(|| {
        let names: Vec<_> = families().collect();
        Error::Unsupported { what: "model_type", got: config.model_type.clone(), supported: one_of(&names) }
    })
}
