//! Every row of the wire contract's test matrix that needs no socket, at the level of the router.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Method, Request};
use candlewick::server::http::Config;
use candlewick::types::ListOutput;
use common::Files;
use common::service::{BOTH, Client, Reply, SARAH, body, resolver, until, wanted};
use serde_json::{Value, json};

/// `t` with a text and parameters.
async fn t(inputs: Value, parameters: Value) -> Reply {
    BOTH.post("/", body(&inputs, &parameters)).await
}

/// `x` with inputs and parameters.
async fn x(inputs: Value, parameters: Value) -> Reply {
    BOTH.post("/models/x", body(&inputs, &parameters)).await
}

fn long() -> String {
    "Sarah lives in London . ".repeat(32)
}

fn rows(reply: &Value) -> Vec<usize> {
    reply.as_array().unwrap().iter().map(|list| list.as_array().unwrap().len()).collect()
}

#[tokio::test]
async fn row_01_entities_are_flat_and_grouped() {
    // Another test may have asked the same.
    let reply = BOTH.with("/", &[("x-use-cache", "no")], json!({ "inputs": SARAH }).to_string()).await;
    let found = reply.ok();
    let places: Vec<_> =
        found.as_array().unwrap().iter().map(|e| (&e["entity_group"], &e["start"], &e["end"])).collect();
    assert_eq!(places, [(&json!("PER"), &json!(11), &json!(31)), (&json!("PER"), &json!(52), &json!(59))]);
    assert!(reply.text.starts_with(r#"[{"entity_group":"PER","score":0."#));
    assert_eq!(reply.header("x-compute-characters"), SARAH.len().to_string());
    assert_eq!(reply.header("x-sha"), "0123abc");
    for name in ["x-compute-time", "x-total-time", "x-tokenization-time", "x-queue-time", "x-inference-time"] {
        assert!(reply.header(name).parse::<f64>().is_ok(), "{name}");
    }
}

#[tokio::test]
async fn row_02_every_path_gives_the_same_body() {
    let request = json!({ "inputs": SARAH }).to_string();
    let first = BOTH.post("/", request.clone()).await;
    for path in [
        "/models/t",
        "/models/t/",
        "/hf-inference",
        "/hf-inference/models/t/",
        "/pipeline/token-classification",
        "/pipeline/ner/t",
        "/hf-inference/pipeline/ner",
        "/models/t/pipeline/token-classification",
        "/invocations",
    ] {
        assert_eq!(BOTH.post(path, request.clone()).await.text, first.text, "{path}");
    }
}

#[tokio::test]
async fn row_02_ids_have_one_or_two_segments() {
    let client = Client::empty(Config::default(), &["org/name"]);
    client
        .app
        .load(
            &[candlewick::server::http::Wanted { model: Some("t".into()), ..wanted(&["org/name"])[0].clone() }],
            &resolver(),
        )
        .unwrap();
    for path in ["/models/org/name", "/models/org%2Fname", "/pipeline/ner/org/name", "/models/org/name/pipeline/ner"] {
        client.post(path, r#"{"inputs":"a"}"#).await.ok();
    }
    assert_eq!(client.get("/models/org/name/health").await.status, 200);
    assert_eq!(client.get("/status/org/name").await.ok()["state"], "Loaded");
    for path in ["/models/..%2F..%2Fetc%2Fpasswd", "/models/org/other", "/models/org"] {
        client.post(path, r#"{"inputs":"a"}"#).await.error(404, "NotFound");
    }
}

#[tokio::test]
async fn row_03_parameters_may_be_empty_null_or_absent() {
    let bare = BOTH.post("/", json!({ "inputs": SARAH }).to_string()).await;
    assert_eq!(t(json!(SARAH), json!({})).await.text, bare.text);
    assert_eq!(t(json!(SARAH), json!(null)).await.text, bare.text);
}

#[tokio::test]
async fn row_04_tokens_without_aggregation() {
    let found = t(json!("Call me Jessica"), json!({ "aggregation_strategy": "none" })).await.ok();
    assert!(found[0]["entity"].is_string() && found[0]["index"].is_number() && found[0].get("entity_group").is_none());
}

#[tokio::test]
async fn row_05_strategies() {
    t(json!(SARAH), json!({ "aggregation_strategy": "FIRST" })).await.ok();
    t(json!("a"), json!({ "aggregation_strategy": "bogus" })).await.refused("none, simple, first, average, max");
    t(json!("a"), json!({ "aggregation_strategy": 1 })).await.refused("aggregation_strategy");
    assert_eq!(
        t(json!(SARAH), json!({ "aggregation_strategy": null })).await.text,
        t(json!(SARAH), json!({})).await.text
    );
}

#[tokio::test]
async fn rows_06_and_07_ignored_labels() {
    let all = t(json!(SARAH), json!({ "ignore_labels": [] })).await.ok();
    assert!(all.as_array().unwrap().iter().any(|entity| entity["entity_group"] == "O"));
    assert!(t(json!("Sarah"), json!({ "ignore_labels": ["PER"] })).await.ok().to_string().find("PER").is_none());
    let beginning = t(json!(SARAH), json!({ "ignore_labels": ["B-PER"] })).await.ok();
    assert!(beginning.to_string().contains("Sarah Jessica Parker"));
    for value in [json!("O"), json!(5), json!([1])] {
        t(json!("a"), json!({ "ignore_labels": value })).await.refused("ignore_labels");
    }
}

#[tokio::test]
async fn rows_08_to_12_windows() {
    for stride in [0, 4, 29] {
        let found = t(json!(long()), json!({ "stride": stride })).await.ok();
        let last = found.as_array().unwrap().last().unwrap()["end"].as_u64().unwrap();
        assert!(last > 700, "stride {stride} ends at {last}");
    }
    t(json!(long()), json!({ "stride": 30 })).await.refused("29");
    t(json!(SARAH), json!({})).await.ok();
    for stride in [json!(31), json!(32), json!(-1), json!("4"), json!(4.5)] {
        t(json!("a"), json!({ "stride": stride })).await.refused("stride");
    }
    t(json!("a"), json!({ "stride": 4, "aggregation_strategy": "none" })).await.refused("stride");
    assert_eq!(t(json!(SARAH), json!({ "stride": 4 })).await.text, t(json!(SARAH), json!({})).await.text);
}

#[tokio::test]
async fn row_13_a_text_that_is_cut_warns() {
    let reply = t(json!(long()), json!({})).await;
    reply.ok();
    assert_eq!(reply.header("x-hf-warning"), "truncation; input 0 was truncated from 162 to 32 tokens");
}

#[tokio::test]
async fn rows_14_and_15_empty_texts_and_lists() {
    assert_eq!((t(json!(""), json!({})).await.ok(), t(json!("   "), json!({})).await.ok()), (json!([]), json!([])));
    assert_eq!(rows(&t(json!([SARAH, ""]), json!({})).await.ok()), [2, 0]);
    assert_eq!(t(json!([""]), json!({})).await.ok(), json!([[]]));
    t(json!([]), json!({})).await.refused("at least one input");
}

#[tokio::test]
async fn rows_16_and_17_offsets_are_code_points_of_the_original() {
    let all = json!({ "ignore_labels": [], "aggregation_strategy": "none" });
    let found = t(json!("sarah 😀 paris"), all.clone()).await.ok();
    let last = found.as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["end"], 13);
    assert!(found.as_array().unwrap().iter().any(|token| token["start"] == 6 && token["end"] == 7));
    let reply = BOTH.post("/", r#"{"inputs":"a\u0000sarah","parameters":{"ignore_labels":[]}}"#).await.ok();
    assert_eq!(reply.as_array().unwrap().last().unwrap()["end"], 7);
}

#[tokio::test]
async fn rows_18_and_19_what_token_classification_does_not_know() {
    for (key, value) in [("bogus", json!(1)), ("top_k", json!(2))] {
        let reply = t(json!("a"), json!({ key: value })).await;
        reply.refused(key);
        reply.refused("aggregation_strategy, ignore_labels, stride");
    }
    t(json!({ "text": "a" }), json!({})).await.refused("input 0");
}

#[tokio::test]
async fn row_20_labels_are_nested_all_of_them_and_descend() {
    let found = x(json!("ada lives in london"), json!({})).await.ok();
    assert_eq!(rows(&found), [7]);
    let scores: Vec<f64> = found[0].as_array().unwrap().iter().map(|label| label["score"].as_f64().unwrap()).collect();
    assert!((scores.iter().sum::<f64>() - 1.0).abs() < 1e-5 && scores.is_sorted_by(|a, b| a >= b));
}

#[tokio::test]
async fn rows_21_to_23_top_k() {
    for (k, count) in [(json!(2), 2), (json!(7), 7), (json!(100), 7), (json!(null), 7), (json!(2.0), 2)] {
        assert_eq!(rows(&x(json!("a"), json!({ "top_k": k })).await.ok()), [count]);
    }
    for k in [json!(0), json!(-1), json!("2"), json!(true), json!(2.5)] {
        x(json!("a"), json!({ "top_k": k })).await.refused("top_k");
    }
}

#[tokio::test]
async fn rows_24_and_25_functions() {
    let sum =
        |reply: Value| reply[0].as_array().unwrap().iter().map(|label| label["score"].as_f64().unwrap()).sum::<f64>();
    let of = async |name: &str| x(json!("a b"), json!({ "function_to_apply": name })).await.ok();
    assert!((sum(of("softmax").await) - 1.0).abs() < 1e-5);
    let sigmoid = of("sigmoid").await;
    assert_eq!(sigmoid, of("SIGMOID").await);
    let raw = of("none").await;
    let (score, logit) = (sigmoid[0][0]["score"].as_f64().unwrap(), raw[0][0]["score"].as_f64().unwrap());
    assert!((score - 1.0 / (1.0 + (-logit).exp())).abs() < 1e-6);
    x(json!("a"), json!({ "function_to_apply": "bogus" })).await.refused("sigmoid, softmax, none");
    x(json!("a"), json!({ "function_to_apply": 3 })).await.refused("function_to_apply");
}

#[tokio::test]
async fn row_26_each_kind_of_model_has_its_own_function() {
    let names = ["electra-moderation", "bert-rerank", "bert-regression"];
    let client = Client::new(Config::default(), &names);
    let mut found = Vec::new();
    for name in names {
        let path = format!("/models/{name}");
        let of = async |function: Value| {
            client.post(&path, body(&json!("Sarah"), &json!({ "function_to_apply": function }))).await.ok()
        };
        let default = of(Value::Null).await;
        found.push((default == of(json!("sigmoid")).await, default == of(json!("none")).await));
    }
    assert_eq!(found, [(true, false), (true, false), (false, true)]);
}

#[tokio::test]
async fn rows_27_to_31_lists_and_pairs() {
    assert_eq!(rows(&x(json!(["a", "b"]), json!({ "top_k": 2 })).await.ok()), [2, 2]);
    let two = x(json!(["a", "b"]), json!({})).await.ok();
    assert_eq!(rows(&two), [7, 7]);
    assert_eq!(two[1], x(json!("b"), json!({})).await.ok()[0]);
    let pair = json!({ "text": "a", "text_pair": "b" });
    assert_eq!(rows(&x(json!([pair, pair]), json!({})).await.ok()), [7, 7]);
    assert_eq!(rows(&x(pair.clone(), json!({})).await.ok()), [7]);
    assert_eq!(x(json!([{ "text": "a" }]), json!({})).await.ok()[0], x(json!("a"), json!({})).await.ok()[0]);
    x(json!([{ "txt": "a" }]), json!({})).await.refused("input 0");
    x(json!([{ "text": 1 }]), json!({})).await.refused("text");
}

#[tokio::test]
async fn row_28_lists_as_the_hosted_api_answers_them() {
    let client = Client::new(Config { list_output: ListOutput::Hosted, ..Config::default() }, &["x", "t"]);
    let ask = async |inputs: Value, parameters: Value| client.post("/", body(&inputs, &parameters)).await.ok();
    let best = |reply: &Value| reply[0][0].clone();
    let (a, b) = (ask(json!("ada"), json!({})).await, ask(json!("b c"), json!({})).await);
    assert_eq!(rows(&a), [7]);
    assert_eq!(ask(json!(["ada", "b c"]), json!({})).await, json!([[best(&a), best(&b)]]));
    assert_eq!(rows(&ask(json!(["ada", "b c"]), json!({ "top_k": 2 })).await), [2, 2]);
    assert_eq!(rows(&ask(json!(["ada", "b c"]), json!({ "top_k": null })).await), [7, 7]);
    let names = client.post("/models/t", body(&json!([SARAH, ""]), &json!({}))).await.ok();
    assert_eq!(rows(&names), [2, 0]);
}

#[tokio::test]
async fn row_32_lists_of_lists() {
    x(json!([["a", "b"]]), json!({})).await.refused("text_pair");
    let pair = x(json!({ "text": "a", "text_pair": "b" }), json!({})).await.ok();
    assert_eq!(x(json!([[["a", "b"]]]), json!({})).await.ok(), pair);
}

#[tokio::test]
async fn row_33_what_inputs_can_not_be() {
    for inputs in [json!([]), json!(5), json!(null), json!(true), json!({})] {
        x(inputs, json!({})).await.refused("input");
    }
    x(json!(["a", 1]), json!({})).await.refused("input 1");
}

#[tokio::test]
async fn rows_34_and_35_bodies_that_are_no_requests() {
    for text in ["{}", r#"{"parameters":{}}"#, r#"{"text":"a"}"#] {
        BOTH.post("/models/x", text).await.refused("inputs");
    }
    for text in ["[1]", r#""abc""#, "", "{x", r#"{"inputs":"a"} x"#, r#"{"inputs":NaN}"#] {
        BOTH.post("/models/x", text).await.refused("body");
    }
}

#[tokio::test]
async fn rows_36_to_41_characters_and_numbers() {
    let raw = |inside: &[u8]| Body::from([b"{\"inputs\":\"", inside, b"\"}"].concat());
    for inside in [&b"\xff"[..], b"a\\ud83d b", b"\\udc00", b"a\tb"] {
        BOTH.post("/models/x", raw(inside)).await.refused("body");
    }
    let pair = BOTH.post("/models/x", raw(b"\\ud83d\\ude00")).await;
    pair.ok();
    assert_eq!(pair.text, BOTH.post("/models/x", raw("😀".as_bytes())).await.text);
    BOTH.post("/models/x", "\u{feff}{\"inputs\":\"a\"}").await.ok();
    let deep = format!(r#"{{"inputs":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    BOTH.post("/models/x", deep).await.refused("body");
    BOTH.post("/models/x", r#"{"inputs":1e400}"#).await.refused("body");
    let last = BOTH.post("/models/x", r#"{"inputs":"a","inputs":"b"}"#).await;
    assert_eq!(last.text, x(json!("b"), json!({})).await.text);
}

#[tokio::test]
async fn rows_42_to_45_media_types() {
    let of = async |kind: Option<&str>, accept: &str, text: &'static str| {
        let headers: Vec<_> = kind.map(|kind| ("content-type", kind)).into_iter().chain([("accept", accept)]).collect();
        BOTH.send(Method::POST, "/models/x", &headers, text).await
    };
    let request = r#"{"inputs":"hello"}"#;
    for kind in [None, Some("application/x-www-form-urlencoded"), Some("Application/JSON; charset=UTF-8")] {
        of(kind, "*/*", request).await.ok();
    }
    let plain = of(Some("text/plain"), "*/*", "hello").await;
    assert_eq!(plain.ok(), x(json!("hello"), json!({})).await.ok());
    for kind in ["image/png", "multipart/form-data; boundary=x", "application/json; charset=latin-1"] {
        of(Some(kind), "*/*", request).await.error(415, "UnsupportedMediaType");
    }
    for accept in ["text/html,*/*", "application/xml"] {
        of(Some("application/json"), accept, request).await.ok();
    }
}

#[tokio::test]
async fn row_46_a_body_above_the_limit() {
    let client = Client::new(Config { payload_limit: 100, ..Config::default() }, &["x"]);
    let fits = format!("{:<100}", r#"{"inputs":"a"}"#);
    client.post("/", fits.clone()).await.ok();
    let reply = client.post("/", format!("{fits} ")).await;
    assert!(reply.error(413, "PayloadTooLarge").contains("100"));
    assert_eq!(reply.header("connection"), "close");
    let endless = Body::from_stream(tokio_stream::iter(std::iter::repeat_with(|| Ok::<_, std::io::Error>("x"))));
    client.post("/", endless).await.error(413, "PayloadTooLarge");
}

#[tokio::test]
async fn row_47_a_megabyte_is_cut() {
    let start = Instant::now();
    let reply = x(json!("ada lives in london . ".repeat(50_000)), json!({})).await;
    reply.ok();
    assert!(reply.header("x-hf-warning").starts_with("truncation; input 0"));
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn row_48_truncation() {
    let text = json!("ada ".repeat(100));
    x(text.clone(), json!({ "truncation": true })).await.ok();
    let eight = x(text.clone(), json!({ "truncation": true, "max_length": 8 })).await;
    eight.ok();
    assert!(eight.header("x-hf-warning").ends_with("to 8 tokens"));
    let off = x(text, json!({ "truncation": false })).await;
    off.refused("102");
    off.refused("32");
}

#[tokio::test]
async fn rows_49_and_50_what_is_passed_over() {
    let reply = x(json!("a"), json!({ "bogus\r\nx": 1, "bogus": 2 })).await;
    reply.ok();
    assert!(reply.header("x-hf-warning").starts_with("parameters; "));
    assert_eq!(reply.headers.get_all("x-hf-warning").iter().count(), 1);
    assert_eq!(rows(&x(json!("a"), json!({ "return_all_scores": true })).await.ok()), [7]);
    let more = r#"{"inputs":"a","model":"m","options":{"wait_for_model":true},"provider":"p","foo":[1]}"#;
    BOTH.post("/models/x", more).await.ok();
    let strict = Client::new(Config { strict_parameters: true, ..Config::default() }, &["x"]);
    strict.post("/", body(&json!("a"), &json!({ "bogus": 1 }))).await.refused("bogus");
}

#[tokio::test]
async fn row_51_batches() {
    let texts: Vec<String> = (0..1_025).map(|number| format!("ada {}", "a ".repeat(number % 20))).collect();
    let many = x(json!(texts[..1_024]), json!({ "top_k": 1 })).await.ok();
    assert_eq!(rows(&many), [1; 1_024]);
    for index in [0, 7, 1_023] {
        assert_eq!(many[index], x(json!(texts[index]), json!({ "top_k": 1 })).await.ok()[0]);
    }
    let message = x(json!(texts), json!({})).await.error(413, "PayloadTooLarge");
    assert!(message.contains("1025") && message.contains("1024"));
}

#[tokio::test]
async fn row_52_methods() {
    for (method, path, allowed) in
        [(Method::GET, "/models/t", "POST"), (Method::PUT, "/", "GET"), (Method::DELETE, "/health", "GET")]
    {
        let reply = BOTH.send(method, path, &[], Body::empty()).await;
        reply.error(405, "MethodNotAllowed");
        assert!(reply.header("allow").contains(allowed), "{path}: {}", reply.header("allow"));
    }
}

#[tokio::test]
async fn row_53_paths_and_tasks() {
    let request = r#"{"inputs":"a"}"#;
    BOTH.post("/nope", request).await.error(404, "NotFound");
    let message = BOTH.post("/models/un/known", request).await.error(404, "NotFound");
    assert_eq!(message, "Model un/known does not exist");
    let message = BOTH.post("/pipeline/fill-mask", request).await.error(422, "TaskMismatch");
    assert_eq!(message, "Model t does not support task fill-mask. Supported task: token-classification");
    BOTH.post("/pipeline/sentiment-analysis/x", request).await.ok();
}

#[tokio::test]
async fn rows_54_and_55_keys() {
    let keys = vec!["other".to_owned(), "key".to_owned()];
    let client = Client::new(Config { api_keys: keys, ..Config::default() }, &["x"]);
    let with = async |value: &str| client.with("/", &[("authorization", value)], r#"{"inputs":"a"}"#).await;
    let none = client.post("/", "not even a body").await;
    none.error(401, "Unauthorized");
    assert_eq!(none.header("www-authenticate"), "Bearer");
    for value in ["Bearer wrong", "Basic x", "Bearer ke", "Bearer keyy"] {
        with(value).await.error(401, "Unauthorized");
    }
    for value in ["bearer key", "Bearer: key", "Bearer other"] {
        with(value).await.ok();
    }
    for path in ["/health", "/", "/ping", "/metrics", "/docs", "/openapi.json", "/models/x/health"] {
        assert_eq!(client.get(path).await.status, 200, "{path}");
    }
    client.get("/info").await.error(401, "Unauthorized");
    client.get("/models/x/info").await.error(401, "Unauthorized");
    let preflight = [("origin", "https://a.example"), ("access-control-request-method", "POST")];
    assert_eq!(client.send(Method::OPTIONS, "/", &preflight, Body::empty()).await.status, 200);
}

#[tokio::test]
async fn row_56_without_keys_any_authorization_will_do() {
    for value in ["Bearer hf_something", "Basic x", "?"] {
        BOTH.with("/", &[("authorization", value)], r#"{"inputs":"a"}"#).await.ok();
    }
}

#[tokio::test]
async fn rows_57_and_58_the_cache() {
    let client = Client::new(Config::default(), &["x"]);
    let request = r#"{"inputs":"ada lives"}"#;
    let first = client.post("/", request).await;
    let second = client.post("/", request).await;
    let third = client.with("/", &[("x-use-cache", "false")], request).await;
    let fourth = client.post("/", r#"{"inputs":"ada lives","options":{"use_cache":false}}"#).await;
    let kinds: Vec<_> =
        [&first, &second, &third, &fourth].map(|reply| reply.header("x-compute-type").to_owned()).into();
    assert_eq!(kinds, ["cpu", "cache", "cpu", "cpu"]);
    assert_eq!(second.header("x-cache"), "HIT");
    assert!([&second, &third, &fourth].iter().all(|reply| reply.text == first.text));
    for same in [
        r#"{"parameters":{"top_k":null},"inputs":"ada lives"}"#,
        r#"{"parameters":{"truncation":true,"function_to_apply":"default"},"inputs":["ada lives"]}"#,
    ] {
        assert_eq!(client.post("/", same).await.header("x-cache"), "HIT", "{same}");
    }
    let half = client.post("/", r#"{"inputs":["ada lives","new"]}"#).await;
    assert_eq!((half.header("x-cache"), half.json()[0] == first.json()[0]), ("MISS", true));
    let off = Client::new(Config { cache_size: 0, ..Config::default() }, &["x"]);
    off.post("/", request).await.ok();
    assert_eq!(off.post("/", request).await.header("x-compute-type"), "cpu");
}

#[tokio::test]
async fn rows_59_and_60_while_it_loads() {
    let hold = Duration::from_millis(50);
    let client = Client::empty(Config { loading_hold: hold, ..Config::default() }, &["x"]);
    let start = Instant::now();
    let refused = client.post("/", r#"{"inputs":"a"}"#).await;
    assert_eq!(refused.error(503, "Loading"), "Model x is currently loading");
    assert!(refused.json()["estimated_time"].as_f64().unwrap() > 0.0 && !refused.header("retry-after").is_empty());
    assert!(start.elapsed() >= hold);
    client.get("/health").await.error(503, "Unhealthy");
    assert_eq!(client.get("/info").await.ok()["state"], "loading");
    assert_eq!(client.get("/status/x").await.ok()["loaded"], false);
    client.post("/", "{x").await.refused("body");
    client.post("/models/y", "{}").await.error(404, "NotFound");
    let (waits, one, option, ()) = tokio::join!(
        client.with("/", &[("x-wait-for-model", "true")], r#"{"inputs":"a"}"#),
        client.with("/", &[("x-wait-for-model", "1")], r#"{"inputs":"a"}"#),
        client.post("/", r#"{"inputs":"a","options":{"wait_for_model":true}}"#),
        async {
            tokio::time::sleep(2 * hold).await;
            client.app.load(&wanted(&["x"]), &resolver()).unwrap();
        }
    );
    assert_eq!([waits.status, one.status, option.status].map(|status| status.as_u16()), [200; 3]);
    assert_eq!(client.get("/health").await.status, 200);
    assert_eq!(client.get("/info").await.ok()["state"], "ready");
}

#[tokio::test]
async fn one_model_of_several_that_fails_says_why() {
    let client = Client::empty(Config::default(), &["x", "missing"]);
    client.app.load(&wanted(&["x", "missing"]), &resolver()).unwrap();
    client.post("/", r#"{"inputs":"a"}"#).await.ok();
    let message = client.post("/models/missing", r#"{"inputs":"a"}"#).await.error(500, "Backend");
    assert!(message.contains("could not be loaded") && message.contains("config.json"), "{message}");
    let alone = Client::empty(Config::default(), &["missing"]);
    assert!(alone.app.load(&wanted(&["missing"]), &resolver()).is_err());
}

#[tokio::test]
async fn row_62_more_than_can_be_answered() {
    let config = Config { max_concurrent_requests: 1, ..Config::default() };
    let client = Client::new(config, &["long"]);
    client.post("/", r#"{"inputs":"known"}"#).await.ok();
    let work = body(&json!(vec!["Sarah lives in London . ".repeat(100); 40]), &json!({}));
    let unique = work.replace("London", "Paris");
    let busy = client.with("/", &[("x-use-cache", "false")], unique);
    let other = async {
        until(async || !client.get("/metrics").await.text.contains("te_queue_size 0\n")).await;
        let refused = client.post("/", r#"{"inputs":"new"}"#).await;
        (refused, client.post("/", r#"{"inputs":"known"}"#).await, client.get("/health").await)
    };
    let (done, (refused, known, health)) = tokio::join!(busy, other);
    done.ok();
    refused.error(429, "Overloaded");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert!(refused.header("ratelimit").starts_with(r#""requests";r=0;t="#));
    assert_eq!((known.header("x-cache"), health.status.as_u16()), ("HIT", 200));
}

/// The objects of an event stream, which must end as it should.
#[track_caller]
fn events(reply: &Reply) -> Vec<Value> {
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.header("content-type"), "text/event-stream; charset=utf-8");
    assert_eq!((reply.header("cache-control"), reply.header("x-accel-buffering")), ("no-cache", "no"));
    let events: Vec<_> =
        reply.text.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").unwrap()).collect();
    let (end, events) = events.split_last().unwrap();
    assert_eq!(*end, "[DONE]");
    events.iter().map(|event| serde_json::from_str(event).unwrap()).collect()
}

#[tokio::test]
async fn row_63_streams() {
    let stream = async |path: &str, inputs: Value| {
        events(&BOTH.post(path, json!({ "inputs": inputs, "stream": true }).to_string()).await)
    };
    let plain = async |path: &str, inputs: Value| BOTH.post(path, body(&inputs, &json!({}))).await.ok();
    assert_eq!(json!(stream("/", json!(SARAH)).await), plain("/", json!(SARAH)).await);
    assert_eq!(json!([stream("/models/x", json!("a b")).await]), plain("/models/x", json!("a b")).await);
    let texts = json!([SARAH, "", "Call me Ada"]);
    let mut listed = stream("/", texts.clone()).await;
    listed.sort_by_key(|event| event["index"].as_u64());
    let outputs: Vec<_> = listed.iter().map(|event| event["outputs"].clone()).collect();
    assert_eq!(json!(outputs), plain("/", texts).await);
    let cut = BOTH.post("/", json!({ "inputs": long(), "stream": true }).to_string()).await;
    assert!(cut.header("x-hf-warning").starts_with("truncation"));
    BOTH.post("/", r#"{"inputs":"a","stream":"yes"}"#).await.refused("stream");
    BOTH.post("/", r#"{"inputs":"a","stream":true,"parameters":{"stride":99}}"#).await.refused("stride");
    let late = r#"{"inputs":["a","TEXT"],"stream":true,"parameters":{"truncation":false}}"#;
    BOTH.post("/models/x", late.replace("TEXT", &"ada ".repeat(90))).await.refused("input 1");
}

#[tokio::test]
async fn row_63_windows_one_after_the_other_are_the_answer() {
    // One window a batch, and none of them from the cache.
    let client = Client::new(Config { max_batch_requests: 1.try_into().ok(), ..Config::default() }, &["t"]);
    let text = format!("{SARAH} {}", "Call me Ada Lovelace of São Paulo 😀 , ".repeat(5));
    for strategy in ["simple", "first", "average", "max"] {
        for stride in [0, 4, 15, 29] {
            let parameters = json!({ "aggregation_strategy": strategy, "stride": stride, "ignore_labels": [] });
            let ask = json!({ "inputs": text, "parameters": parameters, "options": { "use_cache": false } });
            let whole = client.post("/", ask.to_string()).await.ok();
            let mut streamed = ask;
            streamed["stream"] = json!(true);
            let streamed = client.post("/", streamed.to_string()).await;
            assert_eq!(json!(events(&streamed)), whole, "{strategy} {stride}");
        }
    }
}

#[tokio::test]
async fn row_66_the_dialect_of_text_embeddings_inference() {
    let client = Client::new(Config::default(), &["x"]);
    let ask = async |text: Value| client.post("/predict", text.to_string()).await;
    let one = ask(json!({ "inputs": "a" })).await;
    assert_eq!(one.ok().as_array().unwrap().len(), 7);
    assert!(one.text.starts_with(r#"[{"score":0."#));
    assert!(one.header("x-compute-time").parse::<u64>().is_ok());
    let pair = ask(json!({ "inputs": ["a", "b"] })).await.ok();
    assert!(pair[0]["label"].is_string() && pair != one.ok());
    let batch = ask(json!({ "inputs": [["a"], ["a", "b"]] })).await.ok();
    assert_eq!(batch, json!([one.ok(), pair]));
    let raw = ask(json!({ "inputs": "a", "raw_scores": true })).await.ok();
    let sum: f64 = raw.as_array().unwrap().iter().map(|label| label["score"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() > 1e-3);
    let text = "ada ".repeat(90);
    ask(json!({ "inputs": text })).await.ok();
    ask(json!({ "inputs": text, "truncate": false })).await.error(422, "Validation");
    for inputs in [json!([]), json!(""), json!([[]])] {
        ask(json!({ "inputs": inputs })).await.error(400, "Empty");
    }
    ask(json!({ "inputs": 5 })).await.error(422, "Validation");
    ask(json!({ "inputs": ["a", "b", "c"] })).await.error(422, "Validation");
    ask(json!({ "inputs": "a", "truncation_direction": "Up" })).await.error(422, "Validation");
    client.post("/predict", "{x").await.error(400, "Validation");
    let hub = Client::new(Config { predict_is_hub: true, ..Config::default() }, &["x"]);
    assert_eq!(rows(&hub.post("/predict", r#"{"inputs":"a"}"#).await.ok()), [7]);
}

#[tokio::test]
async fn row_66_either_end_of_a_text_may_be_cut() {
    let client = Client::new(Config::default(), &["x"]);
    let ask = async |inputs: &Value, direction: Value| {
        let body = json!({ "inputs": inputs, "truncation_direction": direction }).to_string();
        client.post("/predict", body).await.ok()
    };
    // A token a word; of 32, two are special.
    let words: Vec<String> =
        (0..60).map(|number| ["ada", "lives", "in", "a", "b"][number * number / 7 % 5].into()).collect();
    let text = |words: &[String]| json!(words.join(" "));
    let (long, start, end) = (text(&words), text(&words[..30]), text(&words[30..]));
    assert_ne!(ask(&start, json!(null)).await, ask(&end, json!(null)).await);
    for direction in [json!("Left"), json!("left")] {
        assert_eq!(ask(&long, direction).await, ask(&end, json!(null)).await);
    }
    for direction in [json!("Right"), json!("right"), json!(null)] {
        assert_eq!(ask(&long, direction).await, ask(&start, json!(null)).await);
    }
    let pair = |text: &Value| json!([text, "a b"]);
    let (end, long) = (pair(&text(&words[33..])), pair(&long));
    assert_eq!(ask(&long, json!("Left")).await, ask(&end, json!(null)).await);
}

#[tokio::test]
async fn row_67_limits_of_that_dialect() {
    let config = Config { max_client_batch_size: 2, ..Config::default() };
    let client = Client::new(config, &["x"]);
    client.post("/predict", r#"{"inputs":[["a"],["b"],["c"]]}"#).await.error(422, "Validation");
    BOTH.post("/predict", r#"{"inputs":"a"}"#).await.error(424, "Backend");
}

#[tokio::test]
async fn texts_are_ranked() {
    let client = Client::new(Config::default(), &["bert-rerank"]);
    let texts = ["Sarah", "London is large", "a"];
    let request = json!({ "query": "Where is London?", "texts": texts, "return_text": true });
    let ranked = client.post("/rerank", request.to_string()).await.ok();
    let scores: Vec<f64> = ranked.as_array().unwrap().iter().map(|place| place["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b) && scores.iter().all(|score| (0.0..=1.0).contains(score)));
    for place in ranked.as_array().unwrap() {
        assert_eq!(place["text"], texts[place["index"].as_u64().unwrap() as usize]);
    }
    let raw =
        client.post("/rerank", json!({ "query": "q", "texts": ["a"], "raw_scores": true }).to_string()).await.ok();
    assert!(raw[0].get("text").is_none());
    client.post("/rerank", json!({ "query": "q", "texts": [] }).to_string()).await.error(400, "Empty");
    client.post("/rerank", json!({ "query": "q" }).to_string()).await.error(422, "Validation");
    let several = Client::new(Config::default(), &["x"]);
    several.post("/rerank", json!({ "query": "q", "texts": ["a"] }).to_string()).await.error(424, "Backend");
}

#[tokio::test]
async fn row_68_browsers_may_ask() {
    let asked = "authorization,x-use-cache,user-agent";
    let preflight = [
        ("origin", "https://a.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", asked),
    ];
    let reply = BOTH.send(Method::OPTIONS, "/models/t", &preflight, Body::empty()).await;
    assert_eq!((reply.status.as_u16(), reply.header("access-control-allow-headers")), (200, asked));
    assert_eq!(reply.header("access-control-allow-origin"), "*");
    assert_eq!(
        (reply.header("access-control-max-age"), reply.header("access-control-allow-credentials")),
        ("86400", "")
    );
    let answer = BOTH.with("/", &[("origin", "https://a.example")], r#"{"inputs":"a"}"#).await;
    assert!(answer.header("access-control-expose-headers").contains("x-compute-type"));
    let listed = Config { cors_origins: vec!["https://a.example".to_owned()], ..Config::default() };
    let listed = Client::new(listed, &["x"]);
    let of = async |origin: &str| listed.with("/", &[("origin", origin)], r#"{"inputs":"a"}"#).await;
    let known = of("https://a.example").await;
    assert_eq!(known.header("access-control-allow-origin"), "https://a.example");
    assert_eq!(known.header("access-control-allow-credentials"), "true");
    assert!(known.header("vary").to_lowercase().contains("origin"));
    assert_eq!(of("https://b.example").await.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn row_71_numbers() {
    let reply = x(json!("ada lives in london"), json!({})).await;
    reply.ok();
    let scores: Vec<&str> =
        reply.text.split("\"score\":").skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
    assert_eq!(scores.len(), 7);
    for score in scores {
        let value: f64 = score.parse().unwrap();
        assert_eq!(f64::from(value as f32), value, "{score} is no f32");
    }
}

#[tokio::test]
async fn row_71_scores_that_are_no_numbers_are_an_error() {
    let mut files = Files::bert("ForSequenceClassification");
    let (_, weight) = files.tensors.get_mut("classifier.weight").unwrap();
    weight.fill(f32::MAX);
    let folder = files.write();
    let client = Client::empty(Config::default(), &["broken"]);
    let found = folder.path().to_owned();
    let resolver: candlewick::server::http::Resolver =
        Box::new(move |_, _| Ok(candlewick::server::http::Found { folder: found.clone(), sha: None }));
    client.app.load(&wanted(&["broken"]), &resolver).unwrap();
    client.post("/", r#"{"inputs":"a"}"#).await.error(500, "Backend");
    client.post("/predict", r#"{"inputs":"a"}"#).await.error(424, "Backend");
}

#[tokio::test]
async fn a_worker_that_panics_fails_one_request() {
    let files = Files::bert("ForTokenClassification");
    let folder = files.write();
    let vocabulary: serde_json::Map<_, _> =
        files.vocabulary.iter().enumerate().map(|(id, token)| (token.clone(), json!(id))).collect();
    let tokenizer = json!({
        "version": "1.0", "added_tokens": [],
        "pre_tokenizer": { "type": "Whitespace" },
        "model": { "type": "WordPiece", "vocab": vocabulary, "unk_token": "[UNK]",
                   "continuing_subword_prefix": "##", "max_input_chars_per_word": 100 },
        // It takes nine letters from the end of a word of one.
        "decoder": { "type": "Strip", "content": "a", "start": 0, "stop": 9 },
    });
    std::fs::write(folder.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let client = Client::empty(Config::default(), &["t"]);
    let found = folder.path().to_owned();
    let resolver: candlewick::server::http::Resolver =
        Box::new(move |_, _| Ok(candlewick::server::http::Found { folder: found.clone(), sha: None }));
    client.app.load(&wanted(&["t"]), &resolver).unwrap();
    let of = async |text: &str| {
        client.post("/", body(&json!(text), &json!({ "aggregation_strategy": "first", "ignore_labels": [] }))).await
    };
    for _ in 0..3 {
        let message = of("a").await.error(500, "Backend");
        assert!(!message.contains("panic") && !message.contains("index"), "{message}");
        of("b").await.ok();
    }
}

#[tokio::test]
async fn row_72_request_ids() {
    let of = async |headers: &[(&str, &str)]| {
        BOTH.with("/", headers, r#"{"inputs":"a"}"#).await.header("x-request-id").to_owned()
    };
    assert_eq!(of(&[("x-request-id", "abc")]).await, "abc");
    assert_eq!(of(&[("x-amzn-trace-id", "Root=1-2;3")]).await, "Root=1-2;3");
    assert_eq!(of(&[("x-request-id", "abc"), ("x-amzn-trace-id", "def")]).await, "abc");
    for bad in ["x".repeat(10_000), "a b".to_owned(), "<x>".to_owned()] {
        assert_eq!(of(&[("x-request-id", &bad)]).await.len(), 36, "{bad}");
    }
    assert_ne!(of(&[]).await, of(&[]).await);
}

#[tokio::test]
async fn answers_are_compressed_where_that_is_worth_it() {
    let gzip = [("accept-encoding", "gzip, deflate")];
    let long = BOTH.with("/models/x", &gzip, body(&json!(vec!["ada"; 100]), &json!({}))).await;
    assert_eq!(long.header("content-encoding"), "gzip");
    let short = BOTH.with("/", &gzip, r#"{"inputs":"a"}"#).await;
    assert_eq!(short.header("content-encoding"), "");
}

#[tokio::test]
async fn parameters_may_stand_in_the_url() {
    assert_eq!(rows(&BOTH.post("/models/x?top_k=2", r#"{"inputs":"a"}"#).await.ok()), [2]);
    assert_eq!(rows(&BOTH.post("/models/x?top_k=2", r#"{"inputs":"a","parameters":{}}"#).await.ok()), [7]);
    let found = BOTH.post("/?aggregation_strategy=none", json!({ "inputs": SARAH }).to_string()).await.ok();
    assert!(found[0]["entity"].is_string());
}

#[tokio::test]
async fn health_information_and_metrics() {
    for path in ["/health", "/", "/ping", "/models/t/health", "/hf-inference", "/hf-inference/models/t/health"] {
        let reply = BOTH.get(path).await;
        assert_eq!((reply.status.as_u16(), reply.text.as_str()), (200, ""), "{path}");
        let head = BOTH.send(Method::HEAD, path, &[], Body::empty()).await;
        assert_eq!(head.status, 200, "{path}");
    }
    let info = BOTH.get("/info").await.ok();
    assert_eq!((&info["task"], &info["max_input_length"]), (&json!("token-classification"), &json!(32)));
    assert_eq!(info["model_type"]["token_classifier"]["id2label"]["0"], "O");
    let info = BOTH.get("/models/x/info").await.ok();
    assert_eq!(info["model_type"]["classifier"]["label2id"]["label 3"], 3);
    BOTH.post("/", r#"{"inputs":"metrics"}"#).await.ok();
    BOTH.post("/", "{x").await.refused("body");
    let metrics = BOTH.get("/metrics").await;
    assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
    for name in [
        r#"te_request_count{method="single"}"#,
        r#"te_request_failure{err="validation"}"#,
        "te_queue_size 0",
        "te_batch_next_tokens_bucket",
        "candlewick_cache_entries",
    ] {
        assert!(metrics.text.contains(name), "{name} is not in the metrics");
    }
}

#[tokio::test]
async fn a_browser_gets_a_page_and_only_it() {
    let html = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    for (path, headers) in [("/", &html[..]), ("/docs", &[])] {
        let page = BOTH.send(Method::GET, path, headers, Body::empty()).await;
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert!(page.text.starts_with("<!doctype html>"));
        assert!(!page.text.contains("http://") && !page.text.contains("https://"), "{path} asks for something else");
        let policy = page.header("content-security-policy");
        let nonce = policy.split("'nonce-").nth(1).and_then(|rest| rest.split('\'').next()).unwrap();
        let blocks = page.text.matches("<script").count() + page.text.matches("<style").count();
        assert_eq!(page.text.matches(&format!(" nonce=\"{nonce}\">")).count(), blocks);
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!((page.header("x-content-type-options"), page.header("referrer-policy")), ("nosniff", "no-referrer"));
        let again = BOTH.send(Method::GET, path, headers, Body::empty()).await;
        assert_ne!(again.header("content-security-policy"), policy);
    }
    for headers in [&html[..], &[]] {
        let vary = BOTH.send(Method::GET, "/", headers, Body::empty()).await.headers;
        assert!(vary.get_all("vary").iter().any(|value| value == "accept"));
        assert_eq!(BOTH.send(Method::GET, "/hf-inference", headers, Body::empty()).await.text, "");
    }
}

/// A path of the document with names of the models here.
fn filled(path: &str, model: &str) -> String {
    path.replace("{task}", "ner").replace("{owner}/{model}", model).replace("{model}", model)
}

#[tokio::test]
async fn the_document_of_the_interface_lists_what_is_there() {
    let document = BOTH.get("/openapi.json").await.ok();
    assert_eq!(document, BOTH.get("/api-doc/openapi.json").await.ok());
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, about) in methods.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let reply = BOTH.send(method, &filled(path, "t"), &[], r#"{"inputs":"a"}"#).await;
            let status = reply.status.as_str();
            assert!(matches!(status, "200" | "422" | "424"), "{path} answers {status}");
            assert!(about["responses"].get(status).is_some(), "{path} does not say that it may answer {status}");
        }
    }
    let info = BOTH.get("/info").await.ok();
    let members = &document["components"]["schemas"]["Info"]["properties"];
    for name in info.as_object().unwrap().keys() {
        assert!(members.get(name).is_some(), "{name} is not in the document");
    }
}

/// Names of an object's members; of a list, those of its first item.
fn members(value: &Value) -> Vec<&String> {
    match value {
        Value::Array(items) => items.first().map(members).unwrap_or_default(),
        Value::Object(object) => object.keys().collect(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn the_documents_examples_are_answered_in_the_form_of_its_examples() {
    let pairs = Client::new(Config::default(), &["bert-rerank"]);
    let document = BOTH.get("/openapi.json").await.ok();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let Some(asked) = methods["post"]["requestBody"]["content"]["application/json"]["examples"].as_object() else {
            continue;
        };
        let given = &methods["post"]["responses"]["200"]["content"]["application/json"]["examples"];
        let mut forms: Vec<_> = given.as_object().unwrap().values().map(|example| members(&example["value"])).collect();
        forms.push(Vec::new()); // nothing found
        for (name, example) in asked {
            let mut answered = false;
            for (client, model) in [(&*BOTH, "t"), (&*BOTH, "x"), (&pairs, "bert-rerank")] {
                let path = if path == "/" { format!("/models/{model}") } else { filled(path, model) };
                let reply =
                    client.post(&path.replace("ner", "text-classification"), example["value"].to_string()).await;
                if reply.status == 200 {
                    let found = reply.json();
                    assert!(forms.contains(&members(&found)), "{path} answers {name} with {found}");
                    answered = true;
                }
            }
            assert!(answered, "{path} does not answer {name}");
        }
    }
}

#[tokio::test]
async fn errors_have_the_form_of_the_documents_examples() {
    let locked = Client::new(Config { api_keys: vec!["key".to_owned()], ..Config::default() }, &["t"]);
    let loading = Client::empty(Config { loading_hold: Duration::ZERO, ..Config::default() }, &["t"]);
    let text = r#"{"inputs":"a"}"#;
    let image = BOTH.send(Method::POST, "/", &[("content-type", "image/png")], text).await;
    let replies = [
        BOTH.post("/", r#"{"inputs":"a","parameters":{"aggregation_strategy":"best"}}"#).await,
        locked.post("/", text).await,
        BOTH.post("/models/some/model", text).await,
        image,
        BOTH.post("/pipeline/text-classification", text).await,
        BOTH.post("/predict", text).await,
        loading.post("/", text).await,
    ];
    let document = BOTH.get("/openapi.json").await.ok();
    for reply in replies {
        let named = &document["paths"]["/pipeline/{task}/{model}"]["post"]["responses"][reply.status.as_str()];
        let named = if named.is_null() { &document["paths"]["/predict"]["post"]["responses"]["424"] } else { named };
        let place = named["$ref"].as_str().unwrap().trim_start_matches('#');
        let example = &document.pointer(place).unwrap()["content"]["application/json"]["example"];
        let body = reply.json();
        assert_eq!((members(&body), &body["error_type"]), (members(example), &example["error_type"]));
        if matches!(reply.status.as_u16(), 400 | 401 | 404 | 415 | 424) {
            assert_eq!(body, *example);
        }
    }
}

#[tokio::test]
async fn row_69_a_client_that_hangs_up_leaves_no_work_behind() {
    let client = Client::new(Config::default(), &["long"]);
    let work = body(&json!(vec!["Sarah lives in London . ".repeat(100); 200]), &json!({}));
    let request =
        Request::builder().method(Method::POST).uri("/").header("x-use-cache", "no").body(work.into()).unwrap();
    let asked = tokio::time::timeout(Duration::from_millis(100), client.request(request)).await;
    assert!(asked.is_err(), "it was answered too soon for this test");
    until(async || client.get("/metrics").await.text.contains("te_queue_size 0")).await;
    client.post("/", r#"{"inputs":"next"}"#).await.ok();
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_told_so() {
    let config = Config { request_timeout: Duration::from_millis(5), ..Config::default() };
    let client = Client::new(config, &["long"]);
    let work = body(&json!(vec!["Sarah lives in London . ".repeat(100); 400]), &json!({}));
    // Without the cache, equal texts are computed one by one.
    client.with("/", &[("x-use-cache", "no")], work).await.error(504, "Timeout");
    until(async || client.get("/metrics").await.text.contains("te_queue_size 0")).await;
}
