//! BART: BERT's body as an encoder, and a decoder that reads the same text and answers at its last end.

use super::bert;
use super::family::{DecoderNames, Family, HeadActivation, Names, Place, SequenceHead, TokenHead};
use super::shape::{DecoderShape, Layers, Pooling, Shape, View, activation, layer_count};
use crate::config::Config;
use crate::error::Result;
use crate::kernels::{Activation, Span};
use crate::layers::Positions;

pub(super) const BART: Family = Family {
    model_type: "bart",
    tokenizer_class: "BartTokenizer",
    names: Names {
        prefix: "model.",
        word: "shared",
        position: "encoder.embed_positions",
        embedding_norm: "encoder.layernorm_embedding",
        qkv: &[
            "encoder.layers.{}.self_attn.q_proj",
            "encoder.layers.{}.self_attn.k_proj",
            "encoder.layers.{}.self_attn.v_proj",
        ],
        attention_output: "encoder.layers.{}.self_attn.out_proj",
        attention_norm: "encoder.layers.{}.self_attn_layer_norm",
        up: "encoder.layers.{}.fc1",
        down: "encoder.layers.{}.fc2",
        output_norm: "encoder.layers.{}.final_layer_norm",
        ..bert::NAMES
    },
    sequence_head: SequenceHead {
        dense: Place::Top("classification_head.dense"),
        activation: HeadActivation::Always(Activation::Tanh),
        norm: None,
        tokens: TokenHead::None,
        output: "classification_head.out_proj",
    },
    shape,
};

const DECODER: DecoderNames = DecoderNames {
    own: Names {
        position: "decoder.embed_positions",
        embedding_norm: "decoder.layernorm_embedding",
        qkv: &[
            "decoder.layers.{}.self_attn.q_proj",
            "decoder.layers.{}.self_attn.k_proj",
            "decoder.layers.{}.self_attn.v_proj",
        ],
        attention_output: "decoder.layers.{}.self_attn.out_proj",
        attention_norm: "decoder.layers.{}.self_attn_layer_norm",
        up: "decoder.layers.{}.fc1",
        down: "decoder.layers.{}.fc2",
        output_norm: "decoder.layers.{}.final_layer_norm",
        ..BART.names
    },
    query: "decoder.layers.{}.encoder_attn.q_proj",
    key_value: &["decoder.layers.{}.encoder_attn.k_proj", "decoder.layers.{}.encoder_attn.v_proj"],
    output: "decoder.layers.{}.encoder_attn.out_proj",
    norm: "decoder.layers.{}.encoder_attn_layer_norm",
};

/// Rows of the table of places that stand before the first place, as the reference has it.
const OFFSET: u32 = 2;

/// Keys and defaults of `BartConfig`; the norm's epsilon is torch's own.
fn shape(config: &Config) -> Result<Shape> {
    let decoder = half(config, "decoder_layers", "decoder_attention_heads", "decoder_ffn_dim")?;
    let layers = decoder.layers.computed();
    let decoder = Shape { views: vec![View { span: Span::Causal, theta: None }; layers], ..decoder };
    decoder.check(config)?;
    let decoder = DecoderShape {
        names: &DECODER,
        shape: Box::new(decoder),
        start: config.size("decoder_start_token_id", 2)? as u32,
        end: config.size("eos_token_id", 2)? as u32,
    };
    if decoder.start as usize >= decoder.shape.vocabulary {
        let expected = format!("an id below {}", decoder.shape.vocabulary);
        return Err(config.error("decoder_start_token_id", &expected, decoder.start));
    }
    let encoder = half(config, "encoder_layers", "encoder_attention_heads", "encoder_ffn_dim")?;
    Ok(Shape { decoder: Some(decoder), ..encoder })
}

/// What encoder and decoder have in common.
fn half(config: &Config, layers: &str, heads: &str, intermediate: &str) -> Result<Shape> {
    let hidden = config.size("d_model", 1_024)?;
    let computed = layer_count(config, layers, 12)?;
    Ok(Shape {
        vocabulary: config.size("vocab_size", 50_265)?,
        hidden,
        layers: Layers::Each(computed),
        heads: config.size(heads, 16)?,
        intermediate: config.size(intermediate, 4_096)?,
        embedding: hidden,
        position_rows: config.size("max_position_embeddings", 1_024)? + OFFSET as usize,
        positions: Positions::From(OFFSET),
        activation: activation(config, "activation_function")?,
        norm_eps: 1e-5,
        pooling: Pooling::Decoded,
        word_scale: if config.flag("scale_embedding", false)? { (hidden as f64).sqrt() as f32 } else { 1.0 },
        ..Shape::PLAIN
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(changes: &str) -> Result<Shape> {
        shape(&Config::parse(Path::new("config.json"), &format!("{{\"model_type\": \"bart\"{changes}}}")).unwrap())
    }

    #[test]
    fn encoder_and_decoder_have_sizes_of_their_own() {
        let shape = read(
            ", \"decoder_layers\": 3, \"encoder_attention_heads\": 8, \"decoder_ffn_dim\": 9, \"scale_embedding\": true",
        );
        let shape = shape.unwrap();
        let decoder = &shape.decoder.as_ref().unwrap().shape;
        assert_eq!((shape.layers.computed(), decoder.layers.computed()), (12, 3));
        assert_eq!((shape.heads, decoder.heads, shape.intermediate, decoder.intermediate), (8, 16, 4_096, 9));
        assert_eq!((shape.word_scale, decoder.word_scale, shape.longest()), (32.0, 32.0, 1_024));
        assert_eq!((shape.view(0).span, decoder.view(2).span), (Span::Full, Span::Causal));
    }

    #[test]
    fn a_decoder_that_can_not_be_is_refused_by_name() {
        for (changes, part) in [
            (", \"decoder_attention_heads\": 3", "multiple of 3 heads, got 1024"),
            (", \"decoder_layers\": 0", "number of layers: expected at least 1"),
            (", \"decoder_layers\": 100000", "decoder_layers: expected at most 1024"),
            (", \"decoder_start_token_id\": 60000", "decoder_start_token_id: expected an id below 50265"),
            (", \"scale_embedding\": 1", "scale_embedding: expected true or false"),
        ] {
            let message = read(changes).unwrap_err().to_string();
            assert!(message.contains(part), "{message} does not say {part}");
        }
    }
}
