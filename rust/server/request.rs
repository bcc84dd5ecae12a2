//! A request body becomes typed: inputs, options, and how the answer is to be given.

use serde_json::{Map, Value};

use super::Settings;
use super::parameters::{Given, Parameters};
use crate::error::{Error, Result};
use crate::types::{Input, ListOutput, TopK};

/// A request of either task.
#[derive(Debug, Clone, PartialEq)]
pub struct Request<O> {
    /// What is to be answered; at least one.
    pub inputs: Vec<Input>,
    /// Whether it was one input and not a list.
    pub single: bool,
    /// Whether the answers are one list, and not a list for each input: see [`Settings::list_output`].
    pub joined: bool,
    /// The task's options.
    pub options: O,
    /// Whether the answer is wanted as server-sent events.
    pub stream: bool,
    /// `options.use_cache`, if given.
    pub use_cache: Option<bool>,
    /// `options.wait_for_model`, if given.
    pub wait_for_model: Option<bool>,
    /// What the client should know although the request is answered.
    pub warnings: Vec<String>,
}

/// The members of a request's body.
#[derive(Debug, Clone, PartialEq)]
pub struct Body(Map<String, Value>);

impl Body {
    /// Reads a JSON object; one byte order mark may stand before it.
    ///
    /// # Errors
    /// [`Error::Parameter`] for everything else.
    pub fn parse(body: &[u8]) -> Result<Self> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        match serde_json::from_slice(body) {
            Ok(Value::Object(object)) => Ok(Self(object)),
            Ok(other) => Err(Error::parameter("body", "a JSON object with inputs", &kind(&other))),
            Err(error) => {
                let got = format_args!("broken JSON ({error})");
                Err(Error::parameter("body", "a JSON object with inputs", &got))
            }
        }
    }

    /// A text without any JSON around it.
    pub fn text(text: String) -> Self {
        Self(Map::from_iter([("inputs".to_owned(), Value::String(text))]))
    }

    /// Parameters of the URL, where the body has none: whole numbers, `true`, `false`, and strings.
    #[must_use]
    pub fn or_parameters(mut self, query: impl IntoIterator<Item = (String, String)>) -> Self {
        let value = |text: String| match text.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => text.parse::<i64>().map_or_else(|_| Value::String(text), Value::from),
        };
        let parameters: Map<_, _> = query.into_iter().map(|(key, text)| (key, value(text))).collect();
        if !parameters.is_empty() {
            self.0.entry("parameters").or_insert(Value::Object(parameters));
        }
        self
    }

    /// `options.wait_for_model`, where it is one.
    pub fn waits_for_model(&self) -> Option<bool> {
        self.0.get("options")?.get("wait_for_model")?.as_bool()
    }
}

impl<O> Request<O> {
    /// Reads a body. Everything that is wrong with it is told at once.
    ///
    /// # Errors
    /// [`Error::Parameter`], [`Error::Input`] or [`Error::Several`] of them.
    pub fn parse<T: Parameters<Options = O>>(body: &[u8], settings: &Settings) -> Result<Self> {
        Self::read::<T>(Body::parse(body)?, settings)
    }

    /// Gives a body's members their types. Everything that is wrong with it is told at once.
    ///
    /// # Errors
    /// As for [`Request::parse`].
    pub fn read<T: Parameters<Options = O>>(Body(mut body): Body, settings: &Settings) -> Result<Self> {
        let mut given = Given::default();
        match body.remove("parameters") {
            None | Some(Value::Null) => (),
            Some(Value::Object(values)) => given.values = values,
            Some(other) => given.refuse("parameters", "an object", &kind(&other)),
        }
        let (outer, inner) = (body.remove("stream"), given.values.remove("stream"));
        let [outer, inner] = [outer, inner].map(|stream| switch(&mut given, "stream", stream.as_ref()));
        let stream = outer.or(inner).unwrap_or(false);
        let service = body.remove("options").unwrap_or_default();
        let use_cache = switch(&mut given, "use_cache", service.get("use_cache"));
        let wait_for_model = switch(&mut given, "wait_for_model", service.get("wait_for_model"));
        let list = matches!(body.get("inputs"), Some(Value::Array(_)));
        let joined = settings.list_output == ListOutput::Hosted && T::PAIRS && list && !given.ranks();
        let best = Settings { default_top_k: TopK::Count(1), ..*settings };
        let options = T::read(&mut given, if joined { &best } else { settings });
        let words = !T::PAIRS && given.flag("is_split_into_words") == Some(true);
        let delimiter = if T::PAIRS { None } else { given.string("delimiter") };
        let warnings = unknown::<T>(&mut given, settings);
        let read = match body.remove("inputs") {
            Some(inputs) if words => split_words(&inputs, delimiter.as_deref().unwrap_or(" ")),
            Some(inputs) => read_inputs(inputs, T::PAIRS),
            None => Err(Error::parameter("inputs", expected(T::PAIRS), &"nothing")),
        };
        match read {
            Ok((inputs, single)) if given.problems.is_empty() => {
                return Ok(Self { inputs, single, joined, options, stream, use_cache, wait_for_model, warnings });
            }
            Ok(_) => (),
            Err(problem) => given.problems.insert(0, problem),
        }
        match <[Error; 1]>::try_from(given.problems) {
            Ok([problem]) => Err(problem),
            Err(problems) => Err(Error::Several(problems)),
        }
    }
}

