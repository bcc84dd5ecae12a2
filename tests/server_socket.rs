//! The server on a real socket: what clients do wrong, how it starts and how it ends.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use candlewick::server::http::{Config, Found, Listen, Resolver, Server};
use common::service::{folder, resolver, wanted};
use common::socket::{local, parse, plain, read, request, start, start_with};
use serde_json::{Value, json};

#[test]
fn it_answers_and_keeps_connections() {
    let server = plain();
    assert_eq!(server.ask(&json!({ "inputs": "a" })).0, 200);
    let mut stream = server.connect();
    for _ in 0..3 {
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: h\r\n\r\n").unwrap();
        let mut answer = [0; 512];
        let count = stream.read(&mut answer).unwrap();
        assert!(answer[..count].starts_with(b"HTTP/1.1 200 OK"));
    }
    drop(stream);
    server.end().unwrap();
}

#[test]
fn it_listens_on_a_unix_socket_and_removes_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let server = start(Config::default(), &Listen::Unix(path.clone()), resolver());
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(&request(r#"{"inputs":"a"}"#)).unwrap();
    assert_eq!(parse(&read(&mut stream)).0, 200);
    server.end().unwrap();
    assert!(!path.exists());
}

#[test]
fn a_port_in_use_is_named() {
    let server = plain();
    let port = server.address.unwrap().port();
    let second = Server::bind(&Listen::Tcp("127.0.0.1".to_owned(), port), Config::default(), wanted(&["x"]));
    assert!(second.err().unwrap().to_string().contains(&format!("127.0.0.1:{port}")));
    server.end().unwrap();
}

#[test]
fn nothing_that_can_be_loaded_ends_it_with_the_cause() {
    let resolver: Resolver = Box::new(|_, _| Ok(Found { folder: folder("missing"), sha: None }));
    let server = start(Config::default(), &local(), resolver);
    let error = server.thread.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), "model_not_found");
}

#[test]
fn row_46_bodies_above_the_limit_are_refused_before_they_are_read() {
    let server = start(Config { payload_limit: 1_000, ..Config::default() }, &local(), resolver());
    server.ask(&json!({ "inputs": "a" }));
    let announced = "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 99999999\r\n\r\n";
    let (status, body) = parse(&server.exchange(announced.as_bytes()));
    assert_eq!((status, &body["error_type"]), (413, &json!("PayloadTooLarge")));
    let mut stream = server.connect();
    stream.write_all(b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
    let chunk = format!("400\r\n{}\r\n", "x".repeat(1_024));
    // Endless, until the server has had enough.
    let start = Instant::now();
    while stream.write_all(chunk.as_bytes()).is_ok() && start.elapsed() < Duration::from_secs(10) {}
    assert!(start.elapsed() < Duration::from_secs(10));
    server.end().unwrap();
}

#[test]
fn who_reads_only_after_sending_everything_is_told_why_it_was_refused() {
    let config = Config { api_keys: vec!["key".to_owned()], payload_limit: 1_000, ..Config::default() };
    let server = start(config, &local(), resolver());
    let body = vec![b' '; 32 << 20];
    // By its length, by its key, by its path, by its media type.
    for (path, head, status) in [
        ("/", "authorization: Bearer key\r\n", 413),
        ("/", "", 401),
        ("/nowhere", "", 404),
        ("/", "authorization: Bearer key\r\ncontent-type: image/png\r\n", 415),
    ] {
        let mut stream = server.connect();
        let length = body.len();
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n{head}content-length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(parse(&answer).0, status);
    }
    server.end().unwrap();
}

#[test]
fn who_waits_for_leave_to_send_a_body_is_refused_without_it() {
    let server = start(Config { payload_limit: 1_000, ..Config::default() }, &local(), resolver());
    server.ask(&json!({ "inputs": "a" }));
    let head = "POST / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 99999999\r\n\r\n";
    assert!(server.exchange(head.as_bytes()).starts_with("HTTP/1.1 413"));
    server.end().unwrap();
}

#[test]
fn rows_59_and_61_a_client_that_retries_without_delay_is_held() {
    let gate = Arc::new(AtomicBool::new(false));
    let closed = Arc::clone(&gate);
    let resolver: Resolver = Box::new(move |_, _| {
        while !closed.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(Found { folder: folder("x"), sha: None })
    });
    let config = Config { loading_hold: Duration::from_millis(200), ..Config::default() };
    let server = start(config, &local(), resolver);
    let opener = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(600));
        gate.store(true, Ordering::SeqCst);
    });
    let body = r#"{"inputs":"a"}"#;
    let plain =
        format!("POST / HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let mut requests = 0;
    let (status, answer) = loop {
        requests += 1;
        let (status, answer) = parse(&server.exchange(plain.as_bytes()));
        if status != 503 {
            break (status, answer);
        }
    };
    assert_eq!((status, answer[0].as_array().map(Vec::len)), (200, Some(7)));
    assert!((2..=4).contains(&requests), "{requests} requests");
    opener.join().unwrap();
    server.end().unwrap();
}

