//! What every forward is told about the batch it runs in.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

use super::profile::{Profile, Stage};
use crate::error::{Error, Result};
use crate::kernels::Scratch;
use crate::types::Bounds;

/// Built once per batch and handed to every brick.
pub struct Context<'a> {
    /// Which rows belong to which sequence.
    pub bounds: &'a Bounds,
    /// Says whether the caller no longer wants the result.
    cancelled: &'a dyn Fn() -> bool,
    /// Buffers that a layer is done with.
    spare: RefCell<Vec<Vec<f32>>>,
    /// What products keep.
    pub(super) scratch: RefCell<Scratch>,
    profile: Option<&'a Profile>,
    inputs: Option<&'a RefCell<Vec<Vec<f32>>>>,
}

impl<'a> Context<'a> {
    /// For one batch.
    pub fn new(bounds: &'a Bounds, cancelled: &'a dyn Fn() -> bool) -> Self {
        Self { bounds, cancelled, spare: RefCell::default(), scratch: RefCell::default(), profile: None, inputs: None }
    }

    /// The same, with the time of each stage added to a profile.
    #[must_use]
    pub fn profiled(self, profile: Option<&'a Profile>) -> Self {
        Self { profile, ..self }
    }

    /// The same, with what every dense layer gets appended to `inputs`, in the order in which they are computed.
    #[must_use]
    pub fn recorded(self, inputs: &'a RefCell<Vec<Vec<f32>>>) -> Self {
        Self { inputs: Some(inputs), ..self }
    }

    /// Does a stage's work, and measures it where somebody wants to know.
    pub(super) fn stage<R>(&self, stage: Stage, work: impl FnOnce() -> R) -> R {
        match self.profile {
            Some(profile) => profile.time(stage, work),
            None => work(),
        }
    }

    /// What a dense layer is about to get.
    pub(super) fn record(&self, xs: &[f32]) {
        if let Some(inputs) = self.inputs {
            inputs.borrow_mut().push(xs.to_vec());
        }
    }

    /// Asked between layers.
    ///
    /// # Errors
    /// [`Error::Interrupted`] once the caller has cancelled.
    pub fn check(&self) -> Result<()> {
        if (self.cancelled)() { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// `length` numbers to be written over; layer after layer gets the same memory, as fresh pages cost as much as a norm.
    pub(super) fn buffer(&self, length: usize) -> Buffer<'_> {
        let mut spare = self.spare.borrow_mut();
        let fitting = spare.iter().position(|buffer| buffer.len() == length);
        let values = fitting.map_or_else(|| vec![0.0; length], |at| spare.swap_remove(at));
        Buffer { values, spare: &self.spare }
    }
}

/// Goes back to its context when it is dropped.
pub(super) struct Buffer<'a> {
    values: Vec<f32>,
    spare: &'a RefCell<Vec<Vec<f32>>>,
}

impl Deref for Buffer<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values
    }
}

impl DerefMut for Buffer<'_> {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        self.spare.borrow_mut().push(std::mem::take(&mut self.values));
    }
}
