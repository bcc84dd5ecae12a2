//! A server on a real socket, and a client that writes its requests by hand.
#![allow(dead_code, reason = "no test needs all of it")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use candlewick::Result;
use candlewick::server::http::{Config, Listen, Resolver, Server, Stopper};
use serde_json::Value;

use super::service::{resolver, wanted};

pub(crate) struct Running {
    pub(crate) address: Option<SocketAddr>,
    pub(crate) stopper: Stopper,
    pub(crate) thread: JoinHandle<Result<()>>,
}

pub(crate) fn start(config: Config, listen: &Listen, resolver: Resolver) -> Running {
    start_with("x", config, listen, resolver)
}

pub(crate) fn start_with(model: &str, config: Config, listen: &Listen, resolver: Resolver) -> Running {
    let server = Server::bind(listen, config, wanted(&[model])).unwrap();
    let (address, stopper) = (server.address(), server.stopper());
    let thread = std::thread::spawn(move || server.run(resolver, false));
    Running { address, stopper, thread }
}

pub(crate) fn local() -> Listen {
    Listen::Tcp("127.0.0.1".to_owned(), 0)
}

pub(crate) fn plain() -> Running {
    start(Config::default(), &local(), resolver())
}

impl Running {
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address.unwrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends bytes on a connection of their own; what comes back until it is closed.
    pub(crate) fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // The server may answer and close before it has read all.
        let _ = stream.write_all(bytes);
        read(&mut stream)
    }

    pub(crate) fn ask(&self, body: &Value) -> (u16, Value) {
        parse(&self.exchange(&request(&body.to_string())))
    }

    /// A line of the metrics.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.exchange(b"GET /metrics HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
    }

    pub(crate) fn end(self) -> Result<()> {
        self.stopper.stop();
        self.thread.join().unwrap()
    }
}

pub(crate) fn read(stream: &mut impl Read) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error}"),
        _ => String::from_utf8_lossy(&answer).into_owned(),
    }
}

pub(crate) fn request(body: &str) -> Vec<u8> {
    let head =
        "POST / HTTP/1.1\r\nhost: h\r\nconnection: close\r\nx-wait-for-model: 1\r\ncontent-type: application/json";
    format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

pub(crate) fn parse(answer: &str) -> (u16, Value) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap())
}
