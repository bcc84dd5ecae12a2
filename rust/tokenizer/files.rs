//! Which files make a tokenizer, and what transformers 4 changes of what they say.

use std::panic::catch_unwind;
use std::path::Path;

use ahash::AHashMap;
use serde::Deserialize;
use serde_json::{Value, json};
use tokenizers::models::bpe::BPE;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::{AddedToken, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper};

use super::class::Overridden;
use super::settings::{Origin, Settings};
use super::{ties, unigram};
use crate::config::{read_object, read_text};
use crate::error::{Error, Result};

type Crate = tokenizers::Tokenizer;

/// Builds the tokenizer of a folder: `tokenizer.json`, else the sentencepiece file of the class, else `vocab.txt`, else
/// `vocab.json` with `merges.txt`. Of ids that it gives in place of others, [`ties::settle`] tells what they mean.
pub(super) fn load(folder: &Path, settings: &Settings) -> Result<(Crate, AHashMap<u32, u32>)> {
    let file = folder.join("tokenizer.json");
    let failed = |error: tokenizers::Error| Error::format(folder, format!("tokenizer files: {error}"));
    let pieces = settings.class.sentencepiece.filter(|pieces| folder.join(pieces.file).is_file());
    let (mut tokenizer, mut added) = match pieces {
        _ if file.is_file() => parse(&file)?,
        Some(pieces) => (unigram::build(&folder.join(pieces.file), pieces, settings)?, Vec::new()),
        None => (from_vocabulary(folder, settings)?, Vec::new()),
    };
    let origin = if file.is_file() { Origin::File } else { Origin::Converted };
    let more = settings.added(&tokenizer.get_added_tokens_decoder(), origin);
    added.extend_from_slice(&more);
    tokenizer.add_tokens(more).map_err(failed)?;
    override_components(&mut tokenizer, settings).map_err(failed)?;
    let meant = ties::settle(&mut tokenizer, &added).map_err(failed)?;
    if let (Some(pieces), Origin::Converted) = (pieces, origin) {
        // Last, because the tokens that it names may be added ones.
        let failed = |error: tokenizers::Error| Error::format(&folder.join(pieces.file), error.to_string());
        unigram::add_template(&mut tokenizer, pieces).map_err(failed)?;
    }
    Ok((tokenizer, meant))
}

fn from_vocabulary(folder: &Path, settings: &Settings) -> Result<Crate> {
    let [vocab_txt, vocab_json, merges] = ["vocab.txt", "vocab.json", "merges.txt"].map(|name| folder.join(name));
    if vocab_txt.is_file() {
        return wordpiece(&vocab_txt, settings);
    }
    if vocab_json.is_file() && merges.is_file() {
        return byte_level(&vocab_json, &merges, settings);
    }
    let pieces = settings.class.sentencepiece.map(|pieces| format!("{}, ", pieces.file)).unwrap_or_default();
    let message =
        format!("no tokenizer here: looked for tokenizer.json, {pieces}vocab.txt, vocab.json with merges.txt");
    Err(Error::ModelNotFound { path: folder.to_owned(), message })
}

/// What the crate does not keep of a `tokenizer.json`: the order of its added tokens.
#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
}

/// A `tokenizer.json`, and its added tokens in the file's order. The crate panics on some of those that are damaged:
/// broken JSON is found before it sees the text, and what it makes of the rest is caught.
fn parse(file: &Path) -> Result<(Crate, Vec<AddedToken>)> {
    let text = read_text(file)?;
    let damaged = |error: &dyn std::fmt::Display| Error::format(file, format!("not a tokenizer: {error}"));
    let listed: Listed = serde_json::from_str(&text).map_err(|error| damaged(&error))?;
    match catch_unwind(|| text.parse::<Crate>()) {
        Ok(Ok(parsed)) => Ok((parsed, listed.added_tokens)),
        Ok(Err(error)) => Err(damaged(&error)),
        Err(_) => Err(damaged(&"its parts do not fit each other")),
    }
}

/// WordPiece from a list of tokens, as `BertConverter` of transformers builds it.
fn wordpiece(file: &Path, settings: &Settings) -> Result<Crate> {
    let text = read_text(file)?;
    // One token per line; only the line's end is taken off, and of equal lines the last one counts.
    let vocab: AHashMap<String, u32> =
        text.lines().enumerate().map(|(id, token)| (token.to_owned(), id as u32)).collect();
    let special = |key| settings.special(key).map(|token| token.content).unwrap_or_default();
    let (cls, sep) = (special("cls_token"), special("sep_token"));
    let [cls_id, sep_id] = [&cls, &sep].map(|token| vocab.get(token).copied());
    let (Some(cls_id), Some(sep_id)) = (cls_id, sep_id) else {
        return Err(Error::format(file, format!("expected the special tokens {cls} and {sep}, got no line of them")));
    };
    let model = WordPiece::builder()
        .vocab(vocab)
        .unk_token(special("unk_token"))
        .build()
        .map_err(|error| Error::format(file, error.to_string()))?;
    let mut tokenizer = Crate::new(model);
    let damaged = |error: &dyn std::fmt::Display| Error::format(file, error.to_string());
    // The flags are overridden below, like those of a file.
    tokenizer.with_normalizer(Some(BertNormalizer::default())).map_err(|error| damaged(&error))?;
    let piece = |id: &str, segment: u8| json!({"SpecialToken": {"id": id, "type_id": segment}});
    let text = |id: &str, segment: u8| json!({"Sequence": {"id": id, "type_id": segment}});
    let template = json!({
        "type": "TemplateProcessing",
        "single": [piece(&cls, 0), text("A", 0), piece(&sep, 0)],
        "pair": [piece(&cls, 0), text("A", 0), piece(&sep, 0), text("B", 1), piece(&sep, 1)],
        "special_tokens": {
            &cls: {"id": cls, "ids": [cls_id], "tokens": [cls]},
            &sep: {"id": sep, "ids": [sep_id], "tokens": [sep]},
        },
    });
    let template: PostProcessorWrapper = serde_json::from_value(template).map_err(|error| damaged(&error))?;
    tokenizer
        .with_pre_tokenizer(Some(tokenizers::pre_tokenizers::bert::BertPreTokenizer))
        .with_post_processor(Some(template))
        .with_decoder(Some(tokenizers::decoders::wordpiece::WordPiece::new("##".to_owned(), true)));
    Ok(tokenizer)
}

