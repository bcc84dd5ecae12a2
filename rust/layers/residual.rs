//! How a block's update joins its input: `LN(x + f(x))`, or `x + f(LN(x))` with a norm of its own in front.

use super::arena::Buffer;
use super::context::Context;
use super::norm::LayerNorm;
use super::profile::Stage;
use crate::kernels;

/// Where a block's norm stands.
#[derive(Debug)]
pub enum Residual {
    /// Over the sum.
    After(LayerNorm),
    /// Over what the block reads; none = it reads its input as it is.
    Before(Option<LayerNorm>),
}

/// What a block reads.
pub(super) enum Read<'a> {
    AsItIs(&'a [f32]),
    Normalized(Buffer<'a>),
}

impl std::ops::Deref for Read<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::AsItIs(xs) => xs,
            Self::Normalized(xs) => xs,
        }
    }
}

impl Residual {
    /// What the block reads of its input `[rows, hidden]`.
    pub(super) fn read<'a>(&self, xs: &'a [f32], context: &'a Context<'_>) -> Read<'a> {
        match self {
            Self::Before(Some(norm)) => {
                let mut normalized = context.buffer(xs.len());
                norm.apply(xs, &mut normalized, context);
                Read::Normalized(normalized)
            }
            Self::After(_) | Self::Before(None) => Read::AsItIs(xs),
        }
    }

    /// Brings the block's update and its bias into the input, in place.
    pub(super) fn add(&self, xs: &mut [f32], update: &[f32], bias: &[f32], context: &Context<'_>) {
        match self {
            Self::After(norm) => norm.add(xs, update, bias, context),
            Self::Before(_) => context.stage(Stage::Norms, || kernels::add(xs, update, bias)),
        }
    }
}
