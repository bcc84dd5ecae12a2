//! What came back.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::connection::Answer;
use crate::script::Request;

/// Everything that is counted.
#[derive(Default)]
pub(crate) struct Report {
    /// By kind and status.
    times: BTreeMap<String, Vec<Duration>>,
    wrong: Vec<Wrong>,
    unanswered: usize,
    cut: usize,
    refused: usize,
}

/// An answer that is not the expected one.
#[derive(Serialize)]
struct Wrong {
    /// The place of its request in the file, from 0.
    request: usize,
    body: String,
}

/// What is printed.
#[derive(Serialize)]
struct Printed<'a> {
    seconds: f64,
    /// What this process has used of a processor.
    cpu_seconds: f64,
    answers: BTreeMap<&'a str, Summary>,
    /// Answers of 200 with another body than the expected one: how many, and the first of them.
    wrong: usize,
    first_wrong: Option<&'a Wrong>,
    /// Requests whose connection ended before the first byte of an answer.
    unanswered: usize,
    /// Those whose connection ended within it.
    cut: usize,
    /// Connections that could not be made.
    refused: usize,
}

#[derive(Serialize)]
struct Summary {
    count: usize,
    mean_ms: f64,
    p50_ms: f64,
    p90_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

impl Report {
    pub(crate) fn answered(&mut self, line: usize, request: &Request, answer: &Answer, took: Duration) {
        self.times.entry(format!("{} {}", request.kind, answer.status)).or_default().push(took);
        let Some(expected) = request.expected.as_ref().filter(|_| answer.status == 200) else { return };
        if serde_json::from_slice::<Value>(&answer.body).ok().as_ref() != Some(expected) {
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            self.wrong.push(Wrong { request: line, body });
        }
    }

    pub(crate) fn lost(&mut self, within: bool) {
        *(if within { &mut self.cut } else { &mut self.unanswered }) += 1;
    }

    pub(crate) fn refused(&mut self) {
        self.refused += 1;
    }

    /// All of it as JSON.
    pub(crate) fn json(&self, took: Duration) -> Result<String, String> {
        let printed = Printed {
            seconds: took.as_secs_f64(),
            cpu_seconds: cpu_seconds()?,
            answers: self.times.iter().map(|(kind, times)| (kind.as_str(), summary(times))).collect(),
            wrong: self.wrong.len(),
            first_wrong: self.wrong.first(),
            unanswered: self.unanswered,
            cut: self.cut,
            refused: self.refused,
        };
        serde_json::to_string(&printed).map_err(|error| error.to_string())
    }
}

fn summary(times: &[Duration]) -> Summary {
    let mut sorted: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len();
    // The nearest rank: a time that was measured.
    let at = |share: f64| sorted[((count as f64 * share).ceil() as usize).clamp(1, count) - 1];
    let mean_ms = sorted.iter().sum::<f64>() / count as f64;
    Summary { count, mean_ms, p50_ms: at(0.5), p90_ms: at(0.9), p99_ms: at(0.99), max_ms: at(1.0) }
}

/// What the system says that this process has used, in user mode and for it.
fn cpu_seconds() -> Result<f64, String> {
    /// Linux counts in these for programs, whatever its own clock does.
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").map_err(|error| format!("/proc/self/stat: {error}"))?;
    // The name stands in brackets and may hold anything; the times are the 12th and 13th field after it.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    match (ticks(11), ticks(12)) {
        (Some(user), Some(system)) => Ok((user + system) / TICKS),
        _ => Err("/proc/self/stat: expected times".to_owned()),
    }
}
