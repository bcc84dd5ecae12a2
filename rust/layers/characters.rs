//! A language model over characters: its states behind words stand for the words.

use super::bilstm::Direction;
use super::context::Context;
use super::lstm::{Lstm, Reading, Steps, gate_rows, read};
use crate::error::Result;
use crate::kernels::{self, Inputs};
use crate::types::Dtype;
use crate::weights::{Mapped, Weights};

/// A recurrent layer that reads characters.
#[derive(Debug)]
pub struct CharacterModel {
    /// What comes to the gates for each character, `[characters, gates]`: there are so few that it is known beforehand.
    inputs: Vec<f32>,
    lstm: Lstm,
}

/// What a model reads of one sentence: characters, and for each token the step behind which its state stands for it.
pub(crate) struct Sentence<'a> {
    pub(crate) characters: &'a [u32],
    pub(crate) ends: &'a [u32],
    /// Row of the output of the first token.
    pub(crate) first: usize,
}

impl CharacterModel {
    /// Packs the layer, and multiplies every character's row of `encoder`, `[characters, width]`, with its input weights:
    /// in f64, as it is done once.
    ///
    /// # Errors
    /// [`crate::Error::ModelFormat`] when a value is not finite.
    pub fn load(name: &str, dtype: Dtype, encoder: &Mapped, part: Direction<'_>, weights: &Weights) -> Result<Self> {
        let (hidden, width) = (part.recurrent.shape()[1], part.input.shape()[1]);
        let (mut characters, mut input) = (Vec::new(), Vec::new());
        encoder.append_finite(&mut characters)?;
        part.input.append_finite(&mut input)?;
        let (bias, rows) = (part.bias()?, gate_rows(hidden).collect::<Vec<_>>());
        let of_character = |at: usize| {
            let character = &characters[at * width..][..width];
            let gate = |row: usize| {
                let terms = character.iter().zip(&input[row * width..][..width]);
                (terms.map(|(x, w)| f64::from(*x) * f64::from(*w)).sum::<f64>() + bias[row]) as f32
            };
            rows.iter().map(|row| row.map_or(0.0, gate)).collect::<Vec<f32>>()
        };
        let inputs = kernels::map(encoder.shape()[0], of_character).concat();
        Ok(Self { inputs, lstm: Lstm::load(name, dtype, part.recurrent, weights)? })
    }

    /// Numbers of a state.
    pub fn hidden(&self) -> usize {
        self.lstm.hidden()
    }

    /// The layer that holds the weights.
    pub fn lstm(&self) -> &Lstm {
        &self.lstm
    }

    fn reading<'a>(&'a self, sentences: &[Sentence<'a>], column: usize) -> Reading<'a> {
        let stride = self.inputs.len() / self.characters();
        let sequences = sentences.iter().map(|sentence| {
            let mut wanted: Vec<(u32, usize)> = sentence.ends.iter().copied().zip(sentence.first..).collect();
            wanted.sort_unstable(); // from the end in a model that reads backwards
            let steps = wanted.last().map_or(0, |(step, _)| *step as usize + 1);
            Steps { rows: sentence.characters[..steps].to_vec(), wanted }
        });
        let inputs = Inputs { values: &self.inputs, stride, first: 0 };
        Reading { lstm: &self.lstm, inputs, sequences: sequences.collect(), column }
    }

    fn characters(&self) -> usize {
        self.inputs.len() / gate_rows(self.hidden()).len()
    }
}

/// Lets models read their sentences side by side; each writes its states from its column on into rows of `stride` numbers.
pub(crate) fn read_characters(
    models: &[(&CharacterModel, usize, Vec<Sentence<'_>>)],
    out: &mut [f32],
    stride: usize,
    context: &Context<'_>,
) -> Result<()> {
    let readings: Vec<_> = models.iter().map(|(model, column, sentences)| model.reading(sentences, *column)).collect();
    read(&readings, out, stride, context)
}
