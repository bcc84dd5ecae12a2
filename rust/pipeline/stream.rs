//! A call at work: inputs are encoded in groups, windows computed in batches, answers given out as they finish.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use super::Answer;
use super::core::Core;
use super::task::Task;
use crate::batch;
use crate::error::{Error, Result};
use crate::kernels;
use crate::tokenizer::{Fit, Lead};
use crate::types::{Encoded, Input, Logits};

/// Inputs are encoded until this many bytes of text are in work, so that a list of any length takes bounded memory.
const GROUP_BYTES: usize = 4 << 20;

/// The answers of a call, as they finish: an iterator over `(position, answer)`.
///
/// An error ends it.
#[derive(Debug)]
pub struct Stream<T: Task> {
    core: Arc<Core>,
    inputs: Vec<Input>,
    options: T::Options,
    fit: Fit,
    /// First input that is not encoded yet.
    next: usize,
    /// The first text of the pairs that were encoded last.
    lead: Option<(Arc<str>, Arc<Lead>)>,
    group: Group,
    ready: VecDeque<(usize, Answer<T::Output>)>,
}

/// Encoded inputs whose answers are not all known.
#[derive(Debug, Default)]
struct Group {
    /// Position of the first one in the call.
    first: usize,
    /// `None` once it is answered.
    items: Vec<Option<Item>>,
    /// Input and window of each sequence.
    sequences: Vec<(usize, usize)>,
    /// Indices into `sequences`.
    batches: VecDeque<Vec<usize>>,
}

#[derive(Debug)]
struct Item {
    encoded: Encoded,
    logits: Vec<Option<Logits>>,
}

impl<T: Task> Stream<T> {
    pub(super) fn new(core: Arc<Core>, inputs: Vec<Input>, options: T::Options) -> Result<Self> {
        let fit = T::fit(&core, &options)?;
        for (index, input) in inputs.iter().enumerate() {
            T::check(index, input)?;
        }
        let (next, lead, group, ready) = (0, None, Group::default(), VecDeque::new());
        Ok(Self { core, inputs, options, fit, next, lead, group, ready })
    }

    /// The next answer. While it is computed, `watch` is called on this thread every 20 ms; once it says true, the
    /// computation stops before its next layer and [`Error::Interrupted`] is given.
    pub fn next_watched(&mut self, watch: &mut dyn FnMut() -> bool) -> Option<Result<(usize, Answer<T::Output>)>> {
        loop {
            if let Some(answer) = self.ready.pop_front() {
                return Some(Ok(answer));
            }
            if self.group.batches.is_empty() && self.next == self.inputs.len() {
                return None;
            }
            if let Err(error) = self.advance_in_pool(watch) {
                self.group.batches.clear();
                self.next = self.inputs.len();
                return Some(Err(error));
            }
        }
    }

    /// All answers in the order of the inputs; `watch` as for [`Stream::next_watched`].
    ///
    /// # Errors
    /// The first error that comes out of the stream.
    pub fn into_answers(mut self, watch: &mut dyn FnMut() -> bool) -> Result<Vec<Answer<T::Output>>> {
        let mut answers: Vec<_> = self.inputs.iter().map(|_| None).collect();
        while let Some(result) = self.next_watched(watch) {
            let (index, answer) = result?;
            answers[index] = Some(answer);
        }
        Ok(answers.into_iter().flatten().collect())
    }

    fn advance_in_pool(&mut self, watch: &mut dyn FnMut() -> bool) -> Result<()> {
        let core = Arc::clone(&self.core);
        core.pool.run(T::run_options(&self.options).threads, watch, |watch| self.advance(&RefCell::new(watch)))?
    }

    /// Encodes a group if there is none, computes one batch of it and decodes what that completes.
    fn advance(&mut self, watch: &RefCell<&mut dyn FnMut() -> bool>) -> Result<()> {
        let cancelled = || watch.borrow_mut()();
        if cancelled() {
            return Err(Error::Interrupted);
        }
        if self.group.batches.is_empty() {
            self.group = self.encode_group()?;
        }
        let mut touched = match self.group.batches.pop_front() {
            Some(batch) => self.forward(&batch, &cancelled)?,
            None => Vec::new(),
        };
        if self.group.batches.is_empty() {
            // Inputs without any token were in no batch.
            touched.extend(0..self.group.items.len());
        }
        touched.sort_unstable();
        touched.dedup();
        let group = &mut self.group;
        let complete: Vec<Mutex<Option<(usize, Item)>>> = touched
            .into_iter()
            .filter_map(|index| {
                let item = group.items[index].take_if(|item| item.logits.iter().all(Option::is_some))?;
                Some(Mutex::new(Some((group.first + index, item))))
            })
            .collect();
        let (core, options) = (&self.core, &self.options);
        let decode = |at: usize| {
            let (index, item) = complete[at].lock().ok()?.take()?;
            let cut = item.encoded.cut;
            let logits = item.logits.into_iter().flatten().collect();
            Some((index, Answer { output: T::decode(core, &item.encoded, logits, options), cut }))
        };
        self.ready.extend(kernels::map(complete.len(), decode).into_iter().flatten());
        Ok(())
    }

