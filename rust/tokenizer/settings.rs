//! `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json`.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tokenizers::AddedToken;

use super::class::Class;
use crate::config::{Config, read_object};
use crate::error::{Error, Result};

/// Above this, `model_max_length` means that there is no limit (transformers writes 1e30).
const NO_LIMIT: f64 = 1e20;

/// What stands beside the tokenizer's vocabulary.
#[derive(Debug)]
pub(super) struct Settings {
    pub class: &'static Class,
    file: PathBuf,
    values: Map<String, Value>,
    special_map: Map<String, Value>,
    /// The older form of `added_tokens_decoder`: ids by token.
    added_map: Map<String, Value>,
}

/// Where a tokenizer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// `tokenizer.json`, which says itself what its added tokens are.
    File,
    /// Another file, by way of the class that transformers calls slow, which makes its special tokens anew.
    Converted,
}

impl Settings {
    /// Reads the files of `folder` that are there; both may be absent. `class` is used when no file names one.
    pub(super) fn load(folder: &Path, config: &Config, class: &'static str) -> Result<Self> {
        let file = folder.join("tokenizer_config.json");
        let values = read_optional(&file)?;
        let named = |values: &Map<String, Value>| values.get("tokenizer_class").and_then(Value::as_str).map(Class::of);
        let class = named(&values)
            .or_else(|| config.get("tokenizer_class").and_then(Value::as_str).map(Class::of))
            .unwrap_or_else(|| Class::of(class));
        let special_map = read_optional(&folder.join("special_tokens_map.json"))?;
        let added_map = read_optional(&folder.join("added_tokens.json"))?;
        Ok(Self { class, file, values, special_map, added_map })
    }

    /// Longest input in tokens, special ones included; `None` = no limit here.
    pub(super) fn max_length(&self) -> Result<Option<usize>> {
        let key = if self.values.contains_key("model_max_length") { "model_max_length" } else { "max_len" };
        let Some(value) = self.get(key) else { return Ok(None) };
        let length = value.as_f64().ok_or_else(|| self.error(key, "a number", value))?;
        if length > NO_LIMIT {
            return Ok(None);
        }
        if length < 1.0 || length.fract() != 0.0 || length > u32::MAX.into() {
            return Err(self.error(key, "a whole number of at least 1", value));
        }
        Ok(Some(length as usize))
    }

    /// Whether the class, or `model_input_names`, asks for segment ids.
    pub(super) fn type_ids(&self) -> bool {
        match self.get("model_input_names").and_then(Value::as_array) {
            Some(names) => names.iter().any(|name| name == "token_type_ids"),
            None => self.class.type_ids,
        }
    }

