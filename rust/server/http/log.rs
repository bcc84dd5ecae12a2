//! Structured logs on standard error: numbers, routes and ids, never a text, a token or a key.

use tracing_subscriber::filter::LevelFilter;

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Sends what this process logs to standard error, from `level` on (`off`, `error`, `warn`, `info`, `debug`, `trace`);
/// says whether it was the first to ask for that.
pub fn log_to_stderr(level: &str, format: LogFormat) -> bool {
    let level: LevelFilter = level.trim().parse().unwrap_or(LevelFilter::INFO);
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false);
    match format {
        LogFormat::Text => log.with_ansi(false).try_init().is_ok(),
        LogFormat::Json => log.json().flatten_event(true).try_init().is_ok(),
    }
}