    fn encode_group(&mut self) -> Result<Group> {
        let first = self.next;
        let mut bytes = 0;
        let fits = |input: &&Input| {
            let more = bytes < GROUP_BYTES;
            bytes += input.bytes();
            more
        };
        let count = self.inputs[first..].iter().take_while(fits).count();
        self.next = first + count;
        let leads = self.leads(first..first + count);
        let (core, inputs, fit) = (&self.core, &self.inputs, self.fit);
        // In order, so that the error of the first bad input is the one that is told.
        let encoded = kernels::map(count, |offset| {
            core.encode(first + offset, &inputs[first + offset], fit, leads[offset].as_deref())
        });
        let labels = self.core.config.labels.len();
        let item = |encoded: Encoded| {
            let no_rows = |len| (len == 0).then(|| Logits { values: Vec::new(), columns: labels });
            let logits = encoded.windows.iter().map(|window| no_rows(window.len())).collect();
            Some(Item { encoded, logits })
        };
        let items = encoded.into_iter().map(|encoded| encoded.map(item)).collect::<Result<Vec<_>>>()?;
        let windows = |(index, item): (usize, &Option<Item>)| {
            let windows = item.iter().flat_map(|item| &item.encoded.windows).enumerate();
            windows
                .filter(|(_, window)| !window.is_empty())
                .map(move |(at, window)| ((index, at), window.len()))
                .collect::<Vec<_>>()
        };
        let (sequences, lengths): (Vec<_>, Vec<_>) = items.iter().enumerate().flat_map(windows).unzip();
        let most = T::run_options(&self.options).batch_size.map_or(usize::MAX, std::num::NonZeroUsize::get);
        let batches = batch::plan(&lengths, self.core.batch_tokens(), most).into();
        Ok(Group { first, items, sequences, batches })
    }

    /// For each input what it shares with the pairs beside it, if these have the same first text.
    fn leads(&mut self, group: Range<usize>) -> Vec<Option<Arc<Lead>>> {
        let mut leads = Vec::with_capacity(group.len());
        let same = |one: &Input, next: &Input| one.first().is_some_and(|text| next.first() == Some(text));
        let mut runs = self.inputs[group].chunk_by(same).peekable();
        while let Some(run) = runs.next() {
            let last = self.lead.take();
            let lead = run[0].first().and_then(|text| {
                let begun = last.filter(|(last, _)| last == text);
                // A run of one shares nothing, unless it is the end or the beginning of one that was cut in two.
                let shared = run.len() > 1 || begun.is_some() || runs.peek().is_none();
                let lead = begun.unwrap_or_else(|| (Arc::clone(text), Arc::default()));
                self.lead = runs.peek().is_none().then(|| lead.clone());
                shared.then_some(lead.1)
            });
            leads.extend(run.iter().map(|_| lead.clone()));
        }
        leads
    }

    /// Computes one batch; says which items it belonged to.
    fn forward(&mut self, batch: &[usize], cancelled: &dyn Fn() -> bool) -> Result<Vec<usize>> {
        let group = &mut self.group;
        let places: Vec<(usize, usize)> = batch.iter().map(|&sequence| group.sequences[sequence]).collect();
        let encodings: Vec<_> = places
            .iter()
            .filter_map(|&(item, window)| Some(&group.items[item].as_ref()?.encoded.windows[window]))
            .collect();
        let logits = self.core.forward(&encodings, cancelled, None)?;
        for (&(item, window), logits) in places.iter().zip(logits) {
            if let Some(item) = &mut group.items[item] {
                item.logits[window] = Some(logits);
            }
        }
        Ok(places.into_iter().map(|(item, _)| item).collect())
    }
}

impl<T: Task> Iterator for Stream<T> {
    type Item = Result<(usize, Answer<T::Output>)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_watched(&mut || false)
    }
}
