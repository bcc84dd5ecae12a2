//! The int8 gate: what low precision does to a network, measured against float32 on sample texts before it is used.
//!
//! int8 is exact arithmetic on rounded numbers, and how much the rounding hurts depends on the weights: a row with one
//! huge element leaves few steps for all others. So every dense layer is tried on what it really gets. A layer whose
//! products move by more than [`LAYER_BOUND`] stays in bfloat16 (float32 where that has no instruction); then the whole
//! network answers the sample and is compared with float32. Everything here is deterministic.

use std::cmp::Ordering;
use std::fmt;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::config::{Config, Task};
use crate::error::{Error, Result};
use crate::kernels;
use crate::layers::Context;
use crate::models::{Dtypes, Examined, Limits, Model};
use crate::postprocess::viterbi;
use crate::tokenizer::{Fit, Overlong, Reader};
use crate::types::{Batch, Bounds, Encoding, Input, Logits, Truncation};
use crate::weights::Weights;

/// The most that a layer's products may move: length of the difference over the length of how products vary from row to
/// row. Layers of trained networks without outliers move by 0.006 to 0.013 (the demo models), of random ones by up to
/// 0.043.
pub const LAYER_BOUND: f64 = 0.05;

/// The share of the sample's labels that may be others than in float32.
pub const FLIP_BOUND: f64 = 0.01;

/// Tokens of the sample that are looked at.
const TOKENS: usize = 4_096;

/// Texts of several languages and kinds, one a line; long enough to meet outliers, short enough for half a second.
const SAMPLE: &str = include_str!("sample.txt");

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Labels that were compared: of every token, or of every text.
    pub labels: usize,
    /// Those that are not float32's.
    pub flips: usize,
    /// Largest difference of a probability.
    pub worst: f32,
    /// Number of dense layers in the encoder.
    pub layers: usize,
    /// Names of those that stay out of int8.
    pub kept: Vec<String>,
}

impl Report {
    /// Whether int8 answers as float32 does, up to [`FLIP_BOUND`].
    pub fn passes(&self) -> bool {
        self.flips as f64 <= FLIP_BOUND * self.labels as f64
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { labels, flips, worst, layers, kept } = self;
        write!(f, "changes {flips} of {labels} labels of the sample and a probability by {worst:.3}")?;
        if kept.is_empty() { Ok(()) } else { write!(f, ", with {} of {layers} layers left out of it", kept.len()) }
    }
}

/// Texts on which a network is judged, as batches of tokens.
#[derive(Debug)]
pub struct Sample(Batch);

impl Sample {
    /// The first 4,096 tokens of the texts, or of the built-in ones where there are none; each text is cut at
    /// `max_length`.
    ///
    /// # Errors
    /// [`Error::Input`] for a text that can't be tokenized, or has tokens that the network has no rows for.
    pub fn new(texts: &[Input], reader: &Reader, max_length: usize, limits: Limits) -> Result<Self> {
        let built_in: Vec<Input> =
            if texts.is_empty() { SAMPLE.lines().map(Input::from).collect() } else { Vec::new() };
        let fit = Fit { max_length, overlong: Overlong::Cut(Truncation::LongestFirst), side: None };
        let (mut sequences, mut tokens): (Vec<Encoding>, usize) = (Vec::new(), 0);
        for (index, text) in texts.iter().chain(&built_in).enumerate() {
            let window = reader.encode(index, text, fit, None)?.windows.swap_remove(0);
            if let Some(id) = window.ids.iter().find(|&&id| id as usize >= limits.vocabulary) {
                let last = limits.vocabulary - 1;
                return Err(Error::input(index, format!("token {id}: the model's embedding table ends at {last}")));
            }
            if let Some(end) = limits.end.filter(|end| !window.ids.contains(end)) {
                return Err(Error::input(
                    index,
                    format!("token {end}: this model answers at its place, and there is none"),
                ));
            }
            tokens += window.len();
            if tokens > TOKENS && !sequences.is_empty() {
                break;
            }
            sequences.push(window);
        }
        Ok(Self(Batch::new(&sequences.iter().collect::<Vec<_>>(), limits.segments)))
    }
}

