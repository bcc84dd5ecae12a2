//! `stream: true`: server-sent events, each of them an object.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::problem::{Dialect, Problem};
use super::reply::{self, Facts};
use crate::engine::{Failure, Step, Ticket};

const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// One input of a list.
#[derive(Serialize)]
struct Listed<'a> {
    index: usize,
    outputs: &'a RawValue,
}

/// Streams the answers as they come. Every input is read before the first byte leaves, so what is wrong with one of
/// them still is an ordinary error.
pub(super) async fn respond(
    mut ticket: Ticket<Box<RawValue>>,
    inputs: usize,
    deadline: Instant,
    facts: Facts,
    warnings: &[String],
) -> Result<Response, Problem> {
    let (mut early, mut read, mut notes) = (Vec::new(), vec![false; inputs], warnings.to_vec());
    let validate = async {
        while read.contains(&false) {
            let Some((index, step)) = ticket.next().await else { break };
            let cut = match step {
                Step::Read(cut) => cut,
                Step::Done(Err(failure)) => return Err(Problem::failure(&failure, Dialect::Hub)),
                Step::Done(Ok(done)) => {
                    let cut = done.cut;
                    early.push((index, done));
                    cut
                }
            };
            read[index] = true;
            notes.extend(cut.map(|cut| reply::truncation(index, cut)));
        }
        Ok(())
    };
    tokio::time::timeout_at(deadline.into(), validate).await.map_err(|_| Problem::late())??;
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let single = facts.single;
    let mut left = inputs;
    tokio::spawn(async move {
        let send = |event: Event| sender.send(Ok::<_, Infallible>(event)).is_ok();
        let answer = |index: usize, answer: &RawValue| match pieces(index, answer, single) {
            Ok(pieces) => pieces.into_iter().all(|piece| send(Event::default().data(piece))),
            Err(_) => false,
        };
        for (index, done) in early {
            left -= 1;
            if !answer(index, &done.answer) {
                return;
            }
        }
        while left > 0 {
            let step = tokio::select! {
                step = tokio::time::timeout_at(deadline.into(), ticket.next()) => step,
                () = sender.closed() => return,
            };
            let failure = match step {
                Ok(Some((_, Step::Read(_)))) => continue,
                Ok(Some((index, Step::Done(Ok(done))))) => {
                    left -= 1;
                    if !answer(index, &done.answer) {
                        return;
                    }
                    continue;
                }
                Ok(Some((_, Step::Done(Err(failure))))) => failure,
                Ok(None) => Failure::Closed,
                Err(_) => Failure::Late,
            };
            send(Event::default().data(Problem::failure(&failure, Dialect::Hub).json()));
            return;
        }
        send(Event::default().data("[DONE]"));
    });
    let events = Sse::new(UnboundedReceiverStream::new(receiver));
    let mut response = events.keep_alive(KeepAlive::new().interval(KEEP_ALIVE).text("keep-alive")).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    reply::warn(headers, &notes);
    response.extensions_mut().insert(facts);
    Ok(response)
}

/// The events of one input: each of its entities or labels, or of a list the whole answer.
fn pieces(index: usize, answer: &RawValue, single: bool) -> serde_json::Result<Vec<String>> {
    if !single {
        return Ok(vec![serde_json::to_string(&Listed { index, outputs: answer })?]);
    }
    let items: Vec<&RawValue> = serde_json::from_str(answer.get())?;
    Ok(items.into_iter().map(|item| item.get().to_owned()).collect())
}