fn switch(given: &mut Given, key: &'static str, value: Option<&Value>) -> Option<bool> {
    match value {
        None | Some(Value::Null) => None,
        Some(Value::Bool(flag)) => Some(*flag),
        Some(other) => {
            given.refuse(key, "true or false", other);
            None
        }
    }
}

/// What is left of the parameters: an error or a warning.
fn unknown<T: Parameters>(given: &mut Given, settings: &Settings) -> Vec<String> {
    let allowed = T::NAMES.join(", ");
    let names: Vec<String> = std::mem::take(&mut given.values).into_iter().map(|(name, _)| name).collect();
    if T::STRICT || settings.strict_parameters {
        for name in names {
            given.refuse("parameters", &format!("for {} only {allowed}", T::NAME.name()), &format_args!("{name:?}"));
        }
        return Vec::new();
    }
    names.iter().map(|name| format!("parameters; {name:?} is unknown and was ignored, allowed are {allowed}")).collect()
}

fn expected(pairs: bool) -> &'static str {
    if pairs {
        "a string, an object with text and text_pair, or a list of at least one input"
    } else {
        "a string or a list of at least one input"
    }
}

/// One input or a list of them, and whether it was one.
fn read_inputs(inputs: Value, pairs: bool) -> Result<(Vec<Input>, bool)> {
    match inputs {
        Value::Array(items) if !items.is_empty() => {
            let items = items.into_iter().enumerate();
            Ok((items.map(|(index, item)| read_input(index, item, pairs)).collect::<Result<_>>()?, false))
        }
        one @ (Value::String(_) | Value::Object(_)) => Ok((vec![read_input(0, one, pairs)?], true)),
        other => Err(Error::parameter("inputs", expected(pairs), &kind(&other))),
    }
}

fn read_input(index: usize, item: Value, pairs: bool) -> Result<Input> {
    match item {
        Value::String(text) => Ok(text.into()),
        Value::Object(object) if pairs => {
            let part = |key| match object.get(key) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::String(text)) => Ok(Some(text.as_str())),
                Some(other) => Err(Error::input(index, format!("{key}: expected a string, got {}", kind(other)))),
            };
            match (part("text")?, part("text_pair")?) {
                (Some(text), Some(pair)) => Ok((text, pair).into()),
                (Some(text), None) => Ok(text.into()),
                (None, _) => {
                    Err(Error::input(index, "expected an object with text and perhaps text_pair, got no text"))
                }
            }
        }
        // How pairs were written before there were objects: [[["a", "b"]]].
        Value::Array(list) if pairs => match &list[..] {
            [Value::Array(pair)] if pair.len() == 2 && pair.iter().all(Value::is_string) => {
                let text = |at: usize| pair[at].as_str().unwrap_or_default();
                Ok((text(0), text(1)).into())
            }
            _ => Err(Error::input(
                index,
                r#"expected a text or a pair, got a list; a pair is {"text": "My text", "text_pair": "My pair"}"#,
            )),
        },
        other => {
            let expected = if pairs { "a string or an object with text and text_pair" } else { "a string" };
            Err(Error::input(index, format!("expected {expected}, got {}", kind(&other))))
        }
    }
}

