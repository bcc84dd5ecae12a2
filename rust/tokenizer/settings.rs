//! `tokenizer_config.json` and `special_tokens_map.json`.

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
        Ok(Self { class, file, values, special_map })
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
    pub(super) fn added(&self, present: &[AddedToken]) -> Vec<AddedToken> {
        const KEYS: [&str; 7] =
            ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
        // One that the class makes, with flags, is never found among those that are there.
        let made = |key: &str| self.takes_space(key) && self.special_value(key).is_none();
        let special: Vec<_> =
            KEYS.iter().filter_map(|key| Some((self.special(key)?, self.is_plain(key), made(key)))).collect();
        let mut numbered: Vec<(u64, AddedToken)> = self
            .get("added_tokens_decoder")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter_map(|(id, token)| Some((id.parse().ok()?, added_token(token, false)?)))
            .collect();
        numbered.sort_by_key(|(id, _)| *id);
        let mut tokens: Vec<_> = numbered.into_iter().map(|(_, token)| token).collect();
        for token in &mut tokens {
            token.special |= special.iter().any(|(special, ..)| special.content == token.content);
        }
        let listed = self.values.contains_key("added_tokens_decoder");
        let more = self.get("additional_special_tokens").and_then(Value::as_array).into_iter().flatten();
        let more = more.filter_map(|value| Some((added_token(value, true)?, value.is_string(), false)));
        for (token, plain, made) in special.into_iter().chain(more) {
            let same = |known: &AddedToken| known.content == token.content;
            let settled = tokens.iter().any(same) || (!made && (plain || !listed) && present.iter().any(same));
            if !settled {
                tokens.push(token);
            }
        }
        tokens
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key).filter(|value| !value.is_null())
    }

    fn error(&self, key: &str, expected: &str, got: &Value) -> Error {
        Error::format(&self.file, format!("{key}: expected {expected}, got {got}"))
    }
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
