//! What every forward is told about the batch it runs in.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};
use crate::types::Bounds;

/// Built once per batch and handed to every brick.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Which rows belong to which sequence.
    pub bounds: &'a Bounds,
    /// Set by a caller that no longer wants the result.
    pub cancel: &'a AtomicBool,
}

impl Context<'_> {
    /// Asked between layers.
    ///
    /// # Errors
    /// [`Error::Interrupted`] once the caller has cancelled.
    pub fn check(&self) -> Result<()> {
        if self.cancel.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    }
}