/// A list of words, or a list of such lists. As in the reference, the answer to one list is nested, too.
fn split_words(inputs: &Value, delimiter: &str) -> Result<(Vec<Input>, bool)> {
    let words = |(index, list): (usize, &Value)| {
        let words = list.as_array().and_then(|list| list.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
        let expected = || Error::input(index, "expected a list of words (is_split_into_words)");
        Ok(Input::words(words.ok_or_else(expected)?, delimiter))
    };
    match inputs.as_array().map(Vec::as_slice) {
        Some(lists @ [Value::Array(_), ..]) => Ok((lists.iter().enumerate().map(words).collect::<Result<_>>()?, false)),
        Some([_, ..]) => Ok((vec![words((0, inputs))?], false)),
        _ => Err(Error::parameter("inputs", "a list of words (is_split_into_words)", &kind(inputs))),
    }
}

/// A value's kind: its content could be a user's text.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(list) if list.is_empty() => "an empty list",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{TextClassification, TokenClassification};
    use crate::types::{
        AggregationStrategy, Function, TextClassificationOptions, TokenClassificationOptions, Truncation,
    };

    type Token = Request<TokenClassificationOptions>;
    type Text = Request<TextClassificationOptions>;

    const SETTINGS: Settings = Settings {
        max_tokens: 32,
        special_tokens: 2,
        default_top_k: TopK::All,
        strict_parameters: false,
        default_aggregation_strategy: AggregationStrategy::Simple,
        list_output: ListOutput::Nested,
    };

    fn token(body: &str) -> Result<Token> {
        Token::parse::<TokenClassification>(body.as_bytes(), &SETTINGS)
    }

    fn text(body: &str) -> Result<Text> {
        Text::parse::<TextClassification>(body.as_bytes(), &SETTINGS)
    }

    fn token_with(parameters: &str) -> Result<Token> {
        token(&format!(r#"{{"inputs":"a","parameters":{{{parameters}}}}}"#))
    }

    fn text_with(parameters: &str) -> Result<Text> {
        text(&format!(r#"{{"inputs":"a","parameters":{{{parameters}}}}}"#))
    }

    #[track_caller]
    fn assert_refused<O: std::fmt::Debug>(result: Result<O>, part: &str) {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(part), "{error} does not say {part}");
    }

    #[test]
    fn row_3_absent_null_and_empty_parameters_are_the_same() {
        let bare = token(r#"{"inputs":"a"}"#).unwrap();
        assert_eq!(bare.options.aggregation_strategy, AggregationStrategy::Simple);
        assert_eq!(token(r#"{"inputs":"a","parameters":{}}"#).unwrap(), bare);
        assert_eq!(token(r#"{"inputs":"a","parameters":null}"#).unwrap(), bare);
        assert_refused(token(r#"{"inputs":"a","parameters":[]}"#), "parameters: expected an object, got an empty list");
    }

    #[test]
    fn row_5_strategies() {
        assert_eq!(
            token_with(r#""aggregation_strategy":"FIRST""#).unwrap().options.aggregation_strategy,
            AggregationStrategy::First
        );
        assert_eq!(
            token_with(r#""aggregation_strategy":null"#).unwrap().options.aggregation_strategy,
            AggregationStrategy::Simple
        );
        assert_refused(token_with(r#""aggregation_strategy":"bogus""#), "none, simple, first, average, max");
        assert_refused(token_with(r#""aggregation_strategy":1"#), "aggregation_strategy: expected a string, got 1");
    }

    #[test]
    fn rows_6_and_7_ignored_labels() {
        assert_eq!(token_with(r#""ignore_labels":[]"#).unwrap().options.ignore_labels, []);
        assert_eq!(token_with("").unwrap().options.ignore_labels, [Some("O".to_owned())]);
        for value in [r#""O""#, "5", "[1]"] {
            assert_refused(token_with(&format!(r#""ignore_labels":{value}"#)), "ignore_labels: expected a list");
        }
    }

    #[test]
    fn rows_8_to_12_stride() {
        for (stride, expected) in [("0", 0), ("4", 4), ("29", 29), ("4.0", 4)] {
            assert_eq!(token_with(&format!(r#""stride":{stride}"#)).unwrap().options.stride, Some(expected));
        }
        for stride in ["30", "31", "32", "-1", r#""4""#, "4.5", "true"] {
            assert_refused(token_with(&format!(r#""stride":{stride}"#)), "a whole number from 0 to 29");
        }
        assert_refused(token_with(r#""stride":4,"aggregation_strategy":"none""#), "together with stride");
    }

    #[test]
    fn rows_15_19_and_33_inputs() {
        assert_eq!(token(r#"{"inputs":["a",""]}"#).unwrap().inputs, ["a".into(), "".into()]);
        assert!(!token(r#"{"inputs":["a"]}"#).unwrap().single && token(r#"{"inputs":"a"}"#).unwrap().single);
        assert_refused(token(r#"{"inputs":[]}"#), "at least one input");
        assert_refused(token(r#"{"inputs":{"text":"a"}}"#), "expected a string, got an object");
        for inputs in ["[]", "5", "null", "true"] {
            assert_refused(text(&format!(r#"{{"inputs":{inputs}}}"#)), "inputs: expected");
        }
        assert_refused(text(r#"{"inputs":["a",1]}"#), "input 1");
        assert_refused(text(r#"{"inputs":{}}"#), "input 0");
    }

    #[test]
    fn row_18_unknown_parameters_of_token_classification() {
        assert_refused(token_with(r#""bogus":1"#), "aggregation_strategy, ignore_labels, stride");
        assert_refused(token_with(r#""top_k":2"#), "\"top_k\"");
    }

    #[test]
    fn rows_21_to_23_top_k() {
        for (k, expected) in
            [("2", TopK::Count(2)), ("100", TopK::Count(100)), ("2.0", TopK::Count(2)), ("null", TopK::All)]
        {
            assert_eq!(text_with(&format!(r#""top_k":{k}"#)).unwrap().options.top_k, expected);
        }
        for k in ["0", "-1", r#""2""#, "true", "2.5"] {
            assert_refused(text_with(&format!(r#""top_k":{k}"#)), "top_k: expected a whole number from 1");
        }
        let settings = Settings { default_top_k: TopK::Count(5), ..SETTINGS };
        let top_k = |body: &str| Text::parse::<TextClassification>(body.as_bytes(), &settings).unwrap().options.top_k;
        assert_eq!(top_k(r#"{"inputs":"a"}"#), TopK::Count(5));
        assert_eq!(top_k(r#"{"inputs":"a","parameters":{"top_k":null}}"#), TopK::All);
    }

    #[test]
    fn row_28_only_lists_that_name_no_top_k_are_joined() {
        let settings = Settings { list_output: ListOutput::Hosted, ..SETTINGS };
        let of = |body: &str| {
            let request = Text::parse::<TextClassification>(body.as_bytes(), &settings).unwrap();
            (request.joined, request.options.top_k)
        };
        let (best, all) = ((true, TopK::Count(1)), (false, TopK::All));
        assert_eq!(of(r#"{"inputs":["a","b"]}"#), best);
        assert_eq!(of(r#"{"inputs":[{"text":"a","text_pair":"b"}],"parameters":{"return_all_scores":false}}"#), best);
        assert_eq!(of(r#"{"inputs":"a"}"#), all);
        assert_eq!(of(r#"{"inputs":["a"],"parameters":{"top_k":null}}"#), all);
        assert_eq!(of(r#"{"inputs":["a"],"parameters":{"return_all_scores":true}}"#), all);
        assert_eq!(of(r#"{"inputs":["a"],"parameters":{"top_k":2}}"#), (false, TopK::Count(2)));
        let token = Token::parse::<TokenClassification>(br#"{"inputs":["a"]}"#, &settings).unwrap();
        assert!(!token.joined);
    }

    #[test]
    fn rows_24_and_25_functions() {
        for (name, function) in
            [("sigmoid", Function::Sigmoid), ("SIGMOID", Function::Sigmoid), ("none", Function::None)]
        {
            let request = text_with(&format!(r#""function_to_apply":"{name}""#)).unwrap();
            assert_eq!(request.options.function_to_apply, function);
        }
        assert_refused(text_with(r#""function_to_apply":"bogus""#), "sigmoid, softmax, none");
        assert_refused(text_with(r#""function_to_apply":3"#), "expected a string, got 3");
    }

    #[test]
    fn rows_29_to_32_pairs() {
        let pair = || Input::from(("a", "b"));
        for body in [
            r#"{"inputs":{"text":"a","text_pair":"b"}}"#,
            r#"{"inputs":[{"text":"a","text_pair":"b"}]}"#,
            r#"{"inputs":[[["a","b"]]]}"#,
        ] {
            assert_eq!(text(body).unwrap().inputs, [pair()], "{body}");
        }
        assert!(text(r#"{"inputs":{"text":"a","text_pair":"b"}}"#).unwrap().single);
        assert_eq!(text(r#"{"inputs":[{"text":"a","text_pair":null}]}"#).unwrap().inputs, ["a".into()]);
        assert_refused(text(r#"{"inputs":[{"txt":"a"}]}"#), "got no text");
        assert_refused(text(r#"{"inputs":[{"text":1}]}"#), "text: expected a string, got a number");
        assert_refused(text(r#"{"inputs":[["a","b"]]}"#), "text_pair");
    }

    #[test]
    fn rows_34_to_41_bodies() {
        for body in ["{}", r#"{"parameters":{}}"#, r#"{"text":"a"}"#] {
            assert_refused(text(body), "inputs: expected a string");
        }
        for body in ["[1]", r#""abc""#, "", "{x", r#"{"inputs":"a"} x"#, r#"{"inputs":NaN}"#, r#"{"inputs":1e400}"#] {
            assert_refused(text(body), "body: expected a JSON object with inputs");
        }
        for inside in [&b"\xff"[..], b"a\\ud83d b", b"a\\udc00", b"\t"] {
            let body = [b"{\"inputs\":\"", inside, b"\"}"].concat();
            assert!(Text::parse::<TextClassification>(&body, &SETTINGS).is_err(), "{inside:?}");
        }
        assert_eq!(text(r#"{"inputs":"\ud83d\ude00"}"#).unwrap().inputs, ["😀".into()]);
        assert_eq!(text("\u{feff}{\"inputs\":\"a\"}").unwrap().inputs, ["a".into()]);
        assert_eq!(text(r#"{"inputs":"a","inputs":"b"}"#).unwrap().inputs, ["b".into()]);
        let deep = format!(r#"{{"inputs":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
        assert_refused(text(&deep), "broken JSON");
    }

    #[test]
    fn rows_47_to_50_and_57_options() {
        let truncation = |parameters: &str| text_with(parameters).unwrap().options.truncation;
        assert_eq!(truncation(""), Truncation::LongestFirst);
        assert_eq!(truncation(r#""truncation":true"#), Truncation::LongestFirst);
        assert_eq!(truncation(r#""truncation":"only_first""#), Truncation::OnlyFirst);
        assert_eq!(truncation(r#""truncation":false"#), Truncation::DoNotTruncate);
        assert_refused(text_with(r#""max_length":33"#), "from 2 to 32");
        let warned = text_with(r#""bogus":1,"padding":true"#).unwrap();
        assert_eq!(warned.warnings.len(), 1);
        assert!(warned.warnings[0].starts_with("parameters; \"bogus\""));
        assert_eq!(text_with(r#""return_all_scores":true"#).unwrap().options.top_k, TopK::All);
        let request = token(r#"{"inputs":"a","options":{"use_cache":false},"model":"x","foo":1}"#).unwrap();
        assert_eq!((request.use_cache, request.wait_for_model), (Some(false), None));
    }

    #[test]
    fn row_63_stream_is_a_boolean() {
        assert!(token(r#"{"inputs":"a","stream":true}"#).unwrap().stream);
        assert!(token_with(r#""stream":true"#).unwrap().stream);
        let both = |outer: &str| token(&format!(r#"{{"inputs":"a","stream":{outer},"parameters":{{"stream":true}}}}"#));
        assert!(both("null").unwrap().stream && !both("false").unwrap().stream);
        assert_refused(token(r#"{"inputs":"a","stream":"yes"}"#), "stream: expected true or false");
        let inner = r#"{"inputs":"a","stream":true,"parameters":{"stream":"yes"}}"#;
        assert_refused(token(inner), "stream: expected true or false");
    }

    #[test]
    fn parameters_of_the_url_stand_in_for_those_of_the_body() {
        let query = || [("top_k", "2"), ("function_to_apply", "none")].map(|(key, value)| (key.into(), value.into()));
        let read = |body: &str| {
            Text::read::<TextClassification>(Body::parse(body.as_bytes()).unwrap().or_parameters(query()), &SETTINGS)
        };
        let options = read(r#"{"inputs":"a"}"#).unwrap().options;
        assert_eq!((options.top_k, options.function_to_apply), (TopK::Count(2), Function::None));
        assert_eq!(read(r#"{"inputs":"a","parameters":{}}"#).unwrap().options.top_k, TopK::All);
        let request = Text::read::<TextClassification>(Body::text("a".to_owned()), &SETTINGS).unwrap();
        assert_eq!((request.inputs, request.single), (vec!["a".into()], true));
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let error = text(r#"{"inputs":[1],"parameters":{"top_k":0,"function_to_apply":"x"}}"#).unwrap_err();
        assert_eq!(error.kind(), "input");
        for part in ["input 0", "top_k", "function_to_apply"] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn words_are_one_text() {
        let with = |inputs: &str| {
            token(&format!(r#"{{"inputs":{inputs},"parameters":{{"is_split_into_words":true,"delimiter":"-"}}}}"#))
        };
        let request = with(r#"["New","York"]"#).unwrap();
        assert_eq!((request.inputs, request.single), (vec![Input::words(["New", "York"], "-")], false));
        assert_eq!(with(r#"[["a"],["b"]]"#).unwrap().inputs.len(), 2);
        assert_refused(with(r#""a b""#), "list of words");
        assert_refused(with(r#"[["a"],["b",1]]"#), "input 1");
    }
}
