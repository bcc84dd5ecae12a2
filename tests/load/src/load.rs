//! When the next request leaves: after the last answer, or when it is due.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::connection::{Connection, Lost};
use crate::report::Report;
use crate::script::Script;

/// How much is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) clients: usize,
    /// It ends after so many requests, or after this time.
    pub(crate) requests: usize,
    pub(crate) time: Duration,
    /// How long a client waits between an answer and its next request.
    pub(crate) think: Duration,
    /// What lies between two requests that leave when they are due.
    pub(crate) rate: Option<Duration>,
}

struct Load {
    script: Script,
    plan: Plan,
    started: Instant,
    sent: Cell<usize>,
    report: RefCell<Report>,
}

/// Asks as planned; what came back, as JSON.
pub(crate) async fn run(script: Script, plan: Plan) -> Result<String, String> {
    let (sent, report) = (Cell::new(0), RefCell::default());
    let load = Rc::new(Load { script, plan, started: Instant::now(), sent, report });
    match plan.rate {
        Some(step) => due(&load, step).await,
        None => {
            let mut clients = JoinSet::new();
            for _ in 0..plan.clients {
                clients.spawn_local(client(Rc::clone(&load)));
            }
            while clients.join_next().await.is_some() {}
        }
    }
    load.report.take().json(load.started.elapsed())
}

/// Asks one after the other, until it is over or nobody listens any more.
async fn client(load: Rc<Load>) {
    let mut connection = None;
    while let Some(number) = load.next() {
        connection = match load.connected(connection).await {
            Some(connection) => load.ask(connection, number).await,
            None => return,
        };
        if !load.plan.think.is_zero() {
            tokio::time::sleep(load.plan.think).await;
        }
    }
}

/// Sends each request when it is due, on a connection that is free.
async fn due(load: &Rc<Load>, step: Duration) {
    let free: Rc<RefCell<Vec<Connection>>> = Rc::default();
    let (mut at, mut running) = (load.started, JoinSet::new());
    while let Some(number) = load.next() {
        tokio::time::sleep_until(at.into()).await;
        at += step;
        let (load, free) = (Rc::clone(load), Rc::clone(&free));
        running.spawn_local(async move {
            let kept = free.borrow_mut().pop();
            if let Some(connection) = load.connected(kept).await {
                let kept = load.ask(connection, number).await;
                free.borrow_mut().extend(kept);
            }
        });
        while running.try_join_next().is_some() {}
    }
    while running.join_next().await.is_some() {}
}

impl Load {
    /// The number of the next request, unless it is over.
    fn next(&self) -> Option<usize> {
        let number = self.sent.get();
        let on = number < self.plan.requests && self.started.elapsed() < self.plan.time;
        self.sent.set(number + usize::from(on));
        on.then_some(number)
    }

    async fn connected(&self, kept: Option<Connection>) -> Option<Connection> {
        if kept.is_some() {
            return kept;
        }
        let opened = Connection::open(&self.script.address).await;
        if opened.is_err() {
            self.report.borrow_mut().refused();
        }
        opened.ok()
    }

    /// Asks and notes what comes back; gives the connection back if it can be used again.
    async fn ask(&self, mut connection: Connection, number: usize) -> Option<Connection> {
        let line = number % self.script.requests.len();
        let request = &self.script.requests[line];
        let started = Instant::now();
        let answer = connection.ask(&request.bytes).await;
        let took = started.elapsed();
        let mut report = self.report.borrow_mut();
        match answer {
            Ok(answer) => {
                report.answered(line, request, &answer, took);
                (!answer.last).then_some(connection)
            }
            Err(lost) => {
                report.lost(lost == Lost::Cut);
                None
            }
        }
    }
}
