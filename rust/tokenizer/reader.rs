//! What a network reads, be it pieces of words or whole ones.

use std::borrow::Cow;
use std::path::Path;

use super::fit::Fit;
use super::lead::Lead;
use super::subword::Tokenizer;
use super::words::WordReader;
use crate::config::Config;
use crate::error::Result;
use crate::types::{Encoded, Encoding, Input, Vocabulary};

/// From text to what the network reads.
#[derive(Debug)]
pub enum Reader {
    /// By the files of a tokenizer.
    Subwords(Box<Tokenizer>),
    /// By fixed rules.
    Words(WordReader),
}

impl Reader {
    /// Reads what a model's folder has; `class` is the tokenizer class of its family, `None` for networks that read whole
    /// words.
    ///
    /// # Errors
    /// [`crate::Error::ModelNotFound`] when a file is not there, [`crate::Error::ModelFormat`] when one is damaged.
    pub fn load(folder: &Path, config: &Config, class: Option<&'static str>) -> Result<Self> {
        match class {
            Some(class) => Ok(Self::Subwords(Box::new(Tokenizer::load(folder, config, class)?))),
            None => WordReader::load(folder, config).map(Self::Words),
        }
    }

    /// A limit of the tokenizer's own; `None` = no limit.
    pub fn max_length(&self) -> Option<usize> {
        match self {
            Self::Subwords(tokenizer) => tokenizer.max_length(),
            Self::Words(_) => None,
        }
    }

    /// Number of special tokens around one text, or in a pair.
    pub fn added_tokens(&self, pair: bool) -> usize {
        match self {
            Self::Subwords(tokenizer) => tokenizer.added_tokens(pair),
            Self::Words(_) => 0,
        }
    }

    /// Texts that were tokenized so far, a pair's two counting each; of whole words nothing is counted.
    pub fn tokenized(&self) -> usize {
        match self {
            Self::Subwords(tokenizer) => tokenizer.tokenized(),
            Self::Words(_) => 0,
        }
    }

    /// Encodes one input; `index` is its position in the call, for messages. `lead` is what pairs with the same first
    /// text share.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when the input is too long for `fit` and may not be cut, or can't be tokenized.
    pub fn encode(&self, index: usize, input: &Input, fit: Fit, lead: Option<&Lead>) -> Result<Encoded> {
        match self {
            Self::Subwords(tokenizer) => tokenizer.encode(index, input, fit, lead),
            Self::Words(reader) => reader.encode(index, input, fit),
        }
    }

    /// The tokens of an encoding as strings: the vocabulary's, or the words themselves.
    pub fn tokens(&self, encoding: &Encoding) -> Vec<String> {
        match self {
            Self::Subwords(tokenizer) => encoding.ids.iter().map(|&id| tokenizer.token(id).into_owned()).collect(),
            Self::Words(_) => encoding.sentence.words.iter().map(|word| word.text.clone()).collect(),
        }
    }
}

/// Words are no entries of a vocabulary: there is nothing to be said of their ids.
impl Vocabulary for Reader {
    fn token(&self, id: u32) -> Cow<'_, str> {
        match self {
            Self::Subwords(tokenizer) => tokenizer.token(id),
            Self::Words(_) => Cow::Borrowed(""),
        }
    }

    fn unk_id(&self) -> Option<u32> {
        match self {
            Self::Subwords(tokenizer) => tokenizer.unk_id(),
            Self::Words(_) => None,
        }
    }

    fn marks_continuations(&self) -> bool {
        matches!(self, Self::Subwords(tokenizer) if tokenizer.marks_continuations())
    }

    fn decode(&self, tokens: &[Cow<'_, str>]) -> String {
        match self {
            Self::Subwords(tokenizer) => tokenizer.decode(tokens),
            Self::Words(_) => tokens.join(" "),
        }
    }
}
