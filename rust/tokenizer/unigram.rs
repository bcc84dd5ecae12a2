//! Tokenizers from sentencepiece files, as transformers' converters build them.
//! <https://github.com/huggingface/transformers/blob/v4.57.6/src/transformers/convert_slow_tokenizer.py>

use std::path::Path;

use tokenizers::models::unigram::Unigram;
use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::normalizers::{Lowercase, NFKD, Replace, Sequence, Strip, StripAccents};
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::punctuation::Punctuation;
use tokenizers::pre_tokenizers::sequence::Sequence as PreSequence;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::tokenizer::normalizer::SplitDelimiterBehavior;
use tokenizers::{AddedToken, NormalizerWrapper, PreTokenizerWrapper};

use super::class::{Pieces, Text};
use super::sentencepiece::{self, Piece, SentencePiece};
use super::settings::Settings;
use crate::error::{Error, Result};

type Crate = tokenizers::Tokenizer;

/// Everything but the template, which names tokens that may be added later.
pub(super) fn build(file: &Path, class: &Pieces, settings: &Settings) -> Result<Crate> {
    let mut model = sentencepiece::read(file)?;
    let failed = |error: tokenizers::Error| Error::format(file, error.to_string());
    let normalizer = normalizer(class, &mut model, settings)?;
    let vocabulary = vocabulary(class, &model);
    let unk_id = class.unk_id.unwrap_or(model.unk_id);
    let mut tokenizer = Crate::new(Unigram::from(vocabulary, Some(unk_id), false).map_err(failed)?);
    let added = model.pieces.iter().filter(|piece| [Piece::CONTROL, Piece::USER_DEFINED].contains(&piece.kind));
    let added: Vec<_> =
        added.map(|piece| AddedToken::from(&piece.text, piece.kind == Piece::CONTROL).normalized(false)).collect();
    tokenizer.add_tokens(added).map_err(failed)?;
    let metaspace = Metaspace::new('▁', PrependScheme::Always, true);
    let mut steps: Vec<PreTokenizerWrapper> = Vec::new();
    if class.text == Text::Deberta && settings.flag("split_by_punct")?.unwrap_or(false) {
        steps.push(Punctuation::new(SplitDelimiterBehavior::Isolated).into());
    }
    steps.push(metaspace.clone().into());
    tokenizer
        .with_normalizer(Some(normalizer))
        .map_err(failed)?
        .with_pre_tokenizer(Some(PreSequence::new(steps)))
        .with_decoder(Some(metaspace));
    Ok(tokenizer)
}

/// Pieces with their scores, by id.
fn vocabulary(class: &Pieces, model: &SentencePiece) -> Vec<(String, f64)> {
    let (first, replaced) = class.first;
    // The one that stands for the file's own unknown token is never to be chosen.
    let score = |token: &str| if token == "<unk>NOTUSED" { -100.0 } else { 0.0 };
    let named = |tokens: &'static [&'static str]| tokens.iter().map(move |token| ((*token).to_owned(), score(token)));
    let pieces = model.pieces.iter().skip(replaced).map(|piece| {
        let penalty = if class.splits_numbers && ends_with_number_and_comma(&piece.text) { 100.0 } else { 0.0 };
        (piece.text.clone(), piece.score - penalty)
    });
    named(first).chain(pieces).chain(named(class.last)).collect()
}

/// Python's `isdigit` knows fewer numbers than this, but what it leaves out has no place in normalized pieces.
fn ends_with_number_and_comma(piece: &str) -> bool {
    piece.strip_suffix(',').is_some_and(|rest| rest.ends_with(char::is_numeric))
}

fn normalizer(class: &Pieces, model: &mut SentencePiece, settings: &Settings) -> Result<Sequence> {
    let flag = |key, default| settings.flag(key).map(|flag| flag.unwrap_or(default));
    let replace = |pattern, by| {
        let replace = Replace::new(pattern, by);
        replace.map(NormalizerWrapper::from).map_err(|error| Error::Backend(format!("normalizer: {error}")))
    };
    let literal = |text: &str| ReplacePattern::String(text.to_owned());
    let spaces = || ReplacePattern::Regex(" {2,}".to_owned());
    let mut steps = match class.text {
        Text::Fairseq => vec![],
        Text::Deberta if flag("do_lower_case", false)? => vec![Lowercase.into(), Strip::new(true, true).into()],
        Text::Deberta => vec![Strip::new(true, true).into()],
        Text::Albert => {
            let mut steps = vec![replace(literal("``"), "\"")?, replace(literal("''"), "\"")?];
            if !flag("keep_accents", false)? {
                steps.extend([NFKD.into(), StripAccents.into()]);
            }
            if flag("do_lower_case", true)? {
                steps.push(Lowercase.into());
            }
            steps
        }
    };
    steps.extend(model.charsmap.take().map(NormalizerWrapper::from));
    match class.text {
        Text::Fairseq => steps.extend([Strip::new(false, true).into(), replace(spaces(), "▁")?]),
        Text::Deberta | Text::Albert => steps.push(replace(spaces(), " ")?),
    }
    Ok(Sequence::new(steps))
}

/// The special tokens around one text and around two.
pub(super) fn add_template(tokenizer: &mut Crate, class: &Pieces) -> tokenizers::Result<()> {
    let [single, pair] = class.templates;
    let names = single.split(' ').map(|part| part.split(':').next().unwrap_or(part)).filter(|part| *part != "$A");
    let special = names
        .map(|name| {
            let id = tokenizer.token_to_id(name).ok_or_else(|| format!("expected the token {name}, got none"))?;
            Ok((name.to_owned(), id))
        })
        .collect::<tokenizers::Result<Vec<_>>>()?;
    let template = TemplateProcessing::builder().try_single(single)?.try_pair(pair)?.special_tokens(special).build()?;
    tokenizer.with_post_processor(Some(template));
    Ok(())
}
