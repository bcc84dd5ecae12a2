//! The reader of a tagger: whole words, and what each of its embeddings reads of them.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;

use super::fit::{Fit, Overlong};
use super::segtok;
use super::subword::replace_offsets;
use super::tracks::{Characters, Reads, Vocabulary};
use crate::config::{Config, read_text};
use crate::error::{Error, Result};
use crate::types::{Cut, Encoded, Encoding, Input, Offset, Sentence, Word};

/// Splits texts into words, and words into rows of tables and characters.
#[derive(Debug)]
pub struct WordReader(Vec<Reads>);

impl WordReader {
    /// Reads the vocabularies of a tagger's folder.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`] when a vocabulary is not there, [`Error::ModelFormat`] when one is damaged.
    pub fn load(folder: &Path, config: &Config) -> Result<Self> {
        let embeddings = config.get("embeddings").and_then(Value::as_array);
        let embeddings = embeddings.ok_or_else(|| config.error("embeddings", "a list", "none"))?;
        embeddings.iter().map(|embedding| reads(folder, config, embedding)).collect::<Result<_>>().map(Self)
    }

    /// Encodes one input; `index` is its position in the call, for messages.
    ///
    /// # Errors
    /// [`Error::Input`] when the input is too long for `fit` and may not be cut, or brings fewer offsets than it has
    /// words.
    pub fn encode(&self, index: usize, input: &Input, fit: Fit) -> Result<Encoded> {
        let mut words = match input {
            Input::Words { words, delimiter } => given(words, delimiter.chars().count()),
            Input::Text(text, _) => segtok::split(text),
            Input::Pair(text, _) => segtok::split(text),
        };
        let (total, kept) = (words.len(), fit.max_length);
        let cut = (total > kept).then_some(Cut { total, kept });
        if cut.is_some() && fit.overlong == Overlong::Refuse {
            return Err(Error::input(index, format!("{total} words, the limit is {kept}; truncation is off")));
        }
        words.truncate(kept);
        if let (Some(_), Some(last)) = (cut, words.last_mut()) {
            last.gap = 0;
        }
        let tracks = self.0.iter().map(|reads| reads.track(&words)).collect();
        let encoding = Encoding {
            ids: vec![0; words.len()],
            type_ids: vec![0; words.len()],
            offsets: words.iter().map(|word| word.offset).collect(),
            special: vec![false; words.len()],
            word_ids: (0..words.len() as u32).map(Some).collect(),
            sentence: Sentence { words, tracks },
        };
        let mut windows = vec![encoding];
        if let Input::Text(_, Some(offsets)) = input {
            replace_offsets(&mut windows, offsets).map_err(|message| Error::input(index, message))?;
        }
        Ok(Encoded { text: input.text().into(), windows, cut })
    }
}

/// Words that the caller has split, `delimiter` characters apart. An empty one is none, but takes the space before it, as
/// in the reference.
fn given(words: &[String], delimiter: usize) -> Vec<Word> {
    let mut found = Vec::with_capacity(words.len());
    let mut start = 0;
    for (at, text) in words.iter().enumerate() {
        let end = start + text.chars().count();
        let gap = u32::from(words.get(at + 1).is_some_and(|next| !next.is_empty()));
        if !text.is_empty() {
            found.push(Word { text: text.clone(), offset: Offset { start: start as u32, end: end as u32 }, gap });
        }
        start = end + delimiter;
    }
    if let Some(last) = found.last_mut() {
        last.gap = 0;
    }
    found
}

/// What an embedding of `config.json` reads.
fn reads(folder: &Path, config: &Config, embedding: &Value) -> Result<Reads> {
    let string = |key: &str| {
        let value = embedding.get(key).and_then(Value::as_str);
        value.ok_or_else(|| config.error(&format!("embeddings.{key}"), "a string", "none"))
    };
    let flag = |key: &str| {
        let value = embedding.get(key).and_then(Value::as_bool);
        value.ok_or_else(|| config.error(&format!("embeddings.{key}"), "true or false", "none"))
    };
    match string("kind")? {
        "words" => {
            let name = string("vocabulary")?;
            // It lies beside its configuration: a name with a path could lead anywhere.
            if Path::new(name).file_name().is_none_or(|file| file != name) {
                return Err(config.error("embeddings.vocabulary", "a file name", name));
            }
            let file = folder.join(name);
            let words: Vec<String> = serde_json::from_str(&read_text(&file)?)
                .map_err(|error| Error::format(&file, format!("expected a list of words: {error}")))?;
            let unknown = words.len() as u32;
            Ok(Reads::Words(Vocabulary { rows: words.into_iter().zip(0..).collect(), unknown }))
        }
        "characters" => {
            let list = embedding.get("characters").and_then(Value::as_array);
            let list = list.ok_or_else(|| config.error("embeddings.characters", "a list", "none"))?;
            let ids: HashMap<char, u32> = (0..).zip(list).filter_map(|(id, item)| Some((single(item)?, id))).collect();
            Ok(Reads::Characters(Characters {
                ids,
                forward: flag("forward")?,
                delimiter: string("delimiter")?.chars().collect(),
                lower: flag("lower")?,
                tokenized: flag("tokenized")?,
                with_whitespace: flag("with_whitespace")?,
            }))
        }
        other => Err(config.error("embeddings.kind", "words or characters", other)),
    }
}

/// The character that an item is; longer ones, such as `<unk>`, stand for no character.
fn single(item: &Value) -> Option<char> {
    let mut characters = item.as_str()?.chars();
    characters.next().filter(|_| characters.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_words_stand_where_the_delimiter_leaves_them() {
        let words = ["Zoë", "", "New York", "."].map(str::to_owned);
        let found = given(&words, 2);
        let places: Vec<_> = found.iter().map(|word| (word.offset.start, word.offset.end, word.gap)).collect();
        assert_eq!(places, [(0, 3, 0), (7, 15, 1), (17, 18, 0)]);
        assert!(given(&[String::new()], 1).is_empty());
    }
}
