//! RoBERTa, XLM-RoBERTa and CamemBERT: BERT's body with positions that start behind the padding id and a head of its
//! own.

use super::bert;
use super::family::{Family, HeadActivation, Names, Place, SequenceHead};
use super::shape::Shape;
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
        output: "classifier.out_proj",
    },
    shape,
};

pub(super) const XLM_ROBERTA: Family =
    Family { model_type: "xlm-roberta", tokenizer_class: "XLMRobertaTokenizer", ..ROBERTA };

pub(super) const CAMEMBERT: Family =
    Family { model_type: "camembert", tokenizer_class: "CamembertTokenizer", ..ROBERTA };

/// Keys and defaults of `RobertaConfig`, `XLMRobertaConfig` and `CamembertConfig`.
fn shape(config: &Config) -> Result<Shape> {
    let padding = config.size("pad_token_id", 1)? as u32;
    Ok(Shape {
        vocabulary: config.size("vocab_size", if config.model_type == "roberta" { 50_265 } else { 30_522 })?,
        positions: Positions::AfterPadding(padding),
        ..bert::shape(config)?
    })
}
