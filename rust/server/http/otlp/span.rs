//! A span, and how the protocol writes it in JSON: ids as hexadecimal digits, 64-bit numbers as strings.

use std::time::{Duration, SystemTime};

use serde_json::{Value as Json, json};

use super::Context;

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum Value {
    Text(String),
    Count(u64),
    /// A time, told in milliseconds.
    Time(Duration),
}

/// What a request was.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Span {
    context: Context,
    name: String,
    ended: SystemTime,
    took: Duration,
    /// Whether the server is to blame for its end.
    pub(in super::super) failed: bool,
    pub(in super::super) attributes: Vec<(&'static str, Value)>,
}

/// `SPAN_KIND_SERVER`
const SERVER: u8 = 2;
/// `STATUS_CODE_ERROR`; the server's view of a client's mistake is not an error, and stays unset.
const ERROR: u8 = 2;

impl Span {
    /// Of a request that ends now. Only here is the wall clock read, and nothing is measured by it.
    pub(in super::super) fn ending(context: Context, name: String, took: Duration) -> Self {
        Self { context, name, ended: SystemTime::now(), took, failed: false, attributes: Vec::new() }
    }

    fn json(&self) -> Json {
        let ended = self.ended.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut span = json!({
            "traceId": self.context.trace_id(),
            "spanId": format!("{:016x}", self.context.span),
            "name": self.name,
            "kind": SERVER,
            "startTimeUnixNano": ended.saturating_sub(self.took).as_nanos().to_string(),
            "endTimeUnixNano": ended.as_nanos().to_string(),
            "attributes": self.attributes.iter().map(attribute).collect::<Vec<_>>(),
            "status": if self.failed { json!({ "code": ERROR }) } else { json!({}) },
        });
        if let Some(parent) = self.context.parent {
            span["parentSpanId"] = json!(format!("{parent:016x}"));
        }
        span
    }
}

fn attribute((key, value): &(&'static str, Value)) -> Json {
    let value = match value {
        Value::Text(text) => json!({ "stringValue": text }),
        Value::Count(count) => json!({ "intValue": count.to_string() }),
        Value::Time(time) => json!({ "doubleValue": time.as_secs_f64() * 1e3 }),
    };
    json!({ "key": key, "value": value })
}

/// `ExportTraceServiceRequest`.
pub(super) fn request(service: &str, spans: &[Span]) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let resource = [("service.name", service), ("service.version", version)];
    let resource = resource.map(|(key, value)| attribute(&(key, Value::Text(value.to_owned()))));
    json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{
            "scope": { "name": env!("CARGO_PKG_NAME"), "version": version },
            "spans": spans.iter().map(Span::json).collect::<Vec<_>>(),
        }],
    }] })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_the_protocol_has_them() {
        let span = Span {
            context: Context { trace: 0xabc, span: 0x1, parent: Some(0x2), sampled: true },
            name: "POST /".to_owned(),
            ended: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            took: Duration::from_millis(1_500),
            failed: true,
            attributes: vec![
                ("http.route", Value::Text("/".to_owned())),
                ("http.response.status_code", Value::Count(500)),
                ("candlewick.queue_ms", Value::Time(Duration::from_micros(2_500))),
            ],
        };
        let request: Json = serde_json::from_str(&request("mine", &[span])).unwrap();
        let resource = &request["resourceSpans"][0];
        assert_eq!(
            resource["resource"]["attributes"][0],
            json!({ "key": "service.name", "value": { "stringValue": "mine" } })
        );
        assert_eq!(
            resource["scopeSpans"][0]["spans"][0],
            json!({
                "traceId": "00000000000000000000000000000abc",
                "spanId": "0000000000000001",
                "parentSpanId": "0000000000000002",
                "name": "POST /",
                "kind": 2,
                "startTimeUnixNano": "1699999998500000000",
                "endTimeUnixNano": "1700000000000000000",
                "attributes": [
                    { "key": "http.route", "value": { "stringValue": "/" } },
                    { "key": "http.response.status_code", "value": { "intValue": "500" } },
                    { "key": "candlewick.queue_ms", "value": { "doubleValue": 2.5 } },
                ],
                "status": { "code": 2 },
            })
        );
    }
}
