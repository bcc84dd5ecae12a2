//! Subword tokenizers: text to [`Encoding`]s, and ids back to strings.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ahash::AHashMap;
use tokenizers::utils::truncation::{TruncationDirection, TruncationParams, TruncationStrategy, truncate_encodings};
use tokenizers::{EncodeInput, InputSequence, ModelWrapper, PostProcessor, PostProcessorWrapper};

use super::decode::decode;
use super::files;
use super::fit::{Fit, Overlong};
use super::lead::Lead;
use super::settings::Settings;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::types::{Cut, Encoded, Encoding, Input, Offset, Truncation, TruncationSide, Vocabulary};

/// A tokenizer with the settings that transformers 4 gives it.
///
/// It holds no state between calls: limits are arguments, so any number of threads may use one.
#[derive(Debug)]
pub struct Tokenizer {
    /// Without template: special tokens are added after truncation, which differs from call to call.
    inner: tokenizers::Tokenizer,
    template: Option<PostProcessorWrapper>,
    max_length: Option<usize>,
    direction: TruncationDirection,
    type_ids: bool,
    unk_id: Option<u32>,
    /// Added tokens of which the crate would give what it looks for in normalized text, in lower case perhaps, and not
    /// the name.
    named: AHashMap<u32, String>,
    /// By ids of added tokens that the crate may give in place of another one: the other's.
    meant: AHashMap<u32, u32>,
    tokenized: AtomicUsize,
}

impl Tokenizer {
    /// Reads the tokenizer of a model folder; `class` is the family's, for folders that name none.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`] when no tokenizer file is there, [`Error::ModelFormat`] when one is damaged.
    pub fn load(folder: &Path, config: &Config, class: &'static str) -> Result<Self> {
        let settings = Settings::load(folder, config, class)?;
        let (mut inner, meant) = files::load(folder, &settings)?;
        // A file's own limits are reset by the reference on each call; only their sides stay as defaults.
        let file_side = inner.get_truncation().map(|params| params.direction);
        let direction = match settings.string("truncation_side") {
            Some("left") => TruncationDirection::Left,
            Some(_) => TruncationDirection::Right,
            None => file_side.unwrap_or(TruncationDirection::Right),
        };
        inner.with_padding(None);
        let failed = |error: tokenizers::Error| Error::format(folder, error.to_string());
        inner.with_truncation(None).map_err(failed)?;
        let template = inner.get_post_processor().cloned();
        inner.with_post_processor(None::<PostProcessorWrapper>);
        let added = inner.get_added_tokens_decoder().into_iter().map(|(id, token)| (id, token.content));
        let named = added.filter(|(id, name)| inner.id_to_token(*id).as_ref() != Some(name)).collect();
        let unk_id = settings.special("unk_token").and_then(|token| inner.token_to_id(&token.content));
        Ok(Self {
            max_length: settings.max_length()?,
            type_ids: settings.type_ids(),
            named,
            meant,
            inner,
            template,
            direction,
            unk_id,
            tokenized: AtomicUsize::new(0),
        })
    }

    /// `model_max_length` of the settings; `None` = no limit.
    pub fn max_length(&self) -> Option<usize> {
        self.max_length
    }

    /// Number of special tokens that the template adds to one text, or to a pair.
    pub fn added_tokens(&self, pair: bool) -> usize {
        self.template.as_ref().map_or(0, |template| template.added_tokens(pair))
    }

    /// Texts that were tokenized so far, a pair's two counting each.
    pub fn tokenized(&self) -> usize {
        self.tokenized.load(Ordering::Relaxed)
    }

