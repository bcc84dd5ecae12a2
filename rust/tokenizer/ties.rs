//! Added tokens that are equal in normalized text, as `New` and `new` are in lower case.
//!
//! The reference finds the first of them, special ones before others: `refresh_added_tokens` in
//! <https://github.com/huggingface/tokenizers/blob/v0.22.2/tokenizers/src/tokenizer/added_vocabulary.rs>. The crate
//! fills its trie by a map in random order and finds any.

use ahash::{AHashMap, AHashSet};
use tokenizers::{AddedToken, AddedVocabulary, Model};

type Crate = tokenizers::Tokenizer;

/// Settles which token of a tie is found; `added` are those of the tokenizer in the order in which they came.
///
/// A token that loses is not looked for any more if the model knows it. Others have to stay, because the crate counts
/// ids: they are found like the winner, and the answer tells which id is meant by theirs.
pub(super) fn settle(tokenizer: &mut Crate, added: &[AddedToken]) -> tokenizers::Result<AHashMap<u32, u32>> {
    let tokens = tokenizer.get_added_tokens_decoder();
    let mut seen = AHashSet::new();
    let (special, others): (Vec<_>, Vec<_>) =
        added.iter().partition(|token| token.special && seen.insert(&token.content));
    let mut winners = AHashMap::new();
    for token in special.into_iter().chain(others).filter(|token| token.normalized) {
        let id = tokenizer.token_to_id(&token.content);
        // Settings may have changed it since.
        if let Some(id) = id.filter(|id| tokens.get(id).is_some_and(|token| token.normalized)) {
            winners.entry(tokenizer.id_to_token(id)).or_insert(id);
        }
    }
    let normalized = tokens.iter().filter(|(_, token)| token.normalized);
    let mut meant: AHashMap<u32, u32> = normalized
        .filter_map(|(&id, _)| Some((id, *winners.get(&tokenizer.id_to_token(id))?)))
        .filter(|(id, winner)| id != winner)
        .collect();
    if meant.is_empty() {
        return Ok(meant);
    }
    let model = tokenizer.get_model();
    let mut kept = Vec::with_capacity(tokens.len());
    for (id, token) in &tokens {
        let Some(winner) = meant.get(id) else {
            kept.push((*id, token.clone()));
            continue;
        };
        if model.token_to_id(&token.content).is_some() {
            // In its own text, as a part of words perhaps, the model goes on to give this id.
            meant.remove(id);
        } else {
            let AddedToken { content, special, .. } = token.clone();
            kept.push((*id, AddedToken { content, special, ..tokens[winner].clone() }));
        }
    }
    kept.sort_unstable_by_key(|(id, _)| *id);
    let mut vocabulary = AddedVocabulary::new();
    vocabulary.add_tokens(kept.iter().map(|(_, token)| token.clone()), model, tokenizer.get_normalizer())?;
    for (id, token) in kept {
        // A vocabulary with gaps may be counted on from elsewhere.
        if vocabulary.token_to_id(&token.content, model) != Some(id) {
            return Err(
                format!("added token {:?}: equals another one, and the vocabulary has gaps", token.content).into()
            );
        }
    }
    tokenizer.with_added_vocabulary(vocabulary);
    Ok(meant)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use crate::config::Config;
    use crate::tokenizer::{Fit, Overlong, Tokenizer};
    use crate::types::Vocabulary;

    /// A lower-casing tokenizer whose model knows `new` (5), `a` (6), `b` (7) and `##er` (8).
    fn load(added: &Value, settings: &Value) -> Tokenizer {
        let vocabulary: Value = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]", "new", "a", "b", "##er"]
            .iter()
            .enumerate()
            .map(|(id, token)| ((*token).to_owned(), json!(id)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let model = json!({
            "type": "WordPiece", "vocab": vocabulary, "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
        });
        let file = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
            "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null,
            "decoder": null, "model": model,
        });
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tokenizer.json"), file.to_string()).unwrap();
        std::fs::write(folder.path().join("tokenizer_config.json"), settings.to_string()).unwrap();
        let config = Config::parse(Path::new("config.json"), r#"{"model_type":"bert"}"#).unwrap();
        Tokenizer::load(folder.path(), &config, "PreTrainedTokenizer").unwrap()
    }

    fn token(content: &str, flags: &[&str]) -> Value {
        let mut token = json!({"id": 0, "content": content, "normalized": true});
        for flag in ["single_word", "lstrip", "rstrip", "special"] {
            token[flag] = flags.contains(&flag).into();
        }
        token
    }

    /// Ids with the lengths of what they stand for: the same in 20 loads, of which each has another seed.
    #[track_caller]
    fn assert_found(added: &Value, settings: &Value, cases: &[(&str, &[(u32, u32)])]) {
        for _ in 0..20 {
            let tokenizer = load(added, settings);
            for (text, expected) in cases {
                let fit = Fit { max_length: 64, overlong: Overlong::Refuse, side: None };
                let encoded = tokenizer.encode(0, &(*text).into(), fit, None).unwrap();
                let [window] = &encoded.windows[..] else { panic!("one window") };
                let lengths = window.offsets.iter().map(|offset| offset.end - offset.start);
                let found: Vec<_> = window.ids.iter().copied().zip(lengths).collect();
                assert_eq!(found, *expected, "{text}");
            }
        }
    }

    // What is expected is what Python's tokenizers 0.22.2 answers.

    #[test]
    fn the_first_is_found_with_its_own_flags() {
        let added = json!([token("New", &["lstrip"]), token("nEw", &["rstrip"]), token("zz", &[])]);
        let cases: [(&str, &[(u32, u32)]); 2] =
            [("a NEW b", &[(6, 1), (9, 4), (7, 1)]), ("a zz newer", &[(6, 1), (11, 2), (9, 4), (0, 2)])];
        assert_found(&added, &json!({}), &cases);
        let added = json!([token("nEw", &["rstrip"]), token("New", &["lstrip"]), token("zz", &[])]);
        assert_found(&added, &json!({}), &[("a NEW b", &[(6, 1), (9, 4), (7, 1)])]);
    }

    #[test]
    fn special_ones_come_before_others() {
        let added =
            json!([token("New", &[]), token("new", &[]), token("NEW", &["special", "rstrip"]), token("zz", &[])]);
        assert_found(&added, &json!({}), &[("a new b", &[(6, 1), (10, 4), (7, 1)]), ("zz", &[(11, 2)])]);
    }

    #[test]
    fn the_model_still_gives_the_ids_that_it_knows() {
        let added = json!([token("New", &["single_word"]), token("new", &[]), token("neW", &[])]);
        let cases: [(&str, &[(u32, u32)]); 2] = [("a new b", &[(6, 1), (9, 3), (7, 1)]), ("newer", &[(5, 3), (8, 2)])];
        assert_found(&added, &json!({}), &cases);
        let added = json!([token("new", &["single_word"]), token("New", &[])]);
        assert_found(&added, &json!({}), &[("a New b", &[(6, 1), (5, 3), (7, 1)]), ("newer", &[(5, 3), (8, 2)])]);
    }

    #[test]
    fn tokens_of_the_settings_come_after_those_of_the_file() {
        let more = |flags: &[&str]| json!({"added_tokens_decoder": {"10": token("nEw", flags)}});
        let added = json!([token("New", &["lstrip"])]);
        assert_found(&added, &more(&["rstrip"]), &[("a new b", &[(6, 1), (9, 4), (7, 1)])]);
        assert_found(&added, &more(&["rstrip", "special"]), &[("a new b", &[(6, 1), (10, 4), (7, 1)])]);
    }

    #[test]
    fn a_token_that_is_found_in_the_text_itself_ties_with_none() {
        let mut exact = token("New", &[]);
        exact["normalized"] = false.into();
        let added = json!([token("new", &[]), exact, token("zz", &[])]);
        assert_found(&added, &json!({}), &[("New new NEW zz", &[(9, 3), (5, 3), (5, 3), (10, 2)])]);
    }

    #[test]
    fn every_token_keeps_its_name() {
        let tokenizer = load(&json!([token("New", &[]), token("nEw", &[]), token("new", &[])]), &json!({}));
        assert_eq!([5, 9, 10].map(|id| tokenizer.token(id).into_owned()), ["new", "New", "nEw"]);
    }
}