/// Loads a network in int8, but for layers that the sample tells to leave out of it, and says what that changed.
///
/// # Errors
/// As for [`Model::load`] and [`Model::forward`].
pub fn load(config: &Config, task: Task, weights: &Weights, sample: &Sample) -> Result<(Model, Report)> {
    let Examined { moved, logits } = Model::examine(config, task, weights, &sample.0)?;
    let layers = moved.len();
    // Not a number is no number below the bound.
    let exceeds = |by: &f64| !matches!(by.partial_cmp(&LAYER_BOUND), Some(Ordering::Less | Ordering::Equal));
    let kept: Vec<String> = moved.into_iter().filter(|(_, by)| exceeds(by)).map(|(name, _)| name).collect();
    let model = Model::load(config, task, weights, &Dtypes::int8_without(kept.clone()))?;
    let ours = model.forward(&sample.0, &Context::new(&sample.0.bounds, &|| false))?;
    let of = |logits: &Tensor| Ok::<_, Error>(answers(&logits.to_vec2()?, &model, &sample.0.bounds));
    let (labels, flips, worst) = compare(&of(&logits)?, &of(&ours)?);
    Ok((model, Report { labels, flips, worst, layers, kept }))
}

/// A label, and the probabilities that it was chosen by; of a tag that depends on others, its score.
type Chosen = (usize, Vec<f32>);

/// What is made of each row of logits.
fn answers(logits: &[Vec<f32>], model: &Model, bounds: &Bounds) -> Vec<Chosen> {
    let Some(field) = model.field() else {
        return logits.iter().map(|row| choose(row)).collect();
    };
    let columns = logits.first().map_or(1, Vec::len);
    let tags = bounds
        .rows()
        .flat_map(|sentence| viterbi::tags(&Logits { values: logits[sentence].concat(), columns }, Some(field)));
    tags.map(|(tag, score)| (tag, vec![score])).collect()
}

/// How many labels there are, how many are others, and how far probabilities are apart at most.
fn compare(exact: &[Chosen], ours: &[Chosen]) -> (usize, usize, f32) {
    let (mut flips, mut worst) = (0, 0.0_f32);
    for ((label, exact), (other, ours)) in exact.iter().zip(ours) {
        flips += usize::from(label != other);
        worst = exact.iter().zip(ours).fold(worst, |worst, (a, b)| worst.max((a - b).abs()));
    }
    (exact.len(), flips, worst)
}

/// The most probable label of a row of logits.
fn choose(logits: &[f32]) -> Chosen {
    let row = probabilities(logits);
    let largest = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    (largest.map_or(0, |(index, _)| index), row)
}

/// Of each label against the others; a single label against its absence.
fn probabilities(logits: &[f32]) -> Vec<f32> {
    if let [logit] = logits {
        let yes = 1.0 / (1.0 + (-logit).exp());
        return vec![1.0 - yes, yes];
    }
    let mut row = logits.to_vec();
    kernels::softmax(&mut row, logits.len(), 1.0);
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flips_and_distances_are_counted() {
        let exact = [[2.0, 0.0], [0.0, 1.0]].map(|row| choose(&row));
        let ours = [[2.0, 0.0], [1.0, 0.0]].map(|row| choose(&row));
        let (labels, flips, worst) = compare(&exact, &ours);
        assert_eq!((labels, flips), (2, 1));
        assert!((worst - 0.462_117).abs() < 1e-6, "{worst}");
    }

    #[test]
    fn a_single_label_flips_at_one_half() {
        let [exact, ours] = [[0.1, 5.0], [-0.1, 0.1]].map(|logits| logits.map(|logit| choose(&[logit])));
        assert_eq!(compare(&exact, &ours).1, 1);
    }

    #[test]
    fn the_sample_fits_into_the_tokens() {
        assert!(SAMPLE.lines().count() > 30 && SAMPLE.split_whitespace().count() < TOKENS / 3);
        assert!(SAMPLE.lines().all(|line| !line.trim().is_empty()));
    }
}
