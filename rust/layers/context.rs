//! What every forward is told about the batch it runs in.

use std::cell::RefCell;

use super::arena::{Arena, Buffer};
use super::profile::{Profile, Stage};
use crate::error::{Error, Result};
use crate::kernels::Scratch;
use crate::types::Bounds;

/// What dense layers got, each under its name, in the order in which they are computed.
pub type Recorded = RefCell<Vec<(String, Vec<f32>)>>;

/// Built once per batch and handed to every brick.
pub struct Context<'a> {
    /// Which rows belong to which sequence.
    pub bounds: &'a Bounds,
    /// Says whether the caller no longer wants the result.
    cancelled: &'a dyn Fn() -> bool,
    /// Memory, unless some was lent.
    own: Arena,
    lent: Option<&'a Arena>,
    profile: Option<&'a Profile>,
    inputs: Option<&'a Recorded>,
}

impl<'a> Context<'a> {
    /// For one batch.
    pub fn new(bounds: &'a Bounds, cancelled: &'a dyn Fn() -> bool) -> Self {
        Self { bounds, cancelled, own: Arena::default(), lent: None, profile: None, inputs: None }
    }

    /// The same, with memory that outlives the batch.
    #[must_use]
    pub fn lent(self, arena: &'a Arena) -> Self {
        Self { lent: Some(arena), ..self }
    }

    /// The same, with the time of each stage added to a profile.
    #[must_use]
    pub fn profiled(self, profile: Option<&'a Profile>) -> Self {
        Self { profile, ..self }
    }

    /// The same, with what every dense layer gets appended to `inputs`.
    #[must_use]
    pub fn recorded(self, inputs: &'a Recorded) -> Self {
        Self { inputs: Some(inputs), ..self }
    }

    /// The same for other rows of the same batch.
    #[must_use]
    pub(crate) fn of_rows<'b>(&'b self, bounds: &'b Bounds) -> Context<'b> {
        let Self { cancelled, profile, inputs, .. } = *self;
        Context { bounds, cancelled, own: Arena::default(), lent: Some(self.arena()), profile, inputs }
    }

    /// Does a stage's work, and measures it where somebody wants to know.
    pub(super) fn stage<R>(&self, stage: Stage, work: impl FnOnce() -> R) -> R {
        match self.profile {
            Some(profile) => profile.time(stage, work),
            None => work(),
        }
    }

    /// Whether somebody wants to know what dense layers get.
    pub(super) fn records(&self) -> bool {
        self.inputs.is_some()
    }

    /// What a dense layer is about to get, where somebody wants to know.
    pub(super) fn record(&self, name: &str, xs: impl FnOnce() -> Vec<f32>) {
        if let Some(inputs) = self.inputs {
            inputs.borrow_mut().push((name.to_owned(), xs()));
        }
    }

    /// Asked between layers.
    ///
    /// # Errors
    /// [`Error::Interrupted`] once the caller has cancelled.
    pub fn check(&self) -> Result<()> {
        if (self.cancelled)() { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// `length` numbers to be written over.
    pub(super) fn buffer(&self, length: usize) -> Buffer<'_> {
        self.arena().buffer(length)
    }

    /// What products keep.
    pub(super) fn scratch(&self) -> &RefCell<Scratch> {
        &self.arena().scratch
    }

    fn arena(&self) -> &Arena {
        self.lent.unwrap_or(&self.own)
    }
}
