//! The stages one by one, for a scheduler that puts sequences of many callers into one batch.

use super::Pipeline;
use super::task::{Growing, Task};
use crate::error::Result;
use crate::tokenizer::Lead;
use crate::types::{Encoded, Encoding, Input, Logits};

impl<T: Task> Pipeline<T> {
    /// Text to tokens; `index` is the input's position in its call, for messages. `lead` is what pairs with the same
    /// first text share.
    ///
    /// # Errors
    /// [`Error::Parameter`](crate::Error::Parameter) for options that do not fit the model,
    /// [`Error::Input`](crate::Error::Input) for an input that can't be answered with them.
    pub fn encode(&self, index: usize, input: &Input, options: &T::Options, lead: Option<&Lead>) -> Result<Encoded> {
        let fit = T::fit(&self.core, options)?;
        T::check(index, input)?;
        self.core.encode(index, input, fit, lead)
    }

    /// In how many windows an input of so many tokens is read, and of how many tokens the longest of them is.
    pub fn windows(&self, tokens: usize, options: &T::Options) -> (usize, usize) {
        let added = self.core.reader.added_tokens(false);
        T::fit(&self.core, options).map_or((1, tokens), |fit| fit.windows(tokens, added))
    }

    /// Tokens to logits, one per sequence, on this thread and those of the pipeline that are free; `cancelled` is asked
    /// between layers.
    ///
    /// # Errors
    /// [`Error::Interrupted`](crate::Error::Interrupted) once `cancelled` says true,
    /// [`Error::Backend`](crate::Error::Backend) when the computation fails.
    pub fn forward(&self, sequences: &[&Encoding], cancelled: &dyn Fn() -> bool) -> Result<Vec<Logits>> {
        let core = &self.core;
        let filled: Vec<&Encoding> = sequences.iter().filter(|sequence| !sequence.is_empty()).copied().collect();
        if filled.is_empty() {
            return Ok(sequences.iter().map(|_| self.no_rows()).collect());
        }
        let mut found =
            core.pool.run(None, &mut || cancelled(), |_| core.forward(&filled, cancelled, None))??.into_iter();
        let of = |sequence: &&Encoding| if sequence.is_empty() { None } else { found.next() };
        Ok(sequences.iter().map(of).map(|logits| logits.unwrap_or_else(|| self.no_rows())).collect())
    }

    fn no_rows(&self) -> Logits {
        Logits { values: Vec::new(), columns: self.core.config.labels.len() }
    }
}

impl<T: Growing> Pipeline<T> {
    /// The answer to an input before its first window is computed.
    pub fn draft(&self, encoded: &Encoded, options: &T::Options) -> T::Draft {
        T::draft(&self.core, encoded, options)
    }

    /// Takes in the logits of an input's next window; the parts of the answer that no later window can change and that
    /// were not given before. All of them in a row are the answer.
    pub fn add(&self, encoded: &Encoded, logits: Logits, options: &T::Options, draft: &mut T::Draft) -> T::Output {
        T::add(&self.core, encoded, logits, options, draft)
    }
}
