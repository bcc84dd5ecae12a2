//! DistilBERT: BERT's body under other names, without segments and pooler.

use super::family::{Family, HeadActivation, Names, Place, SequenceHead, TokenHead};
use super::shape::{Layers, Shape, activation};
use crate::config::Config;
use crate::error::Result;
use crate::kernels::Activation;

pub(super) const DISTILBERT: Family = Family {
    model_type: "distilbert",
    tokenizer_class: "DistilBertTokenizer",
    names: Names {
        prefix: "distilbert.",
        qkv: &[
            "transformer.layer.{}.attention.q_lin",
            "transformer.layer.{}.attention.k_lin",
            "transformer.layer.{}.attention.v_lin",
        ],
        attention_output: "transformer.layer.{}.attention.out_lin",
        attention_norm: "transformer.layer.{}.sa_layer_norm",
        up: "transformer.layer.{}.ffn.lin1",
        down: "transformer.layer.{}.ffn.lin2",
        output_norm: "transformer.layer.{}.output_layer_norm",
        ..super::bert::NAMES
    },
    sequence_head: SequenceHead {
        dense: Place::Top("pre_classifier"),
        activation: HeadActivation::Always(Activation::Relu),
        norm: None,
        tokens: TokenHead::Plain,
        output: "classifier",
    },
    shape,
};

/// Keys and defaults of `DistilBertConfig`; the norm's epsilon is fixed in the reference's network.
fn shape(config: &Config) -> Result<Shape> {
    let hidden = config.size("dim", 768)?;
    Ok(Shape {
        vocabulary: config.size("vocab_size", 30_522)?,
        hidden,
        layers: Layers::Each(config.size("n_layers", 6)?),
        heads: config.size("n_heads", 12)?,
        intermediate: config.size("hidden_dim", 3_072)?,
        embedding: hidden,
        position_rows: config.size("max_position_embeddings", 512)?,
        activation: activation(config, "activation")?,
        norm_eps: 1e-12,
        ..Shape::PLAIN
    })
}
