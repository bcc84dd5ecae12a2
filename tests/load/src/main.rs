//! Puts an HTTP server under load from one thread and prints as JSON what came back: how many answers of each kind and
//! status, how long they took, how many were not the expected ones, and what the client itself has used.
//!
//! `candlewick-load URL FILE [--clients N] [--requests N] [--seconds S] [--think MS] [--rate PER_SECOND]`
//!
//! Clients ask one after the other, each as soon as it has its answer; with a rate, requests leave when they are due,
//! whatever the server does with those before.

mod connection;
mod load;
mod report;
mod script;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use load::Plan;
use script::Script;

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("candlewick-load: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<String>) -> Result<String, String> {
    let mut named = Vec::new();
    let mut plan = Plan { clients: 1, requests: usize::MAX, time: Duration::MAX, think: Duration::ZERO, rate: None };
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if !argument.starts_with("--") {
            named.push(argument);
            continue;
        }
        let text = arguments.next().ok_or_else(|| format!("{argument} has no value"))?;
        let value: f64 = text.parse().map_err(|_| format!("{argument}: expected a number, got {text}"))?;
        let seconds = |value| Duration::try_from_secs_f64(value).map_err(|error| format!("{argument}: {error}"));
        match argument.as_str() {
            "--clients" => plan.clients = value as usize,
            "--requests" => plan.requests = value as usize,
            "--seconds" => plan.time = seconds(value)?,
            "--think" => plan.think = seconds(value / 1e3)?,
            "--rate" => plan.rate = Some(seconds(1.0 / value)?),
            _ => return Err(format!("{argument} is unknown")),
        }
    }
    let [url, file] = <[String; 2]>::try_from(named).map_err(|_| "expected a URL and a file of requests")?;
    if plan.requests == usize::MAX && plan.time == Duration::MAX {
        return Err("expected --requests or --seconds, or it would never end".to_owned());
    }
    let script = Script::read(&PathBuf::from(file), &url)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    tokio::task::LocalSet::new().block_on(&runtime, load::run(script, plan))
}
