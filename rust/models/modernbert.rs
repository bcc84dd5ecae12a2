//! ModernBERT: norms between blocks, places as angles, most layers with a window, half of the feed-forward block a gate.

use serde_json::Value;

use super::bert;
use super::family::{Family, HeadActivation, Names, Place, SequenceHead, TokenHead};
use super::shape::{Biases, Layers, Norms, Pooling, Shape, View, activation, layer_count};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::kernels::Span;
use crate::layers::Positions;
use crate::types::one_of;

pub(super) const MODERNBERT: Family = Family {
    model_type: "modernbert",
    tokenizer_class: "PreTrainedTokenizerFast",
    names: Names {
        prefix: "model.",
        word: "embeddings.tok_embeddings",
        embedding_norm: "embeddings.norm",
        qkv: &["layers.{}.attn.Wqkv"],
        attention_output: "layers.{}.attn.Wo",
        attention_norm: "layers.{}.attn_norm",
        up: "layers.{}.mlp.Wi",
        down: "layers.{}.mlp.Wo",
        output_norm: "layers.{}.mlp_norm",
        last_norm: "final_norm",
        ..bert::NAMES
    },
    sequence_head: SequenceHead {
        dense: Place::Top("head.dense"),
        activation: HeadActivation::Key("classifier_activation"),
        norm: Some(Place::Top("head.norm")),
        tokens: TokenHead::AsSequences,
        output: "classifier",
    },
    shape,
};

/// Kinds of layers, and where older configurations have the base of their angles.
const FULL: (&str, &str) = ("full_attention", "global_rope_theta");
const SLIDING: (&str, &str) = ("sliding_attention", "local_rope_theta");

/// Keys and defaults of `ModernBertConfig`.
fn shape(config: &Config) -> Result<Shape> {
    let hidden = config.size("hidden_size", 768)?;
    let layers = layer_count(config, "num_hidden_layers", 22)?;
    Ok(Shape {
        vocabulary: config.size("vocab_size", 50_368)?,
        hidden,
        layers: Layers::Each(layers),
        heads: config.size("num_attention_heads", 12)?,
        intermediate: config.size("intermediate_size", 1_152)?,
        embedding: hidden,
        position_rows: config.size("max_position_embeddings", 8_192)?,
        positions: Positions::Nowhere,
        activation: activation(config, "hidden_activation")?,
        norm_eps: config.number("norm_eps", 1e-5)?,
        norms: Norms::Between,
        views: views(config, layers)?,
        gated: true,
        biases: Biases {
            attention: config.flag("attention_bias", false)?,
            feed_forward: config.flag("mlp_bias", false)?,
            norms: config.flag("norm_bias", false)?,
            head: config.flag("classifier_bias", false)?,
        },
        pooling: pooling(config)?,
        ..Shape::PLAIN
    })
}

/// What each layer sees: `layer_types`, or every so many layers everything.
fn views(config: &Config, layers: usize) -> Result<Vec<View>> {
    refuse_other_angles(config)?;
    let full = View { span: Span::Full, theta: Some(theta(config, FULL, 160_000.0)?) };
    let local = if config.is_null(SLIDING.1) { full.theta } else { None };
    let theta = local.map_or_else(|| theta(config, SLIDING, 10_000.0), Ok)?;
    let window = config.size("local_attention", 128)?;
    if window == 0 {
        return Err(config.error("local_attention", "at least 1", window));
    }
    let sliding = View { span: Span::Window(window / 2), theta: Some(theta) };
    let Some(kinds) = config.get("layer_types") else {
        let every = config.size("global_attn_every_n_layers", 3)?;
        if every == 0 {
            return Err(config.error("global_attn_every_n_layers", "at least 1", every));
        }
        return Ok((0..layers).map(|layer| if layer % every == 0 { full } else { sliding }).collect());
    };
    let kinds = kinds.as_array().filter(|kinds| kinds.len() == layers);
    let kinds = kinds.ok_or_else(|| {
        let got = config.get("layer_types").and_then(Value::as_array).map_or(0, Vec::len);
        config.error("layer_types", &format!("a list of {layers} kinds, one for each layer"), got)
    })?;
    let view = |kind: &Value| match kind.as_str() {
        Some(name) if name == FULL.0 => Ok(full),
        Some(name) if name == SLIDING.0 => Ok(sliding),
        _ => Err(config.error("layer_types", &one_of(&[FULL.0, SLIDING.0]), kind)),
    };
    kinds.iter().map(view).collect()
}

