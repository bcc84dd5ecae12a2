//! What every forward is told about the batch it runs in.

use crate::error::{Error, Result};
use crate::types::Bounds;

/// Built once per batch and handed to every brick.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Which rows belong to which sequence.
    pub bounds: &'a Bounds,
    /// Says whether the caller no longer wants the result.
    pub cancelled: &'a dyn Fn() -> bool,
}

impl Context<'_> {
    /// Asked between layers.
    ///
    /// # Errors
    /// [`Error::Interrupted`] once the caller has cancelled.
    pub fn check(&self) -> Result<()> {
        if (self.cancelled)() { Err(Error::Interrupted) } else { Ok(()) }
    }
}