    /// Encodes one input; `index` is its position in the call, for messages. `lead` is what pairs with the same first
    /// text share.
    ///
    /// A pair whose second text is empty is a single text, as in the reference.
    ///
    /// # Errors
    /// [`Error::Input`] when the input is too long for `fit` and may not be cut, can't be tokenized, or brings fewer
    /// offsets than it has tokens.
    ///
    /// # Panics
    /// When a stride is not below what special tokens leave of `fit.max_length`: the pipeline checks it before any
    /// work.
    pub fn encode(&self, index: usize, input: &Input, fit: Fit, lead: Option<&Lead>) -> Result<Encoded> {
        let failed = |error: tokenizers::Error| Error::input(index, error.to_string());
        let raw = |sequence: InputSequence<'_>| {
            self.tokenized.fetch_add(1, Ordering::Relaxed);
            self.inner.encode_char_offsets(EncodeInput::Single(sequence), false).map_err(failed)
        };
        let first = |text: &str| match lead {
            Some(lead) => lead.tokens(|| raw(text.into())),
            None => raw(text.into()),
        };
        let (first, second) = match input {
            Input::Text(text, _) => (raw(text.as_str().into())?, None),
            Input::Pair(text, pair) if pair.is_empty() => (first(text)?, None),
            Input::Pair(text, pair) => (first(text)?, Some(raw(pair.as_str().into())?)),
            Input::Words { words, .. } => {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                (raw(words.into())?, None)
            }
        };
        let added = self.added_tokens(second.is_some());
        let total = first.len() + second.as_ref().map_or(0, tokenizers::Encoding::len) + added;
        let (windows, cut) = if total <= fit.max_length {
            (vec![(first, second)], None)
        } else {
            let too_long = |reason: String| {
                let limit = fit.max_length;
                Error::input(index, format!("{total} tokens with special tokens, the limit is {limit}; {reason}"))
            };
            let capacity = fit
                .max_length
                .checked_sub(added)
                .ok_or_else(|| too_long(format!("special tokens alone are {added}")))?;
            let windows = self.fit(first, second, capacity, fit).map_err(too_long)?;
            let cut = matches!(fit.overlong, Overlong::Cut(_)).then_some(Cut { total, kept: fit.max_length });
            (windows, cut)
        };
        let mut windows = windows
            .into_iter()
            .map(|(first, second)| self.finish(first, second, input).map_err(failed))
            .collect::<Result<Vec<_>>>()?;
        if let Input::Text(_, Some(offsets)) = input {
            replace_offsets(&mut windows, offsets).map_err(|message| Error::input(index, message))?;
        }
        let text = input.first().map_or_else(|| input.text().into(), Arc::clone);
        Ok(Encoded { text, windows, cut })
    }

    /// Makes an input fit: its windows, or the reason why it can't be done.
    fn fit(
        &self,
        mut first: tokenizers::Encoding,
        second: Option<tokenizers::Encoding>,
        capacity: usize,
        fit: Fit,
    ) -> std::result::Result<Vec<(tokenizers::Encoding, Option<tokenizers::Encoding>)>, String> {
        let direction = match fit.side {
            None => self.direction,
            Some(TruncationSide::Left) => TruncationDirection::Left,
            Some(TruncationSide::Right) => TruncationDirection::Right,
        };
        let strategy = match fit.overlong {
            Overlong::Refuse | Overlong::Cut(Truncation::DoNotTruncate) => return Err("truncation is off".to_owned()),
            Overlong::Windows(stride) => {
                first.truncate(capacity, stride, direction);
                let more = first.take_overflowing();
                return Ok(std::iter::once(first).chain(more).map(|window| (window, None)).collect());
            }
            Overlong::Cut(Truncation::LongestFirst) => TruncationStrategy::LongestFirst,
            Overlong::Cut(Truncation::OnlyFirst) => TruncationStrategy::OnlyFirst,
            Overlong::Cut(Truncation::OnlySecond) => TruncationStrategy::OnlySecond,
        };
        let params = TruncationParams { direction, max_length: capacity, strategy, stride: 0 };
        let (mut first, mut second) = truncate_encodings(first, second, &params).map_err(|error| error.to_string())?;
        first.take_overflowing();
        second.as_mut().map(tokenizers::Encoding::take_overflowing);
        Ok(vec![(first, second)])
    }

    /// Adds the template's special tokens and takes over what we need.
    fn finish(
        &self,
        first: tokenizers::Encoding,
        second: Option<tokenizers::Encoding>,
        input: &Input,
    ) -> tokenizers::Result<Encoding> {
        let encoding = if let Some(template) = &self.template {
            template.process(first, second, true)?
        } else {
            let encodings = std::iter::once(first).chain(second).collect();
            <dyn PostProcessor>::default_process(encodings, true)?.swap_remove(0)
        };
        let mut offsets: Vec<Offset> = encoding
            .get_offsets()
            .iter()
            .map(|&(start, end)| Offset { start: start as u32, end: end as u32 })
            .collect();
        if let Input::Words { words, delimiter } = input {
            shift(&mut offsets, encoding.get_word_ids(), words, delimiter);
        }
        let special: Vec<bool> = encoding.get_special_tokens_mask().iter().map(|&mask| mask != 0).collect();
        // The template's tokens are those that it names.
        let meant = |(&id, special): (&u32, &bool)| *self.meant.get(&id).filter(|_| !special).unwrap_or(&id);
        let type_ids = if self.type_ids { encoding.get_type_ids().to_vec() } else { vec![0; encoding.len()] };
        Ok(Encoding {
            ids: encoding.get_ids().iter().zip(&special).map(meant).collect(),
            type_ids,
            offsets,
            special,
            word_ids: encoding.get_word_ids().to_vec(),
            ..Encoding::default()
        })
    }
}

/// The caller's offsets in place of the tokenizer's.
pub(super) fn replace_offsets(windows: &mut [Encoding], offsets: &[Offset]) -> std::result::Result<(), String> {
    let [window] = windows else {
        return Err(format!("offset_mapping: expected a text of one window, got {} windows", windows.len()));
    };
    let given = offsets.get(..window.len());
    let given = given.ok_or_else(|| {
        let (expected, got) = (window.len(), offsets.len());
        format!("offset_mapping: expected a pair for each of the {expected} tokens (special ones too), got {got}")
    })?;
    window.offsets = given.to_vec();
    Ok(())
}

/// From offsets inside of each word to offsets in the words joined by `delimiter`.
fn shift(offsets: &mut [Offset], word_ids: &[Option<u32>], words: &[String], delimiter: &str) {
    let gap = delimiter.chars().count();
    let mut next = 0;
    let starts: Vec<usize> = words
        .iter()
        .map(|word| {
            let start = next;
            next += word.chars().count() + gap;
            start
        })
        .collect();
    for (offset, word) in offsets.iter_mut().zip(word_ids) {
        if let Some(word) = word {
            let start = starts[*word as usize] as u32;
            offset.start += start;
            offset.end += start;
        }
    }
}

impl Vocabulary for Tokenizer {
    fn token(&self, id: u32) -> Cow<'_, str> {
        match self.named.get(&id) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(self.inner.id_to_token(id).unwrap_or_default()),
        }
    }

    fn unk_id(&self) -> Option<u32> {
        self.unk_id
    }

    fn marks_continuations(&self) -> bool {
        match self.inner.get_model() {
            ModelWrapper::WordPiece(model) => !model.continuing_subword_prefix.is_empty(),
            ModelWrapper::BPE(model) => model.get_continuing_subword_prefix().as_ref().is_some_and(|p| !p.is_empty()),
            _ => false,
        }
    }

    fn decode(&self, tokens: &[Cow<'_, str>]) -> String {
        decode(self.inner.get_decoder(), tokens)
    }
}
