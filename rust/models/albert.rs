//! ALBERT: BERT's body with narrow tables and few layers with weights, each computed over and over.

use super::bert;
use super::family::{Family, HeadActivation, Names, Place, SequenceHead, TokenHead};
use super::shape::{Layers, Projection, Shape, activation_or};
use crate::config::Config;
use crate::error::Result;
use crate::kernels::Activation;

pub(super) const ALBERT: Family = Family {
    model_type: "albert",
    tokenizer_class: "AlbertTokenizer",
    names: Names {
        prefix: "albert.",
        projection: "encoder.embedding_hidden_mapping_in",
        qkv: &[
            "encoder.albert_layer_groups.{}.attention.query",
            "encoder.albert_layer_groups.{}.attention.key",
            "encoder.albert_layer_groups.{}.attention.value",
        ],
        attention_output: "encoder.albert_layer_groups.{}.attention.dense",
        attention_norm: "encoder.albert_layer_groups.{}.attention.LayerNorm",
        up: "encoder.albert_layer_groups.{}.ffn",
        down: "encoder.albert_layer_groups.{}.ffn_output",
        output_norm: "encoder.albert_layer_groups.{}.full_layer_layer_norm",
        ..bert::NAMES
    },
    sequence_head: SequenceHead {
        dense: Place::Encoder("pooler"),
        activation: HeadActivation::Always(Activation::Tanh),
        norm: None,
        tokens: TokenHead::Plain,
        output: "classifier",
    },
    shape,
};

/// Keys and defaults of `AlbertConfig`.
fn shape(config: &Config) -> Result<Shape> {
    let layers = config.size("num_hidden_layers", 12)?;
    let (groups, inner) = (config.size("num_hidden_groups", 1)?, config.size("inner_group_num", 1)?);
    for (key, value, most) in
        [("num_hidden_layers", layers, 1 << 10), ("num_hidden_groups", groups, layers), ("inner_group_num", inner, 64)]
    {
        if value == 0 || value > most {
            return Err(config.error(key, &format!("a whole number from 1 to {most}"), value));
        }
    }
    Ok(Shape {
        vocabulary: config.size("vocab_size", 30_000)?,
        hidden: config.size("hidden_size", 4_096)?,
        layers: Layers::Grouped { layers, groups, inner },
        heads: config.size("num_attention_heads", 64)?,
        intermediate: config.size("intermediate_size", 16_384)?,
        embedding: config.size("embedding_size", 128)?,
        projection: Projection::AfterNorm,
        activation: activation_or(config, "hidden_act", "gelu_new")?,
        ..bert::shape(config)?
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(changes: &str) -> Result<Shape> {
        shape(&Config::parse(Path::new("config.json"), &format!("{{\"model_type\": \"albert\"{changes}}}")).unwrap())
    }

    #[test]
    fn groups_take_their_turns() {
        let layers =
            read(", \"num_hidden_layers\": 5, \"num_hidden_groups\": 2, \"inner_group_num\": 2").unwrap().layers;
        let order: Vec<_> = (0..layers.computed()).map(|step| layers.name(layers.at(step))).collect();
        let of_group = |group| [0, 1].map(|inner| format!("{group}.albert_layers.{inner}"));
        assert_eq!(order, [of_group(0), of_group(0), of_group(0), of_group(1), of_group(1)].concat());
        assert_eq!(layers.distinct(), 4);
    }

    #[test]
    fn numbers_of_layers_that_can_not_be_are_refused() {
        for (changes, part) in [
            (", \"num_hidden_groups\": 0", "num_hidden_groups: expected a whole number from 1 to 12"),
            (", \"num_hidden_groups\": 13", "num_hidden_groups"),
            (", \"inner_group_num\": 0", "inner_group_num"),
            (", \"num_hidden_layers\": 100000", "num_hidden_layers: expected a whole number from 1 to 1024"),
        ] {
            let message = read(changes).unwrap_err().to_string();
            assert!(message.contains(part), "{message} does not say {part}");
        }
    }
}
