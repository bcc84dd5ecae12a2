//! ELECTRA's discriminator: BERT's body with narrower tables and an exact GELU in its sequence head.

use super::bert;
use super::family::{Family, HeadActivation, Names, Place, SequenceHead, Shape};
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
        output: "classifier.out_proj",
    },
    shape,
};

/// Keys and defaults of `ElectraConfig`.
fn shape(config: &Config) -> Result<Shape> {
    Ok(Shape {
        hidden: config.size("hidden_size", 256)?,
        heads: config.size("num_attention_heads", 4)?,
        intermediate: config.size("intermediate_size", 1_024)?,
        embedding: config.size("embedding_size", 128)?,
        ..bert::shape(config)?
    })
}
