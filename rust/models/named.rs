//! The tensors of a tagger by name, each of which is asked for once.

use std::cell::RefCell;
use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::layers::{Direction, Inner, Linear, Table};
use crate::types::Dtype;
use crate::weights::{Mapped, Weights};

/// A checkpoint whose names are its own.
pub(super) struct Named<'a> {
    weights: &'a Weights,
    used: RefCell<HashSet<String>>,
}

impl<'a> Named<'a> {
    pub(super) fn new(weights: &'a Weights) -> Self {
        Self { weights, used: RefCell::default() }
    }

    pub(super) fn weights(&self) -> &'a Weights {
        self.weights
    }

    /// A tensor of this shape.
    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> Result<&'a Mapped> {
        self.any(name)?.expect(shape)
    }

    /// A table of as many rows as there are.
    pub(super) fn table(&self, name: &str, width: usize) -> Result<Table> {
        let tensor = self.any(name)?;
        let rows = tensor.shape().first().copied().unwrap_or(0);
        Ok(Table::new(tensor.expect(&[rows, width])?.clone()))
    }

    /// A dense layer with a bias.
    pub(super) fn linear(&self, name: &str, dtype: Dtype, rows: usize, columns: usize) -> Result<Linear> {
        let weight = self.tensor(&format!("{name}.weight"), &[rows, columns])?;
        let bias = self.tensor(&format!("{name}.bias"), &[rows])?;
        Linear::load(name, dtype, &[(weight, Some(bias))], self.weights)
    }

    /// A square dense layer with a bias, to be folded into the next one.
    pub(super) fn inner(&self, name: &'static str, width: usize) -> Result<Inner<'a>> {
        let weight = self.tensor(&format!("{name}.weight"), &[width, width])?;
        Ok(Inner { name, weight, bias: self.tensor(&format!("{name}.bias"), &[width])? })
    }

    /// The four tensors of a recurrent layer in one direction.
    pub(super) fn direction(&self, prefix: &str, layer: &str, inputs: usize, hidden: usize) -> Result<Direction<'a>> {
        let tensor = |kind: &str, shape: &[usize]| self.tensor(&format!("{prefix}{kind}_{layer}"), shape);
        Ok(Direction {
            input: tensor("weight_ih", &[4 * hidden, inputs])?,
            recurrent: tensor("weight_hh", &[4 * hidden, hidden])?,
            biases: [tensor("bias_ih", &[4 * hidden])?, tensor("bias_hh", &[4 * hidden])?],
        })
    }

    /// Refuses what is left over: a tensor that nobody asked for means another network than the one that was built.
    pub(super) fn finish(&self) -> Result<()> {
        let used = self.used.borrow();
        match self.weights.names().filter(|name| !used.contains(*name)).min() {
            Some(name) => Err(self.error(&format!("tensor {name}: expected none of this name in this tagger"))),
            None => Ok(()),
        }
    }

    fn any(&self, name: &str) -> Result<&'a Mapped> {
        self.used.borrow_mut().insert(name.to_owned());
        self.weights.get(name).ok_or_else(|| self.error(&format!("tensor {name}: expected one, got none")))
    }

    fn error(&self, message: &str) -> Error {
        Error::format(self.weights.file(), message)
    }
}
