//! ELECTRA's discriminator: BERT's body with narrower tables and an exact GELU in its sequence head.

use super::bert;
use super::family::{Family, HeadActivation, Names, Place, SequenceHead, TokenHead};
use super::shape::{Projection, Shape};
use crate::config::Config;
use crate::error::Result;
use crate::kernels::Activation;

pub(super) const ELECTRA: Family = Family {
    model_type: "electra",
    tokenizer_class: "ElectraTokenizer",
    names: Names { prefix: "electra.", ..bert::NAMES },
    sequence_head: SequenceHead {
        dense: Place::Top("classifier.dense"),
        activation: HeadActivation::Always(Activation::Gelu),
        norm: None,
        tokens: TokenHead::Plain,
        output: "classifier.out_proj",
    },
    shape,
};

/// Keys and defaults of `ElectraConfig`.
fn shape(config: &Config) -> Result<Shape> {
    let (hidden, embedding) = (config.size("hidden_size", 256)?, config.size("embedding_size", 128)?);
    Ok(Shape {
        hidden,
        heads: config.size("num_attention_heads", 4)?,
        intermediate: config.size("intermediate_size", 1_024)?,
        embedding,
        projection: if embedding == hidden { Projection::None } else { Projection::AfterNorm },
        ..bert::shape(config)?
    })
}