/// Byte-level BPE from a vocabulary and its merges, as `RobertaConverter` of transformers builds it.
fn byte_level(vocab_file: &Path, merges_file: &Path, settings: &Settings) -> Result<Crate> {
    let vocab = read_object(vocab_file)?
        .into_iter()
        .map(|(token, id)| match id.as_u64().and_then(|id| u32::try_from(id).ok()) {
            Some(id) => Ok((token, id)),
            None => Err(Error::format(vocab_file, format!("{token:?}: expected an id, got {id}"))),
        })
        .collect::<Result<AHashMap<String, u32>>>()?;
    let text = read_text(merges_file)?;
    // The first line is `#version`, whatever it says.
    let merges = text
        .lines()
        .skip(1)
        .map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
            [left, right] => Ok((left.to_owned(), right.to_owned())),
            _ => Err(Error::format(merges_file, format!("expected two tokens in a line, got {line:?}"))),
        })
        .collect::<Result<Vec<_>>>()?;
    let special = |key| {
        let token = settings.special(key).map(|token| token.content).unwrap_or_default();
        let id = vocab.get(&token).copied();
        id.map(|id| (token.clone(), id))
            .ok_or_else(|| Error::format(vocab_file, format!("expected the special token {token}, got none")))
    };
    let (sep, cls) = (special("sep_token")?, special("cls_token")?);
    let model = BPE::builder()
        .vocab_and_merges(vocab, merges)
        .continuing_subword_prefix(String::new())
        .build()
        .map_err(|error| Error::format(merges_file, error.to_string()))?;
    let mut tokenizer = Crate::new(model);
    // Trimming and the space in front are overridden below, like those of a file.
    tokenizer
        .with_pre_tokenizer(Some(tokenizers::pre_tokenizers::byte_level::ByteLevel::default().add_prefix_space(false)))
        .with_post_processor(Some(tokenizers::processors::roberta::RobertaProcessing::new(sep, cls)))
        .with_decoder(Some(tokenizers::decoders::byte_level::ByteLevel::default()));
    Ok(tokenizer)
}

/// What `tokenizer_config.json` says wins over three components of the file, where the class reads those keys.
fn override_components(tokenizer: &mut Crate, settings: &Settings) -> tokenizers::Result<()> {
    let prefix_space = settings.flag("add_prefix_space")?.unwrap_or(false);
    if settings.class.overrides == Some(Overridden::Normalizer)
        && let Some(NormalizerWrapper::BertNormalizer(normalizer)) = tokenizer.get_normalizer()
    {
        let normalizer = BertNormalizer::new(
            normalizer.clean_text,
            settings.flag("tokenize_chinese_chars")?.unwrap_or(true),
            settings.flag("strip_accents")?,
            settings.flag("do_lower_case")?.unwrap_or(true),
        );
        tokenizer.with_normalizer(Some(normalizer))?;
    }
    if settings.class.overrides == Some(Overridden::Template) {
        let trim = settings.flag("trim_offsets")?.unwrap_or(true);
        let keys = [("add_prefix_space", prefix_space), ("trim_offsets", trim)];
        if let Some(template) = with_flags(tokenizer.get_post_processor(), &keys)? {
            tokenizer.with_post_processor(Some::<PostProcessorWrapper>(template));
        }
    }
    let keys = [("add_prefix_space", prefix_space)];
    if let Some(pre_tokenizer) = with_flags(tokenizer.get_pre_tokenizer(), &keys)? {
        tokenizer.with_pre_tokenizer(Some::<PreTokenizerWrapper>(pre_tokenizer));
    }
    Ok(())
}

/// The component with other values for the switches that it has at its top level; `None` when nothing changes.
fn with_flags<C>(component: Option<&C>, flags: &[(&str, bool)]) -> tokenizers::Result<Option<C>>
where
    C: serde::Serialize + serde::de::DeserializeOwned,
{
    let Some(component) = component else { return Ok(None) };
    let mut value = serde_json::to_value(component)?;
    let mut changed = false;
    for (key, flag) in flags {
        if let Some(old) = value.get_mut(*key).filter(|old| **old != Value::Bool(*flag)) {
            *old = Value::Bool(*flag);
            changed = true;
        }
    }
    if !changed {
        return Ok(None);
    }
    Ok(Some(serde_json::from_value(value)?))
}
