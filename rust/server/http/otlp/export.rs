//! Spans on their way to a collector: a queue that never makes anybody wait, and a task that empties it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus::IntCounter;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::collector::Collector;
use super::span::{Span, request};
use crate::error::Result;

/// Spans that wait at most. This and the size of a batch are those of OpenTelemetry's own processors.
const QUEUE: usize = 2_048;
const BATCH: usize = 512;
/// How long the first span of a batch waits for others.
const DELAY: Duration = Duration::from_secs(1);
/// How long what is left may take when the server ends.
const FAREWELL: Duration = Duration::from_secs(3);

/// Where spans are handed in.
pub(in super::super) struct Spans {
    sender: Sender<Span>,
    dropped: IntCounter,
    /// Until the server runs.
    exporter: Mutex<Option<Exporter>>,
}

impl Spans {
    /// # Errors
    /// [`Error::Parameter`](crate::Error::Parameter) unless `endpoint` is a URL of plain HTTP.
    pub(in super::super) fn new(endpoint: &str, service: &str, dropped: IntCounter) -> Result<Self> {
        let collector = Collector::of(endpoint)?;
        let (sender, receiver) = channel(QUEUE);
        let exporter = Exporter { receiver, collector, service: service.to_owned(), dropped: dropped.clone() };
        Ok(Self { sender, dropped, exporter: Mutex::new(Some(exporter)) })
    }

    /// Hands a span in; one for which there is no room is dropped and counted.
    pub(in super::super) fn add(&self, span: Span) {
        if self.sender.try_send(span).is_err() {
            self.dropped.inc();
        }
    }

    /// Starts to send them, on the runtime of this thread; only once.
    pub(in super::super) fn export(&self) -> Option<Exporting> {
        let exporter = self.exporter.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let (end, ended) = oneshot::channel();
        Some(Exporting { task: tokio::spawn(exporter.run(ended)), end })
    }
}

struct Exporter {
    receiver: Receiver<Span>,
    collector: Collector,
    service: String,
    dropped: IntCounter,
}

/// An exporter at work.
pub(in super::super) struct Exporting {
    task: JoinHandle<()>,
    end: oneshot::Sender<()>,
}

impl Exporting {
    /// Sends what is left, if a collector is there to take it soon.
    pub(in super::super) async fn end(mut self) {
        let _ = self.end.send(()); // it listens, unless it has panicked
        if timeout(FAREWELL, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

impl Exporter {
    async fn run(mut self, mut ended: oneshot::Receiver<()>) {
        let (mut batch, mut reached) = (Vec::with_capacity(BATCH), true);
        loop {
            tokio::select! {
                () = fill(&mut self.receiver, &mut batch) => (),
                _ = &mut ended => break,
            }
            self.send(&mut batch, &mut reached).await;
        }
        self.receiver.close();
        while !batch.is_empty() || self.receiver.recv_many(&mut batch, BATCH).await > 0 {
            self.send(&mut batch, &mut reached).await;
        }
    }

    /// Sends a batch, or drops it: a collector that is away is not waited for.
    async fn send(&self, batch: &mut Vec<Span>, reached: &mut bool) {
        let sent = self.collector.send(request(&self.service, batch)).await;
        if let Err(why) = sent {
            self.dropped.inc_by(batch.len() as u64);
            // Said once, and not again until the collector was back.
            if *reached {
                tracing::warn!(why, "spans can't be exported");
            }
        }
        *reached = sent.is_ok();
        batch.clear();
    }
}

/// Waits for a span, and for those that follow it soon.
async fn fill(receiver: &mut Receiver<Span>, batch: &mut Vec<Span>) {
    receiver.recv_many(batch, BATCH).await;
    let more = async { while batch.len() < BATCH && receiver.recv_many(batch, BATCH - batch.len()).await > 0 {} };
    let _ = timeout(DELAY, more).await;
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::super::Context;
    use super::*;

    #[test]
    fn what_finds_no_room_is_dropped_and_counted() {
        let dropped = IntCounter::new("dropped", "Spans").unwrap();
        let spans = Spans::new("http://127.0.0.1:4318", "mine", dropped.clone()).unwrap();
        let context = Context::of(&HeaderMap::new(), true).unwrap();
        let span = Span::ending(context, "GET /".to_owned(), Duration::ZERO);
        for _ in 0..QUEUE + 3 {
            spans.add(span.clone());
        }
        assert_eq!(dropped.get(), 3);
    }
}