    /// A switch; `None` when the key is absent or null.
    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| self.error(key, "true or false", value))
    }

    /// A string; `None` when the key is absent or null.
    pub(super) fn string(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }

    /// The name of one special token of the class (`unk_token`, …): the checkpoint's, else the class's.
    pub(super) fn special(&self, key: &str) -> Option<AddedToken> {
        let default = || {
            let (_, token) = self.class.special.iter().find(|(name, _)| *name == key)?;
            Some(AddedToken::from(*token, true))
        };
        let mut token = match self.special_value(key) {
            Some(value) => added_token(value, true)?,
            None => default()?,
        };
        token.lstrip |= self.takes_space(key) && self.is_plain(key);
        Some(token)
    }

    /// What the files say of a special token. transformers 4 reads `special_tokens_map.json` only where
    /// `tokenizer_config.json` lists no added tokens itself.
    fn special_value(&self, key: &str) -> Option<&Value> {
        let legacy = if self.values.contains_key("added_tokens_decoder") { None } else { self.special_map.get(key) };
        legacy.or_else(|| self.values.get(key))
    }

    fn takes_space(&self, key: &str) -> bool {
        key == "mask_token" && self.class.mask_takes_space
    }

    /// Whether a special token is given by its name alone, without flags.
    fn is_plain(&self, key: &str) -> bool {
        self.special_value(key).is_none_or(Value::is_string)
    }

    /// Every token that the settings add to the vocabulary or change in it, in transformers' order: those with a number
    /// first. `present` are the added tokens of the tokenizer's own file, whose flags win over those of a special token
    /// unless the settings list added tokens themselves.
    pub(super) fn added<S: BuildHasher>(
        &self,
        present: &HashMap<u32, AddedToken, S>,
        origin: Origin,
    ) -> Vec<AddedToken> {
        let special = self.special_tokens(origin);
        let mut tokens = self.numbered(present, origin);
        for token in &mut tokens {
            token.special |= special.iter().any(|(special, _)| special.content == token.content);
        }
        let numbered = tokens.len();
        let listed = self.values.contains_key("added_tokens_decoder");
        for (token, form) in special {
            let same = |known: &AddedToken| known.content == token.content;
            let (was_numbered, was_special) =
                (tokens[..numbered].iter().any(same), tokens[numbered..].iter().any(same));
            let in_file = present.values().any(same);
            let settled = match (origin, form) {
                (_, Form::Name) => was_numbered || in_file,
                (Origin::File, Form::Given) => was_numbered || (!listed && in_file),
                (Origin::File, Form::Made) => was_numbered,
                (Origin::Converted, Form::Given) => was_numbered && listed,
                (Origin::Converted, Form::Made) => false,
            };
            if !settled && !was_special {
                tokens.push(token);
            }
        }
        tokens
    }

    /// The special tokens of the class and the additional ones of the files.
    fn special_tokens(&self, origin: Origin) -> Vec<(AddedToken, Form)> {
        const KEYS: [&str; 7] =
            ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
        let mut tokens: Vec<_> = KEYS
            .iter()
            .filter_map(|key| {
                let mut token = self.special(key)?;
                let given = self.special_value(key);
                let listed = given.is_some() && self.values.contains_key("added_tokens_decoder");
                let normalized = *key == "unk_token" && self.class.sentencepiece.is_some_and(|p| p.normalizes_unknown);
                let form = match origin {
                    _ if !self.is_plain(key) => Form::Given,
                    Origin::File if self.takes_space(key) && given.is_none() => Form::Made,
                    Origin::Converted if !listed && (self.takes_space(key) || normalized) => Form::Made,
                    _ => Form::Name,
                };
                token.normalized |= origin == Origin::Converted && form == Form::Made && normalized;
                Some((token, form))
            })
            .collect();
        let form = |value: &Value| if value.is_string() { Form::Name } else { Form::Given };
        match self.additional() {
            Some(values) => tokens.extend(values.iter().filter_map(|v| Some((added_token(v, true)?, form(v))))),
            None => tokens.extend(self.class.additional.iter().map(|name| (AddedToken::from(*name, true), Form::Name))),
        }
        tokens
    }

    fn additional(&self) -> Option<&Vec<Value>> {
        self.get("additional_special_tokens").and_then(Value::as_array)
    }

    /// `added_tokens_decoder` by number, or what `added_tokens.json` has besides the tokenizer's own file.
    fn numbered<S: BuildHasher>(&self, present: &HashMap<u32, AddedToken, S>, origin: Origin) -> Vec<AddedToken> {
        let decoder = self.get("added_tokens_decoder").and_then(Value::as_object).into_iter().flatten();
        let mut numbered: Vec<(u64, AddedToken)> =
            decoder.filter_map(|(id, token)| Some((id.parse().ok()?, added_token(token, false)?))).collect();
        if !self.values.contains_key("added_tokens_decoder") {
            let overridden = |id: u64| origin == Origin::File && present.keys().any(|key| u64::from(*key) == id);
            let older = self.added_map.iter().filter_map(|(token, id)| Some((id.as_u64()?, token)));
            let older = older.filter(|(id, _)| !overridden(*id));
            numbered.extend(older.map(|(id, token)| (id, AddedToken::from(token, self.names_special(token)))));
        }
        numbered.sort_by_key(|(id, _)| *id);
        numbered.into_iter().map(|(_, token)| token).collect()
    }

    /// Whether the files themselves, not only the class, make a token special.
    fn names_special(&self, token: &str) -> bool {
        let named = |value: &Value| added_token(value, true).is_some_and(|special| special.content == token);
        let keys = self.values.keys().chain(self.special_map.keys()).filter(|key| key.ends_with("_token"));
        keys.filter_map(|key| self.special_value(key)).any(named)
            || self.additional().is_some_and(|tokens| tokens.iter().any(named))
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key).filter(|value| !value.is_null())
    }

    fn error(&self, key: &str, expected: &str, got: &Value) -> Error {
        Error::format(&self.file, format!("{key}: expected {expected}, got {got}"))
    }
}

