//! One connection: answered until its client goes, or does not do its part.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::Sleep;
use tower::ServiceExt;
use tower_http::normalize_path::NormalizePath;

use super::linger::linger;

/// How long a client may take to send a request's head, and a connection to be idle.
const HEAD: Duration = Duration::from_secs(75);
/// How long a client may take nothing of an answer that waits for it.
const STALL: Duration = Duration::from_secs(30);
/// How long a connection that is owed nothing is kept after the server was told to stop: the rest of a request's head
/// may be on its way.
const LINGER: Duration = Duration::from_secs(2);

/// Answers the requests of a connection; after the first stop those that it had accepted. What breaks is the client's
/// affair.
pub(super) async fn serve<S>(stream: S, app: NormalizePath<Router>, mut stop: watch::Receiver<u8>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let owed = Owed::default();
    let debts = owed.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let debt = debts.one();
        let answer = app.clone().oneshot(linger(request));
        async move { answer.await.map(|response| response.map(|body| Owing { body, _debt: debt })) }
    });
    let stream = TokioIo::new(Patient { stream, owed: owed.clone(), stalled: None });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD);
    let mut connection = pin!(http.serve_connection(stream, service));
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stop.wait_for(|times| *times > 0) => connection.as_mut().graceful_shutdown(),
    }
    while tokio::time::timeout(LINGER, connection.as_mut()).await.is_err() && owed.any() {}
}

/// What a connection's client has still to get: requests that were accepted, until the last byte is with the system.
#[derive(Debug, Clone, Default)]
struct Owed(Arc<AtomicUsize>);

#[derive(Debug)]
struct Debt(Owed);

impl Owed {
    fn one(&self) -> Debt {
        self.0.fetch_add(1, Ordering::Relaxed);
        Debt(self.clone())
    }

    fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Debt {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A response's body that is owed until all of it was handed over.
struct Owing {
    body: Body,
    _debt: Debt,
}

impl HttpBody for Owing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that ends when its client takes nothing for too long: or else whoever asks and never reads would keep a
/// connection for ever, and the server from ending.
struct Patient<S> {
    stream: S,
    owed: Owed,
    /// Since the system took nothing more.
    stalled: Option<(Pin<Box<Sleep>>, Debt)>,
}

impl<S> Patient<S> {
    /// What a write gave, or the end of patience.
    fn taken<R>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let (patience, _) = self.stalled.get_or_insert_with(|| (Box::pin(tokio::time::sleep(STALL)), self.owed.one()));
        ready!(patience.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.taken(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.taken(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = Pin::new(&mut self.stream).poll_flush(cx);
        self.taken(cx, written)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.taken(cx, written)
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::{Instant, sleep};

    use super::*;

    const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n";

    /// A client's end of a connection that holds few bytes, and what stops and ends the server's.
    fn connect(app: Router) -> (DuplexStream, watch::Sender<u8>, tokio::task::JoinHandle<()>) {
        let (client, stream) = duplex(64);
        let stop = watch::Sender::new(0);
        let app = NormalizePath::trim_trailing_slash(app);
        let task = tokio::spawn(serve(stream, app, stop.subscribe()));
        (client, stop, task)
    }

    fn slow() -> Router {
        Router::new().route(
            "/",
            get(|| async {
                sleep(LINGER * 5).await;
                "answered"
            }),
        )
    }

    fn long() -> Router {
        Router::new().route("/", get(|| async { "x".repeat(10_000) }))
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_an_answer_is_let_go() {
        let (mut client, _stop, task) = connect(long());
        let start = Instant::now();
        client.write_all(ASK).await.unwrap();
        task.await.unwrap();
        assert_eq!(start.elapsed(), STALL);
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_slowly_gets_all_of_it() {
        let (mut client, stop, task) = connect(long());
        client.write_all(ASK).await.unwrap();
        let (mut all, mut some) = (0, [0; 200]);
        client.read_exact(&mut some).await.unwrap();
        stop.send_replace(1);
        loop {
            sleep(STALL / 2).await;
            match client.read(&mut some).await.unwrap() {
                0 => break,
                count => all += count,
            }
        }
        task.await.unwrap();
        assert!(all > 9_800, "{all}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_accepted_is_answered_after_the_stop() {
        let (mut client, stop, task) = connect(slow());
        client.write_all(ASK).await.unwrap();
        sleep(LINGER / 2).await;
        stop.send_replace(1);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        task.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("answered"), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_head_does_not_keep_a_server_from_stopping() {
        let (mut client, stop, task) = connect(slow());
        client.write_all(&ASK[..9]).await.unwrap();
        sleep(LINGER).await;
        let start = Instant::now();
        stop.send_replace(1);
        task.await.unwrap();
        assert_eq!(start.elapsed(), LINGER);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_is_closed_at_once() {
        let (_client, stop, task) = connect(slow());
        sleep(LINGER).await;
        let start = Instant::now();
        stop.send_replace(1);
        task.await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
