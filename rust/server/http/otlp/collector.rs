//! Who takes the spans: one POST over plain HTTP for each batch.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::uri::{Scheme, Uri};
use axum::http::{HeaderValue, Request};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::super::problem::JSON;
use crate::error::{Error, Result};

/// How long a collector may take for a batch.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where the protocol puts traces below a collector's address.
const PATH: &str = "/v1/traces";

/// A collector's address.
#[derive(Debug, PartialEq)]
pub(super) struct Collector {
    host: String,
    port: u16,
    /// Host and port as they were written.
    authority: HeaderValue,
    path: String,
}

impl Collector {
    /// Reads `http://host[:port][/path]`; traces go to `/v1/traces` below it, unless it ends so.
    pub(super) fn of(endpoint: &str) -> Result<Self> {
        let refused =
            || Error::parameter("otlp_endpoint", "http://host:port of a collector (OTLP over HTTP)", &endpoint);
        let uri: Uri = endpoint.parse().map_err(|_| refused())?;
        let authority = uri.authority().filter(|_| uri.scheme() == Some(&Scheme::HTTP)).ok_or_else(refused)?;
        let path = uri.path().trim_end_matches('/');
        let path = if path.ends_with(PATH) { path.to_owned() } else { format!("{path}{PATH}") };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(80);
        Ok(Self { host, port, authority: authority.as_str().parse().map_err(|_| refused())?, path })
    }

    /// Sends a batch; of what goes wrong, a few words.
    pub(super) async fn send(&self, body: String) -> std::result::Result<(), &'static str> {
        let sent = tokio::time::timeout(PATIENCE, self.exchange(body)).await;
        sent.unwrap_or(Err("the collector did not answer in time"))
    }

    async fn exchange(&self, body: String) -> std::result::Result<(), &'static str> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = stream.map_err(|_| "the collector can't be reached")?;
        let broken = |_| "the collector closed the connection";
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let mut work = JoinSet::new(); // which ends with this function
        work.spawn(connection);
        let request = Request::post(&self.path).header(HOST, &self.authority).header(CONTENT_TYPE, JSON);
        let request = request.body(Body::from(body)).map_err(|_| "the request can't be written")?;
        let response = sender.send_request(request).await.map_err(broken)?;
        if response.status().is_success() { Ok(()) } else { Err("the collector refused them") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_the_protocol_says() {
        for (endpoint, host, port, path) in [
            ("http://localhost:4318", "localhost", 4318, "/v1/traces"),
            ("http://collector/", "collector", 80, "/v1/traces"),
            ("http://[::1]:9/otlp/", "::1", 9, "/otlp/v1/traces"),
            ("http://a.example:1/x/v1/traces", "a.example", 1, "/x/v1/traces"),
        ] {
            let collector = Collector::of(endpoint).unwrap();
            assert_eq!((collector.host.as_str(), collector.port, collector.path.as_str()), (host, port, path));
        }
        for endpoint in ["https://collector:4318", "collector:4318", "grpc://a:1", "/v1/traces", "", "http://"] {
            assert_eq!(Collector::of(endpoint).unwrap_err().kind(), "parameter", "{endpoint}");
        }
    }
}
