//! One connection: a request out, an answer back.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection that is kept for the next request.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer that came whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// Whether the server will close the connection.
    pub(crate) last: bool,
}

/// How a request ended without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// Not a byte came back.
    Unanswered,
    /// The answer has no end, or is none.
    Cut,
}

struct Head {
    status: u16,
    /// Bytes of the head, and of the body.
    length: (usize, usize),
    last: bool,
}

impl Connection {
    pub(crate) async fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 << 10) })
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<Answer, Lost> {
        // A server that refuses a request may answer and close before it has read all of it.
        let _ = self.stream.write_all(request).await;
        self.buffer.clear();
        let head = loop {
            self.more().await?;
            match head(&self.buffer) {
                Ok(Some(head)) => break head,
                Ok(None) => (),
                Err(()) => return Err(Lost::Cut),
            }
        };
        let (start, length) = head.length;
        while self.buffer.len() < start + length {
            self.more().await?;
        }
        Ok(Answer { status: head.status, body: self.buffer[start..start + length].to_vec(), last: head.last })
    }

    async fn more(&mut self) -> Result<(), Lost> {
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(count) if count > 0 => Ok(()),
            _ if self.buffer.is_empty() => Err(Lost::Unanswered),
            _ => Err(Lost::Cut),
        }
    }
}

/// The head of an answer, once all of it is there. Every answer has to say its length.
fn head(bytes: &[u8]) -> Result<Option<Head>, ()> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| ())?;
    let mut lines = text.split("\r\n");
    let first = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).ok_or(())?;
    let status = first.get(..3).and_then(|status| status.parse().ok()).ok_or(())?;
    let (mut length, mut last) = (None, false);
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(())?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = Some(value.trim().parse().map_err(|_| ())?),
            "connection" => last = value.trim().eq_ignore_ascii_case("close"),
            _ => (),
        }
    }
    Ok(Some(Head { status, length: (end + 4, length.ok_or(())?), last }))
}