#[test]
fn row_70_what_was_accepted_is_answered_and_nothing_new_is() {
    let config = Config { request_timeout: Duration::from_mins(10), ..Config::default() };
    let server = start(config, &local(), resolver());
    server.ask(&json!({ "inputs": "warm up" }));
    let address = server.address.unwrap();
    let texts: Vec<String> = (0..1_000).map(|number| format!("ada lives in london {number} , . ").repeat(4)).collect();
    let answers = Mutex::new(Vec::new());
    let sent = std::sync::Barrier::new(9);
    std::thread::scope(|scope| {
        for client in 0..8 {
            let (texts, answers, server, sent) = (&texts, &answers, &server, &sent);
            scope.spawn(move || {
                let body = json!({ "inputs": texts, "parameters": { "top_k": client % 7 + 1 } }).to_string();
                let mut stream = server.connect();
                stream.write_all(&request(&body)).unwrap();
                sent.wait();
                let (status, answer) = parse(&read(&mut stream));
                answers.lock().unwrap().push((status, answer.as_array().map(Vec::len)));
            });
        }
        sent.wait();
        // Until the last of them has been accepted; connections that wait in the kernel's queue have not been.
        std::thread::sleep(Duration::from_millis(100));
        server.stopper.stop();
    });
    assert_eq!(answers.into_inner().unwrap(), [(200, Some(1_000)); 8]);
    server.thread.join().unwrap().unwrap();
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_second_stop_does_not_wait() {
    let server = plain();
    server.ask(&json!({ "inputs": "warm up" }));
    let mut stream = server.connect();
    // A body that never ends.
    stream.write_all(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\n{").unwrap();
    std::thread::sleep(Duration::from_millis(50));
    let start = Instant::now();
    server.stopper.stop();
    std::thread::sleep(Duration::from_millis(100));
    assert!(!server.thread.is_finished());
    server.end().unwrap();
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn requests_that_could_be_read_in_two_ways_are_refused() {
    let server = plain();
    server.ask(&json!({ "inputs": "a" }));
    for head in [
        "content-length: 5\r\ncontent-length: 6",
        "content-length: 5\r\ntransfer-encoding: chunked, identity",
        "content-length: +5",
        "x y: 1",
        "x-request-id: a\r\n b",
    ] {
        let answer = server.exchange(format!("POST / HTTP/1.1\r\nhost: h\r\n{head}\r\n\r\nhello").as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400") || answer.is_empty(), "{head}: {answer}");
    }
    // Both lengths given: chunks count, and the connection is not used again.
    let both = "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\n\r\n";
    let answer = server.exchange(both.as_bytes());
    assert!(answer.matches("HTTP/1.1").count() <= 1 || !answer.contains("200 OK"), "{answer}");
    server.end().unwrap();
}

#[test]
fn slow_and_silent_clients_hold_nobody_up() {
    let server = plain();
    let mut idle: Vec<TcpStream> = (0..200).map(|_| server.connect()).collect();
    for stream in &mut idle {
        stream.write_all(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-le").unwrap();
    }
    let start = Instant::now();
    for number in 0..20 {
        assert_eq!(server.ask(&json!({ "inputs": format!("ada {number}") })).0, 200);
    }
    assert!(start.elapsed() < Duration::from_secs(10));
    drop(idle);
    server.end().unwrap();
}

#[test]
fn answers_under_load_are_those_of_one_client() {
    let server = plain();
    let text = |number: usize| format!("ada lives in london . {}", "a b , ".repeat(number % 5)) + &number.to_string();
    let alone: Vec<Value> = (0..20).map(|number| server.ask(&json!({ "inputs": text(number) })).1).collect();
    std::thread::scope(|scope| {
        for client in 0..32 {
            let (server, alone) = (&server, &alone);
            scope.spawn(move || {
                for round in 0..10 {
                    let number = (client * 7 + round) % 20;
                    let body = json!({ "inputs": text(number), "options": { "use_cache": client % 2 == 0 } });
                    assert_eq!(server.ask(&body), (200, alone[number].clone()));
                }
            });
        }
    });
    server.end().unwrap();
}

/// What was computed in the end tells when the first event left: had it been after the last window, nothing would have
/// been left to be given up.
#[test]
fn the_first_event_leaves_before_the_last_window_is_computed_and_who_hangs_up_ends_the_rest() {
    let mut config = Config { max_batch_requests: 1.try_into().ok(), ..Config::default() };
    (config.load.max_tokens, config.load.threads) = (32.try_into().ok(), 1.try_into().ok());
    let server = start_with("t", config, &local(), resolver());
    let windows = 5_000;
    let text = "Sarah lives in London . ".repeat(windows * 6); // five tokens each, 30 in a window
    let mut stream = server.connect();
    let body = json!({ "inputs": text, "parameters": { "stride": 0 }, "stream": true }).to_string();
    stream.write_all(&request(&body)).unwrap();
    let mut answer = Vec::new();
    while !answer.windows(2).any(|end| end == b"}\n") {
        let mut more = [0; 4_096];
        let count = stream.read(&mut more).unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend(&more[..count]);
    }
    assert!(String::from_utf8_lossy(&answer).contains("data: {\"entity_group\""));
    drop(stream);
    while server.metric("te_queue_size") > 0.0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let computed = server.metric("te_batch_next_size_sum");
    assert!((1.0..windows as f64).contains(&computed), "{computed} of {windows} windows");
    server.end().unwrap();
}
