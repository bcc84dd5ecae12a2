//! Bodies that were refused are read on for a while, so that the refusal arrives.
//!
//! Many clients read an answer only after all of a body has been sent. If the server closes the connection before, the
//! kernel resets it, and the answer is lost with it (RFC 9112, 9.6).

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::Request;
use axum::http::header::EXPECT;
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::runtime::Handle;
use tokio::time::timeout;

/// How long a body is read on, and for how long nothing of it may come.
const MOST: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(1);

/// A body that goes on when it is dropped before its end.
struct Lingering(Option<Incoming>);

/// The request, whose body is read to its end whatever becomes of it. One that was not sent yet need not be sent.
pub(super) fn linger(request: Request<Incoming>) -> Request<Body> {
    let waits = request.headers().contains_key(EXPECT);
    request.map(|body| if waits { Body::new(body) } else { Body::new(Lingering(Some(body))) })
}

impl HttpBody for Lingering {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.0 = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let left = self.0.take().filter(|body| !body.is_end_stream());
        if let (Some(mut body), Ok(runtime)) = (left, Handle::try_current()) {
            runtime.spawn(timeout(
                MOST,
                async move { while let Ok(Some(Ok(_))) = timeout(SILENCE, body.frame()).await {} },
            ));
        }
    }
}
