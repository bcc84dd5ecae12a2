//! What is asked, and what should be answered.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

/// A server's address and the requests to it, which are sent in their order and from the beginning again.
pub(crate) struct Script {
    pub(crate) address: String,
    pub(crate) requests: Vec<Request>,
}

/// One request as bytes.
pub(crate) struct Request {
    /// Answers of a kind are counted together.
    pub(crate) kind: String,
    pub(crate) bytes: Vec<u8>,
    /// The body of an answer of 200.
    pub(crate) expected: Option<Value>,
}

/// A line of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default = "text")]
    kind: String,
    #[serde(default = "post")]
    method: String,
    #[serde(default = "slash")]
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Option<Value>,
    #[serde(default)]
    expected: Option<Value>,
}

fn text() -> String {
    "text".to_owned()
}

fn post() -> String {
    "POST".to_owned()
}

fn slash() -> String {
    "/".to_owned()
}

impl Script {
    /// A file with an object on each line.
    pub(crate) fn read(file: &Path, url: &str) -> Result<Self, String> {
        let address = url.strip_prefix("http://").ok_or("the URL has to begin with http://")?;
        let address = address.trim_end_matches('/').to_owned();
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let line = |(number, text): (usize, &str)| match serde_json::from_str::<Line>(text) {
            Ok(line) => Ok(line.request(&address)),
            Err(error) => Err(format!("{}, line {}: {error}", file.display(), number + 1)),
        };
        let requests = text.lines().enumerate().map(line).collect::<Result<Vec<_>, String>>()?;
        if requests.is_empty() { Err(format!("{} is empty", file.display())) } else { Ok(Self { address, requests }) }
    }
}

impl Line {
    fn request(self, address: &str) -> Request {
        let Self { kind, method, path, headers, body, expected } = self;
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\n", body.len());
        if !body.is_empty() {
            head.push_str("content-type: application/json\r\n");
        }
        for (name, value) in headers {
            head.extend([name.as_str(), ": ", &value, "\r\n"]);
        }
        Request { kind, bytes: format!("{head}\r\n{body}").into_bytes(), expected }
    }
}
