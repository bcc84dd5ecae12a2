//! BERT: the body that most families share.

use super::family::{Family, HeadActivation, Names, Place, SequenceHead, TokenHead};
use super::shape::{Layers, Shape, activation, terms};
use crate::config::Config;
use crate::error::Result;
use crate::kernels::Activation;

pub(super) const BERT: Family = Family {
    model_type: "bert",
    tokenizer_class: "BertTokenizer",
    names: NAMES,
    sequence_head: SequenceHead {
        dense: Place::Encoder("pooler.dense"),
        activation: HeadActivation::Always(Activation::Tanh),
        norm: None,
        tokens: TokenHead::Plain,
        output: "classifier",
    },
    shape,
};

pub(super) const NAMES: Names = Names {
    prefix: "bert.",
    word: "embeddings.word_embeddings",
    position: "embeddings.position_embeddings",
    segment: "embeddings.token_type_embeddings",
    embedding_norm: "embeddings.LayerNorm",
    projection: "embeddings_project",
    qkv: &[
        "encoder.layer.{}.attention.self.query",
        "encoder.layer.{}.attention.self.key",
        "encoder.layer.{}.attention.self.value",
    ],
    attention_output: "encoder.layer.{}.attention.output.dense",
    attention_norm: "encoder.layer.{}.attention.output.LayerNorm",
    up: "encoder.layer.{}.intermediate.dense",
    down: "encoder.layer.{}.output.dense",
    output_norm: "encoder.layer.{}.output.LayerNorm",
    last_norm: "encoder.LayerNorm",
};

/// Keys and defaults of `BertConfig`.
pub(super) fn shape(config: &Config) -> Result<Shape> {
    let hidden = config.size("hidden_size", 768)?;
    Ok(Shape {
        vocabulary: config.size("vocab_size", 30_522)?,
        hidden,
        layers: Layers::Each(config.size("num_hidden_layers", 12)?),
        heads: config.size("num_attention_heads", 12)?,
        intermediate: config.size("intermediate_size", 3_072)?,
        embedding: hidden,
        position_rows: config.size("max_position_embeddings", 512)?,
        segments: config.size("type_vocab_size", 2)?,
        activation: activation(config, "hidden_act")?,
        norm_eps: config.number("layer_norm_eps", 1e-12)?,
        terms: terms(config)?,
        ..Shape::PLAIN
    })
}