/// What a special token is in transformers, which compares tokens with flags by all of them and others by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A name without flags.
    Name,
    /// A token with flags, by the files.
    Given,
    /// A token with flags, by the class.
    Made,
}

/// A token as a plain string or as an `AddedToken` object.
fn added_token(value: &Value, special: bool) -> Option<AddedToken> {
    if let Some(content) = value.as_str() {
        return Some(AddedToken::from(content, special));
    }
    let flag = |key| value.get(key).and_then(Value::as_bool);
    let special = special || flag("special").unwrap_or(false);
    let token = AddedToken::from(value.get("content")?.as_str()?, special)
        .single_word(flag("single_word").unwrap_or(false))
        .lstrip(flag("lstrip").unwrap_or(false))
        .rstrip(flag("rstrip").unwrap_or(false));
    let normalized = flag("normalized").unwrap_or(token.normalized);
    Some(token.normalized(normalized))
}

fn read_optional(file: &Path) -> Result<Map<String, Value>> {
    if file.is_file() { read_object(file) } else { Ok(Map::new()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tokenizer_config.json"), text).unwrap();
        let config = Config::parse(Path::new("config.json"), r#"{"model_type":"bert"}"#).unwrap();
        Settings::load(folder.path(), &config, "BertTokenizer").unwrap()
    }

    #[test]
    fn limits_are_read_from_either_key() {
        for (text, limit) in [
            (r#"{"model_max_length":512}"#, Some(512)),
            (r#"{"max_len":48}"#, Some(48)),
            (r#"{"model_max_length":1000000000000000019884624838656}"#, None),
            (r#"{"model_max_length":null}"#, None),
            ("{}", None),
        ] {
            assert_eq!(settings(text).max_length().unwrap(), limit, "{text}");
        }
        for text in [r#"{"model_max_length":0}"#, r#"{"model_max_length":-3}"#, r#"{"max_len":"512"}"#] {
            assert!(settings(text).max_length().is_err(), "{text}");
        }
    }

    #[test]
    fn special_tokens_may_be_strings_or_objects() {
        let settings = settings(
            r#"{"unk_token":"<u>","mask_token":{"__type":"AddedToken","content":"<m>","lstrip":true,"normalized":true}}"#,
        );
        assert_eq!(settings.special("unk_token").unwrap(), AddedToken::from("<u>", true));
        let mask = settings.special("mask_token").unwrap();
        assert_eq!((mask.content.as_str(), mask.lstrip, mask.normalized, mask.special), ("<m>", true, true, true));
        assert_eq!(settings.special("sep_token").unwrap().content, "[SEP]");
        assert_eq!(settings.special("bos_token"), None);
    }

    #[test]
    fn the_class_decides_on_segment_ids_unless_the_file_does() {
        assert!(settings("{}").type_ids());
        assert!(!settings(r#"{"tokenizer_class":"DistilBertTokenizerFast"}"#).type_ids());
        assert!(settings(r#"{"tokenizer_class":"SomethingElse"}"#).type_ids());
        assert!(!settings(r#"{"model_input_names":["input_ids"]}"#).type_ids());
    }
}
