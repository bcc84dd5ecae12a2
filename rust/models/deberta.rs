//! DeBERTa-v2, DeBERTa-v3 and mDeBERTa: BERT's body with attention by distance instead of a table of places.

use super::bert;
use super::family::{Family, HeadActivation, Names, Place, SequenceHead, TokenHead};
use super::shape::{ConvolutionShape, Layers, Projected, Projection, RelativeNames, Shape, Terms, activation_or};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::layers::{Distances, Positions};

pub(super) const DEBERTA_V2: Family = Family {
    model_type: "deberta-v2",
    tokenizer_class: "DebertaV2Tokenizer",
    names: Names {
        prefix: "deberta.",
        projection: "embeddings.embed_proj",
        qkv: &[
            "encoder.layer.{}.attention.self.query_proj",
            "encoder.layer.{}.attention.self.key_proj",
            "encoder.layer.{}.attention.self.value_proj",
        ],
        ..bert::NAMES
    },
    sequence_head: SequenceHead {
        dense: Place::Top("pooler.dense"),
        activation: HeadActivation::Key("pooler_hidden_act"),
        norm: None,
        tokens: TokenHead::Plain,
        output: "classifier",
    },
    shape,
};

const RELATIVE: RelativeNames = RelativeNames {
    table: "encoder.rel_embeddings",
    key: "encoder.layer.{}.attention.self.pos_key_proj",
    query: "encoder.layer.{}.attention.self.pos_query_proj",
};

/// Keys and defaults of `DebertaV2Config`.
fn shape(config: &Config) -> Result<Shape> {
    let hidden = config.size("hidden_size", 1_536)?;
    let heads = config.size("num_attention_heads", 24)?;
    for (key, expected) in [("attention_head_size", hidden / heads.max(1)), ("pooler_hidden_size", hidden)] {
        let got = config.size(key, expected)?;
        if got != expected {
            let (got, supported) = (format!("{key}={got}"), format!("{key}={expected}"));
            return Err(Error::Unsupported { what: "option", got, supported });
        }
    }
    let embedding = config.size("embedding_size", hidden)?;
    let placed = config.flag("position_biased_input", true)?;
    Ok(Shape {
        vocabulary: config.size("vocab_size", 128_100)?,
        hidden,
        layers: Layers::Each(config.size("num_hidden_layers", 24)?),
        heads,
        intermediate: config.size("intermediate_size", 6_144)?,
        embedding,
        positions: if placed { Positions::From(0) } else { Positions::Nowhere },
        segments: config.size("type_vocab_size", 0)?,
        norm_eps: config.number("layer_norm_eps", 1e-7)?,
        projection: if embedding == hidden { Projection::None } else { Projection::BeforeNorm },
        terms: Terms::Projected(relative(config)?),
        convolution: convolution(config, hidden)?,
        ..bert::shape(config)?
    })
}

/// The terms of scores; without `relative_attention` they only make the others count less.
fn relative(config: &Config) -> Result<Projected> {
    let terms = words(config, "pos_att_type")?;
    let [keys, queries] = ["c2p", "p2c"].map(|term| terms.iter().any(|word| word == term));
    let farthest = match config.number("max_relative_positions", -1.0)? {
        limit if limit < 1.0 => config.size("max_position_embeddings", 512)?,
        _ => config.size("max_relative_positions", 0)?,
    };
    let buckets = match config.number("position_buckets", -1.0)? {
        buckets if buckets < 1.0 => None,
        _ => Some(config.size("position_buckets", 0)?),
    };
    let attends = config.flag("relative_attention", false)?;
    if attends && buckets.is_some_and(|buckets| buckets < 2 || farthest <= buckets / 2 + 1) {
        let expected = format!("at least 2 and below {}, twice the farthest distance", 2 * farthest.saturating_sub(1));
        return Err(config.error("position_buckets", &expected, buckets.unwrap_or(0)));
    }
    let span = buckets.unwrap_or(farthest);
    if attends && span == 0 {
        return Err(config.error("max_position_embeddings", "at least 1", 0));
    }
    Ok(Projected {
        names: &RELATIVE,
        distances: attends.then_some(Distances { zero: span, rows: 2 * span, buckets, farthest }),
        keys,
        queries,
        shared: config.flag("share_att_key", false)?,
        norm: words(config, "norm_rel_ebd")?.iter().any(|word| word == "layer_norm").then_some("encoder.LayerNorm"),
    })
}

fn convolution(config: &Config, hidden: usize) -> Result<Option<ConvolutionShape>> {
    let (width, groups) = (config.size("conv_kernel_size", 0)?, config.size("conv_groups", 1)?);
    if width == 0 {
        return Ok(None);
    }
    if width.is_multiple_of(2) || width > 1 << 10 {
        return Err(config.error("conv_kernel_size", "an odd number below 1024", width));
    }
    if groups == 0 || !hidden.is_multiple_of(groups) {
        return Err(config.error("conv_groups", &format!("a divisor of {hidden}"), groups));
    }
    let activation = activation_or(config, "conv_act", "tanh")?;
    let (name, norm) = ("encoder.conv.conv", "encoder.conv.LayerNorm");
    Ok(Some(ConvolutionShape { name, norm, width, groups, activation }))
}

/// A list of names, or one string with `|` between them.
fn words(config: &Config, key: &str) -> Result<Vec<String>> {
    let all = match config.get(key) {
        None => Vec::new(),
        Some(serde_json::Value::Array(items)) => items.iter().filter_map(|item| item.as_str()).collect(),
        Some(_) => config.string(key, "")?.split('|').collect(),
    };
    Ok(all.into_iter().map(|word| word.trim().to_lowercase()).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn read(changes: &serde_json::Value) -> Result<Shape> {
        let mut values = json!({"model_type": "deberta-v2", "hidden_size": 32, "num_attention_heads": 4});
        values.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        shape(&Config::parse(Path::new("config.json"), &values.to_string()).unwrap())
    }

    #[test]
    fn lists_and_strings_say_the_same() {
        let [list, string] = [json!(["C2P", "p2c"]), json!(" p2c |c2p")]
            .map(|terms| read(&json!({"pos_att_type": terms, "relative_attention": true})).unwrap().terms);
        assert_eq!(list, string);
        assert!(matches!(list, Terms::Projected(Projected { keys: true, queries: true, distances: Some(_), .. })));
    }

    #[test]
    fn impossible_combinations_are_refused_by_name() {
        for (changes, part) in [
            (json!({"relative_attention": true, "position_buckets": 1}), "position_buckets: expected at least 2"),
            (json!({"relative_attention": true, "position_buckets": 1024}), "below 1022"),
            (json!({"relative_attention": true, "max_position_embeddings": 0}), "max_position_embeddings"),
            (json!({"relative_attention": "yes"}), "relative_attention: expected true or false"),
            (json!({"conv_kernel_size": 4}), "conv_kernel_size: expected an odd number"),
            (json!({"conv_kernel_size": 3, "conv_groups": 5}), "conv_groups: expected a divisor of 32"),
            (json!({"attention_head_size": 16}), "attention_head_size=16"),
            (json!({"pos_att_type": 5}), "pos_att_type: expected a string"),
        ] {
            let message = read(&changes).unwrap_err().to_string();
            assert!(message.contains(part), "{message} does not say {part}");
        }
    }
}
