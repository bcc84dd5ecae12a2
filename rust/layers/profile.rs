//! Where the time of a call goes.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// A part of the way from a text to its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Text to ids.
    Tokenization,
    /// Rows of the tables, their sum and its norm.
    Embeddings,
    /// Products with weights, activations included.
    Linear,
    /// Scores, their softmax and the mixing of values.
    Attention,
    /// Residuals and norms.
    Norms,
    /// Logits to entities or labels.
    Decoding,
}

impl Stage {
    /// All of them, in the order in which a text meets them.
    pub const ALL: [Self; 6] =
        [Self::Tokenization, Self::Embeddings, Self::Linear, Self::Attention, Self::Norms, Self::Decoding];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokenization => "tokenization",
            Self::Embeddings => "embeddings",
            Self::Linear => "linear",
            Self::Attention => "attention",
            Self::Norms => "norms",
            Self::Decoding => "decoding",
        }
    }
}

/// Time by stage, added up on the thread that drives a computation.
///
/// ```
/// use candlewick::layers::{Profile, Stage};
///
/// let profile = Profile::default();
/// assert_eq!(profile.time(Stage::Norms, || 6 * 7), 42);
/// assert!(profile.of(Stage::Norms) > profile.of(Stage::Linear));
/// ```
#[derive(Debug, Default)]
pub struct Profile([Cell<Duration>; Stage::ALL.len()]);

impl Profile {
    /// Does `work` and adds the time that it took.
    pub fn time<R>(&self, stage: Stage, work: impl FnOnce() -> R) -> R {
        let start = Instant::now();
        let result = work();
        let sum = &self.0[stage as usize];
        sum.set(sum.get() + start.elapsed());
        result
    }

    /// What a stage took so far.
    pub fn of(&self, stage: Stage) -> Duration {
        self.0[stage as usize].get()
    }
}
