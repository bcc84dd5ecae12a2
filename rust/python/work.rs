//! Computing without the GIL, but with an ear for Ctrl-C.

use std::time::{Duration, Instant};

use pyo3::prelude::*;

use super::errors::to_exception;
use crate::error::Result;

/// How often a computation looks for signals.
const LOOK: Duration = Duration::from_millis(20);

/// Runs `work` without the GIL. It is handed a function that says whether the computation is to stop, because a
/// signal handler raised an exception; that exception is what the caller then sees.
pub(super) fn detached<R: Send>(
    py: Python<'_>,
    work: impl FnOnce(&mut dyn FnMut() -> bool) -> Result<R> + Send,
) -> PyResult<R> {
    let mut raised = None;
    let result = py.detach(|| {
        let (mut last, mut hears) = (Instant::now(), true);
        work(&mut || {
            // Rarely: taking the GIL back can mean waiting for other Python threads. Only the main thread hears signals.
            if raised.is_none() && hears && last.elapsed() >= LOOK {
                // A signal handler may raise at either step.
                let look = |py: Python<'_>| py.check_signals().and_then(|()| in_main_thread(py));
                match Python::attach(look) {
                    Ok(main) => hears = main,
                    Err(exception) => raised = Some(exception),
                }
                last = Instant::now();
            }
            raised.is_some()
        })
    });
    match raised {
        Some(exception) => Err(exception),
        None => result.map_err(to_exception),
    }
}

fn in_main_thread(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import("threading")?;
    Ok(threading.call_method0("current_thread")?.is(threading.call_method0("main_thread")?))
}

/// A panic becomes an exception, so its message is not printed as well: it could quote a user's text.
pub(super) fn quiet_panics() {
    std::panic::set_hook(Box::new(|_| ()));
}
