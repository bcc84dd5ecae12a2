//! Layers: in which order they are computed, and what each of them sees.

use crate::kernels::Span;

/// Layers in the order in which they are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layers {
    /// So many, each with weights of its own.
    Each(usize),
    /// Groups of layers; each of these has `inner` ones with weights, and is computed over and over.
    Grouped { layers: usize, groups: usize, inner: usize },
}

impl Layers {
    /// How many are computed.
    pub(super) fn computed(self) -> usize {
        match self {
            Self::Each(layers) => layers,
            Self::Grouped { layers, inner, .. } => layers * inner,
        }
    }

    /// How many have weights.
    pub(super) fn distinct(self) -> usize {
        match self {
            Self::Each(layers) => layers,
            Self::Grouped { groups, inner, .. } => groups * inner,
        }
    }

    /// The one that is computed at a step.
    pub(super) fn at(self, step: usize) -> usize {
        match self {
            Self::Each(_) => step,
            Self::Grouped { layers, groups, inner } => step / inner * groups / layers * inner + step % inner,
        }
    }

    /// What stands for a layer in names of tensors.
    pub(super) fn name(self, distinct: usize) -> String {
        match self {
            Self::Each(_) => distinct.to_string(),
            Self::Grouped { inner, .. } => format!("{}.albert_layers.{}", distinct / inner, distinct % inner),
        }
    }
}

/// What rows of a layer see of their sequence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct View {
    pub span: Span,
    /// The base of the angles by which queries and keys are turned at their places, if they are.
    pub theta: Option<f64>,
}

impl View {
    /// Whole sequences, whose places are in the embeddings.
    pub(super) const PLAIN: Self = Self { span: Span::Full, theta: None };
}
