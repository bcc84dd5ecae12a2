//! `stream: true`: server-sent events, each of them an object.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::problem::{Dialect, Problem};
use super::reply::{self, Answer, Facts};
use crate::engine::{Failure, Step, Ticket};

const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// One input of a list.
#[derive(Serialize)]
struct Listed<'a> {
    index: usize,
    outputs: &'a RawValue,
}

/// Streams the answers as they come; of a single text that is read in windows, each entity once no later window can
/// change it. Every input is read before the first byte leaves, so what is wrong with one of them still is an ordinary
/// error.
pub(super) async fn respond(
    mut ticket: Ticket<Box<RawValue>>,
    inputs: usize,
    deadline: Instant,
    facts: Facts,
    warnings: &[String],
) -> Result<Response, Problem> {
    let mut notes = warnings.to_vec();
    let validated = tokio::time::timeout_at(deadline.into(), validate(&mut ticket, inputs, &mut notes));
    let early = validated.await.map_err(|_| Problem::late())??;
    let (sender, receiver) = unbounded_channel();
    tokio::spawn(Events { sender, single: facts.single, told: 0 }.send(early, ticket, inputs, deadline));
    let events = Sse::new(UnboundedReceiverStream::new(receiver));
    let mut response = events.keep_alive(KeepAlive::new().interval(KEEP_ALIVE).text("keep-alive")).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    reply::warn(headers, &notes);
    response.extensions_mut().insert(facts);
    Ok(response)
}

/// Waits until every input is read; gives the answers that were there by then.
async fn validate(
    ticket: &mut Ticket<Box<RawValue>>,
    inputs: usize,
    notes: &mut Vec<String>,
) -> Result<Vec<(usize, Answer)>, Problem> {
    let (mut early, mut read) = (Vec::new(), vec![false; inputs]);
    while read.contains(&false) {
        let Some((index, step)) = ticket.next().await else { break };
        let cut = match step {
            Step::Read(cut) => cut,
            Step::Part(_) => continue, // only what has been read has parts
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
    Ok(early)
}

/// The body's end that events are given to; its answers say whether anybody still listens.
struct Events {
    sender: UnboundedSender<Result<Event, Infallible>>,
    single: bool,
    /// Items of a single input that have left already.
    told: usize,
}

impl Events {
    /// Everything that is still to come. Dropping the ticket, when the client has gone, ends the work on it.
    async fn send(
        mut self,
        early: Vec<(usize, Answer)>,
        mut ticket: Ticket<Box<RawValue>>,
        inputs: usize,
        deadline: Instant,
    ) {
        let mut left = inputs - early.len();
        let mut heard = early.into_iter().all(|(index, done)| self.answer(index, &done.answer));
        while heard && left > 0 {
            let step = tokio::select! {
                step = tokio::time::timeout_at(deadline.into(), ticket.next()) => step,
                () = self.sender.closed() => return,
            };
            heard = match step {
                Ok(Some((_, Step::Read(_)))) => true,
                Ok(Some((_, Step::Part(part)))) => self.items(&part, 0),
                Ok(Some((index, Step::Done(Ok(done))))) => {
                    left -= 1;
                    self.answer(index, &done.answer)
                }
                Ok(Some((_, Step::Done(Err(failure))))) => return self.fail(&failure),
                Ok(None) => return self.fail(&Failure::Closed),
                Err(_) => return self.fail(&Failure::Late),
            };
        }
        if heard {
            self.event("[DONE]".to_owned());
        }
    }

    /// The answer to an input: of a list, one event; of a single one, what has not left yet.
    fn answer(&mut self, index: usize, answer: &RawValue) -> bool {
        if self.single {
            return self.items(answer, self.told);
        }
        serde_json::to_string(&Listed { index, outputs: answer }).is_ok_and(|listed| self.event(listed))
    }

    /// An event for each entity or label of a list but the first ones.
    fn items(&mut self, list: &RawValue, skipped: usize) -> bool {
        let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(list.get()) else { return false };
        self.told += items.len() - skipped.min(items.len());
        items.into_iter().skip(skipped).all(|item| self.event(item.get().to_owned()))
    }

    fn fail(&self, failure: &Failure) {
        self.event(Problem::failure(failure, Dialect::Hub).json());
    }

    fn event(&self, data: String) -> bool {
        self.sender.send(Ok(Event::default().data(data))).is_ok()
    }
}
