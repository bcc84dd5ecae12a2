//! A pipeline as the engine drives it: an item's answer is a piece of JSON, written where it was computed.

use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Weak};

use serde_json::value::RawValue;

use super::written;
use crate::engine::Model;
use crate::error::{Error, Result};
use crate::pipeline::{Growing, Lead, Pipeline, Work};
use crate::server::{Answers, Parameters};
use crate::types::{Encoded, Encoding, Input, Logits};

/// A task that can be served.
pub(super) trait Servable: Parameters<Output: Answers, Options: Hash + Eq> + Growing + Debug {}
impl<T: Parameters<Output: Answers, Options: Hash + Eq> + Growing + Debug> Servable for T {}

/// One item, all that its answer depends on, and so its key in the cache.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Ask<O> {
    pub(super) input: Input,
    pub(super) options: Arc<O>,
    pub(super) form: Form,
    pub(super) lead: Leading,
}

/// What the pairs of a request share. Who answers the request holds it, and not the cache; it changes no answer, and so
/// is no part of what makes two items the same.
#[derive(Debug, Default)]
pub(super) struct Leading(Weak<Lead>);

impl Leading {
    pub(super) fn of(lead: &Arc<Lead>) -> Self {
        Self(Arc::downgrade(lead))
    }
}

impl PartialEq for Leading {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Leading {}

impl Hash for Leading {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// As the hosted API does: scores widened to f64.
    Hub,
    /// As text-embeddings-inference does: scores before labels, in f32.
    Tei,
    /// The score of the first label alone.
    Score,
}

/// A model in the engine.
#[derive(Debug)]
pub(super) struct Hosted<T> {
    pub(super) pipeline: Pipeline<T>,
}

impl<T: Servable> Model for Hosted<T> {
    type Ask = Ask<T::Options>;
    type Answer = Box<RawValue>;
    type Draft = T::Draft;

    fn encode(&self, index: usize, ask: &Self::Ask) -> Result<Encoded> {
        self.pipeline.encode(index, &ask.input, &ask.options, ask.lead.0.upgrade().as_deref())
    }

    fn forward(&self, sequences: &[&Encoding], cancelled: &dyn Fn() -> bool) -> Result<Vec<Logits>> {
        self.pipeline.forward(sequences, cancelled)
    }

    fn draft(&self, ask: &Self::Ask, encoded: &Encoded) -> T::Draft {
        self.pipeline.draft(encoded, &ask.options)
    }

    fn add(&self, ask: &Self::Ask, encoded: &Encoded, draft: &mut T::Draft, logits: Logits) -> Result<Box<RawValue>> {
        let output = self.pipeline.add(encoded, logits, &ask.options, draft);
        raw(match ask.form {
            Form::Hub => written::list(&output)?,
            Form::Tei => written::plain_list(&output)?,
            Form::Score => written::first_score(&output)?,
        })
    }

    fn join(&self, _: &Self::Ask, parts: &[Arc<Box<RawValue>>]) -> Result<Box<RawValue>> {
        raw(written::joined(parts.iter().map(|part| part.get())))
    }

    fn bytes(&self, ask: &Self::Ask) -> usize {
        ask.input.bytes()
    }

    fn windows(&self, ask: &Self::Ask, tokens: usize) -> (usize, usize) {
        self.pipeline.windows(tokens, &ask.options)
    }

    fn work(&self, tokens: usize) -> Work {
        self.pipeline.work(tokens)
    }

    fn size(&self, answer: &Box<RawValue>) -> usize {
        answer.get().len()
    }
}

fn raw(written: String) -> Result<Box<RawValue>> {
    RawValue::from_string(written).map_err(|error| Error::Backend(error.to_string()))
}

/// Code points of an input, of a pair those of both texts.
pub(super) fn characters(input: &Input) -> usize {
    let pair = if let Input::Pair(_, pair) = input { pair.chars().count() } else { 0 };
    input.text().chars().count() + pair
}
