//! Spans on their way to a collector, of which there is a stand-in here.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use candlewick::server::http::{App, Config};
use common::service::resolver;
use common::socket::{Running, local, parse, start};
use serde_json::{Value, json};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// Takes requests one after the other and answers 200; their heads and bodies.
fn collector() -> (String, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let received = take(stream.unwrap());
            if sender.send(received).is_err() {
                return;
            }
        }
    });
    (url, receiver)
}

fn take(stream: TcpStream) -> (String, Value) {
    let mut stream = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let start = head.len();
        stream.read_line(&mut head).unwrap();
        let line = head[start..].trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
    (head, serde_json::from_slice(&body).unwrap())
}

fn traced(endpoint: &str) -> Running {
    let config = Config {
        otlp_endpoint: Some(endpoint.to_owned()),
        otlp_service_name: "a service".to_owned(),
        ..Config::default()
    };
    start(config, &local(), resolver())
}

fn post(server: &Running, body: &Value, headers: &str) -> u16 {
    let body = body.to_string();
    let head = format!("POST / HTTP/1.1\r\nhost: h\r\nconnection: close\r\nx-wait-for-model: 1\r\n{headers}");
    let bytes = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    parse(&server.exchange(bytes.as_bytes())).0
}

/// Every span of these requests.
fn spans(received: impl IntoIterator<Item = (String, Value)>) -> Vec<Value> {
    let all = received.into_iter().flat_map(|(_, body)| body["resourceSpans"].as_array().unwrap().clone());
    let all = all.flat_map(|resource| resource["scopeSpans"].as_array().unwrap().clone());
    all.flat_map(|scope| scope["spans"].as_array().unwrap().clone()).collect()
}

fn attribute<'a>(span: &'a Value, key: &str) -> &'a Value {
    let found = span["attributes"].as_array().unwrap().iter().find(|attribute| attribute["key"] == key);
    found.map_or(&Value::Null, |attribute| &attribute["value"])
}

#[test]
fn a_request_is_a_span_below_its_callers_with_nothing_of_its_text() {
    let (url, received) = collector();
    let server = traced(&url);
    let parent = format!("traceparent: 00-{TRACE}-{CALLER}-01\r\n");
    assert_eq!(post(&server, &json!({ "inputs": ["ada lives", "london"] }), &parent), 200);
    assert_eq!(post(&server, &json!({ "inputs": ["a", "ada lives", 5] }), ""), 400);
    // What its caller does not record is not recorded here.
    let ignored = format!("traceparent: 00-{TRACE}-{CALLER}-00\r\n");
    assert_eq!(post(&server, &json!({ "inputs": "a" }), &ignored), 200);
    // At the end, nobody waits for a batch to fill.
    server.end().unwrap();
    let received: Vec<_> = received.try_iter().collect();
    let (head, body) = &received[0];
    assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n") && head.contains("content-type: application/json"));
    assert_eq!(body["resourceSpans"][0]["resource"]["attributes"][0]["value"]["stringValue"], "a service");
    assert!(!received.iter().any(|(_, body)| body.to_string().contains("lives")));
    let spans = spans(received);
    let [answered, refused] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!((&answered["traceId"], &answered["parentSpanId"]), (&json!(TRACE), &json!(CALLER)));
    assert_eq!((&answered["name"], &answered["kind"]), (&json!("POST /"), &json!(2)));
    let times = ["startTimeUnixNano", "endTimeUnixNano"].map(|key| answered[key].as_str().unwrap().to_owned());
    assert!(times[0] <= times[1] && times[0].len() == 19, "{times:?}");
    assert_eq!(attribute(answered, "candlewick.model"), &json!({ "stringValue": "x" }));
    assert_eq!(attribute(answered, "candlewick.inputs"), &json!({ "intValue": "2" }));
    assert_eq!(attribute(answered, "http.response.status_code"), &json!({ "intValue": "200" }));
    assert!(attribute(answered, "candlewick.inference_ms")["doubleValue"].is_number());
    assert!(attribute(answered, "candlewick.tokens")["intValue"].as_str().unwrap().parse::<u32>().unwrap() >= 7);
    assert_eq!(attribute(refused, "error.type"), &json!({ "stringValue": "Validation" }));
    assert!(refused.get("parentSpanId").is_none() && refused["traceId"] != TRACE);
    assert_eq!(refused["status"], json!({}));
}

#[test]
fn without_a_collector_requests_are_answered_and_spans_are_dropped_and_counted() {
    // One that is not there, and one that takes connections and never says anything.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (address, counted) in [(gone, true), (silent.local_addr().unwrap(), false)] {
        let server = traced(&format!("http://{address}"));
        for number in 0..20 {
            assert_eq!(post(&server, &json!({ "inputs": format!("ada {number}") }), ""), 200);
        }
        while counted && server.metric("candlewick_spans_dropped") < 20.0 {
            std::thread::sleep(Duration::from_millis(10));
        }
        server.end().unwrap();
    }
}

#[test]
fn an_address_that_can_not_be_a_collectors_is_refused_at_the_start() {
    let config = Config { otlp_endpoint: Some("https://collector:4318".to_owned()), ..Config::default() };
    let error = App::new(config, vec!["x".to_owned()]).err().unwrap();
    assert!(error.kind() == "parameter" && error.to_string().contains("http://"), "{error}");
}
