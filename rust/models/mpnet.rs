//! `MPNet`: BERT's body with RoBERTa's positions and, beside them, a bias of scores by distance.

use super::bert;
use super::family::{Family, Names};
use super::roberta::ROBERTA;
use super::shape::{Shape, Terms};
use crate::config::Config;
use crate::error::Result;
use crate::layers::Positions;

pub(super) const MPNET: Family = Family {
    model_type: "mpnet",
    tokenizer_class: "MPNetTokenizer",
    names: Names {
        prefix: "mpnet.",
        qkv: &[
            "encoder.layer.{}.attention.attn.q",
            "encoder.layer.{}.attention.attn.k",
            "encoder.layer.{}.attention.attn.v",
        ],
        attention_output: "encoder.layer.{}.attention.attn.o",
        attention_norm: "encoder.layer.{}.attention.LayerNorm",
        ..bert::NAMES
    },
    shape,
    ..ROBERTA
};

/// Keys and defaults of `MPNetConfig`; the padding id is fixed in the reference's network.
fn shape(config: &Config) -> Result<Shape> {
    Ok(Shape {
        vocabulary: config.size("vocab_size", 30_527)?,
        positions: Positions::AfterPadding(1),
        segments: 0,
        terms: Terms::Bias("encoder.relative_attention_bias"),
        ..bert::shape(config)?
    })
}
