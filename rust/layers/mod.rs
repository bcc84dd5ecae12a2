//! The bricks of which networks are made. They know no model: a family names the tensors and chooses the bricks.
//!
//! Hidden states are ragged, `[tokens, hidden]`, from the embeddings to the head. Only bricks that look across rows
//! (attention, pooling, recurrence) read [`Context::bounds`].

mod arena;
mod attention_block;
mod bilstm;
mod characters;
mod context;
mod convolution;
mod cross_attention;
mod decoder_layer;
mod embeddings;
mod encoder_layer;
mod feed_forward;
#[cfg(test)]
mod fixtures;
mod fold;
mod linear;
mod lstm;
mod norm;
mod ops;
mod pooling;
mod profile;
mod relative;
mod residual;
mod rotary;

pub use arena::Arena;
pub use attention_block::AttentionBlock;
pub use bilstm::{BiLstm, Direction};
pub use characters::CharacterModel;
pub(crate) use characters::{Sentence, read_characters};
pub use context::{Context, Recorded};
pub use convolution::Convolution;
pub use cross_attention::{CrossAttention, Memory};
pub use decoder_layer::DecoderLayer;
pub use embeddings::{Embeddings, Positions, Projection, Table};
pub use encoder_layer::EncoderLayer;
pub use feed_forward::FeedForward;
pub use fold::Inner;
pub use linear::Linear;
pub use lstm::Lstm;
pub use norm::LayerNorm;
pub(crate) use pooling::mean_rows;
pub use profile::{Profile, Stage};
pub use relative::{Distances, Relative, T5_BUCKETS};
pub use residual::Residual;
pub use rotary::Rotary;