/// The base of the angles of one kind of layers.
fn theta(config: &Config, (kind, older): (&str, &str), default: f64) -> Result<f64> {
    let found = config.get("rope_parameters").and_then(|kinds| kinds.get(kind)?.get("rope_theta"));
    let (key, theta) = match found {
        Some(value) => ("rope_theta", value.as_f64().ok_or_else(|| config.error("rope_theta", "a number", value))?),
        None => (older, config.number(older, default)?),
    };
    if theta > 0.0 && theta.is_finite() { Ok(theta) } else { Err(config.error(key, "a number above 0", theta)) }
}

/// Angles that are scaled, or of a part of a head, are other networks.
fn refuse_other_angles(config: &Config) -> Result<()> {
    let kinds = [FULL.0, SLIDING.0];
    let parameters = config.get("rope_parameters").map(|value| {
        let object = value.as_object().filter(|object| object.keys().all(|key| kinds.contains(&key.as_str())));
        object.ok_or_else(|| config.error("rope_parameters", &format!("an object of {}", one_of(&kinds)), value))
    });
    let parameters = parameters.transpose()?.into_iter().flat_map(|object| object.values());
    for value in parameters.chain(config.get("rope_scaling")).filter_map(Value::as_object) {
        let plain = |(key, value): (&String, &Value)| match key.as_str() {
            "rope_type" | "type" => value == "default",
            "partial_rotary_factor" => value.as_f64() == Some(1.0),
            _ => key == "rope_theta",
        };
        if let Some((key, value)) = value.iter().find(|&pair| !plain(pair)) {
            let (got, supported) = (format!("{key}={value}"), "rope_type=\"default\"".to_owned());
            return Err(Error::Unsupported { what: "rotary embedding", got, supported });
        }
    }
    Ok(())
}

fn pooling(config: &Config) -> Result<Pooling> {
    match config.string("classifier_pooling", "cls")? {
        "cls" => Ok(Pooling::First),
        "mean" => Ok(Pooling::Mean),
        other => Err(config.error("classifier_pooling", &one_of(&["cls", "mean"]), other)),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn read(changes: &Value) -> Result<Shape> {
        let mut values = json!({"model_type": "modernbert", "num_hidden_layers": 4});
        values.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        shape(&Config::parse(Path::new("config.json"), &values.to_string()).unwrap())
    }

    fn thetas(changes: &Value) -> Vec<(Span, f64)> {
        read(changes).unwrap().views.iter().map(|view| (view.span, view.theta.unwrap())).collect()
    }

    #[test]
    fn older_and_newer_keys_say_the_same() {
        let (full, sliding) = ((Span::Full, 5e4), (Span::Window(4), 3e3));
        let older = json!({
            "global_rope_theta": 5e4, "local_rope_theta": 3e3, "local_attention": 9, "global_attn_every_n_layers": 2
        });
        assert_eq!(thetas(&older), [full, sliding, full, sliding]);
        let kinds = ["full_attention", "sliding_attention", "full_attention", "sliding_attention"];
        let newer = json!({
            "layer_types": kinds, "local_attention": 9, "global_attn_every_n_layers": 3,
            "rope_parameters": {
                "full_attention": {"rope_type": "default", "rope_theta": 5e4}, "sliding_attention": {"rope_theta": 3e3}
            },
        });
        assert_eq!(thetas(&newer), thetas(&older));
        let (full, sliding) = ((Span::Full, 16e4), (Span::Window(64), 1e4));
        assert_eq!(thetas(&json!({})), [full, sliding, sliding, full]);
        assert_eq!(thetas(&json!({"local_rope_theta": null}))[1].1, 16e4);
    }

    #[test]
    fn what_can_not_be_is_refused_by_name() {
        for (changes, part) in [
            (json!({"local_attention": 0}), "local_attention: expected at least 1"),
            (json!({"global_attn_every_n_layers": 0}), "global_attn_every_n_layers: expected at least 1"),
            (json!({"layer_types": ["full_attention"]}), "layer_types: expected a list of 4 kinds"),
            (json!({"layer_types": ["full_attention", "sliding_attention", "sparse", "x"]}), "got \"sparse\""),
            (json!({"classifier_pooling": "max"}), "classifier_pooling: expected one of cls, mean"),
            (json!({"global_rope_theta": 0}), "global_rope_theta: expected a number above 0"),
            (json!({"rope_parameters": {"rope_theta": 1e4}}), "rope_parameters: expected an object of"),
            (json!({"rope_parameters": {"full_attention": {"rope_type": "yarn"}}}), "rope_type=\"yarn\""),
            (json!({"rope_scaling": {"type": "linear", "factor": 2.0}}), "rotary embedding"),
            (json!({"num_hidden_layers": 100_000}), "num_hidden_layers: expected at most 1024"),
        ] {
            let message = read(&changes).unwrap_err().to_string();
            assert!(message.contains(part), "{message} does not say {part}");
        }
    }
}
