//! RoBERTa, XLM-RoBERTa and CamemBERT: BERT's body with positions that start behind the padding id and a head of its
//! own.

use super::bert;
use super::family::{Family, HeadActivation, Names, Place, SequenceHead, TokenHead};
use super::shape::{Layers, Norms, Shape};
use crate::config::Config;
use crate::error::Result;
use crate::kernels::Activation;
use crate::layers::Positions;

pub(super) const ROBERTA: Family = Family {
    model_type: "roberta",
    tokenizer_class: "RobertaTokenizer",
    names: Names { prefix: "roberta.", ..bert::NAMES },
    sequence_head: SequenceHead {
        dense: Place::Top("classifier.dense"),
        activation: HeadActivation::Always(Activation::Tanh),
        norm: None,
        tokens: TokenHead::Plain,
        output: "classifier.out_proj",
    },
    shape,
};

pub(super) const XLM_ROBERTA: Family =
    Family { model_type: "xlm-roberta", tokenizer_class: "XLMRobertaTokenizer", ..ROBERTA };

pub(super) const CAMEMBERT: Family =
    Family { model_type: "camembert", tokenizer_class: "CamembertTokenizer", ..ROBERTA };

/// The large ones have their norms in front of the blocks.
pub(super) const XLM_ROBERTA_XL: Family = Family {
    model_type: "xlm-roberta-xl",
    tokenizer_class: "XLMRobertaTokenizer",
    names: Names {
        attention_norm: "encoder.layer.{}.attention.self_attn_layer_norm",
        output_norm: "encoder.layer.{}.LayerNorm",
        ..ROBERTA.names
    },
    shape: xl_shape,
    ..ROBERTA
};

/// Keys and defaults of `XLMRobertaXLConfig`.
fn xl_shape(config: &Config) -> Result<Shape> {
    Ok(Shape {
        vocabulary: config.size("vocab_size", 250_880)?,
        hidden: config.size("hidden_size", 2_560)?,
        embedding: config.size("hidden_size", 2_560)?,
        layers: Layers::Each(config.size("num_hidden_layers", 36)?),
        heads: config.size("num_attention_heads", 32)?,
        intermediate: config.size("intermediate_size", 10_240)?,
        position_rows: config.size("max_position_embeddings", 514)?,
        segments: config.size("type_vocab_size", 1)?,
        norm_eps: config.number("layer_norm_eps", 1e-5)?,
        norms: Norms::Before,
        ..shape(config)?
    })
}

/// Keys and defaults of `RobertaConfig`, `XLMRobertaConfig` and `CamembertConfig`.
fn shape(config: &Config) -> Result<Shape> {
    let padding = config.size("pad_token_id", 1)? as u32;
    Ok(Shape {
        vocabulary: config.size("vocab_size", if config.model_type == "roberta" { 50_265 } else { 30_522 })?,
        positions: Positions::AfterPadding(padding),
        ..bert::shape(config)?
    })
}
