//! Who is next: a pure data structure, so that its rules can be tested without threads or time.
//!
//! Jobs wait in flows, one per request. Flows take turns, item by item, so a single text is in the next batch however
//! long the list is that came before it. Models take turns by the time that they have used.
//!
//! Work is counted in the units of [`Cost`](super::cost::Cost): tokens, and what attention adds in long texts.

use std::collections::{HashMap, VecDeque};

/// Jobs that wait to be read, and sequences that wait to be computed.
#[derive(Debug)]
pub(super) struct Queue<J> {
    models: Vec<Model>,
    flows: HashMap<u64, Flow<J>>,
    next: u64,
}

#[derive(Debug, Default)]
struct Model {
    /// Nanoseconds of computation so far. One that was idle starts with the least of the others: time that nobody
    /// asked for is not saved up.
    used: f64,
    /// Flows with texts, and flows with sequences, each flow once in either.
    reading: VecDeque<u64>,
    ready: VecDeque<u64>,
    /// Units of the sequences.
    units: usize,
}

#[derive(Debug)]
struct Flow<J> {
    model: usize,
    texts: VecDeque<Text<J>>,
    sequences: VecDeque<Sequence<J>>,
    /// Texts that a worker reads now.
    away: usize,
    /// Units of all of these, as far as known.
    units: usize,
}

/// A job that waits to be read.
#[derive(Debug)]
pub(super) struct Text<J> {
    pub(super) flow: u64,
    pub(super) job: J,
    pub(super) estimate: Estimate,
}

/// The work that a text is thought to be before it was read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Estimate {
    pub(super) units: usize,
    /// What is computed of it at a time: a window.
    pub(super) turn: usize,
}

/// A window that waits to be computed.
#[derive(Debug, Clone)]
pub(super) struct Sequence<J> {
    pub(super) job: J,
    pub(super) window: usize,
    pub(super) units: usize,
    /// Not to be put into a batch with others, because such a batch failed.
    pub(super) alone: bool,
}

impl<J: Clone> Queue<J> {
    pub(super) fn new() -> Self {
        Self { models: Vec::new(), flows: HashMap::new(), next: 0 }
    }

    pub(super) fn add_model(&mut self) -> usize {
        self.models.push(Model::default());
        self.models.len() - 1
    }

    /// A request's jobs, each with its estimated work.
    pub(super) fn add(&mut self, model: usize, jobs: impl IntoIterator<Item = (J, Estimate)>) {
        let flow = self.open(model);
        let texts: VecDeque<_> = jobs.into_iter().map(|(job, estimate)| Text { flow, job, estimate }).collect();
        let units = texts.iter().map(|text| text.estimate.units).sum();
        self.models[model].reading.push_back(flow);
        self.flows.insert(flow, Flow { model, texts, sequences: VecDeque::new(), away: 0, units });
        self.settle(flow);
    }

    /// Sequences that have to be computed again, before all others.
    pub(super) fn put_back(&mut self, model: usize, sequences: Vec<Sequence<J>>) {
        if sequences.is_empty() {
            return;
        }
        let flow = self.open(model);
        let units = sequences.iter().map(|sequence| sequence.units).sum();
        self.models[model].ready.push_front(flow);
        self.models[model].units += units;
        self.flows.insert(flow, Flow { model, texts: VecDeque::new(), sequences: sequences.into(), away: 0, units });
    }

    fn open(&mut self, model: usize) -> u64 {
        let active = |model: &&Model| !model.reading.is_empty() || !model.ready.is_empty();
        if !active(&&self.models[model]) {
            let least = self.models.iter().filter(active).map(|model| model.used).fold(f64::INFINITY, f64::min);
            let used = &mut self.models[model].used;
            *used = if least.is_finite() { used.max(least) } else { *used };
        }
        self.next += 1;
        self.next
    }

    /// The next text to be read; those that are not `wanted` are dropped on the way.
    pub(super) fn next_text(&mut self, wanted: impl Fn(&J) -> bool) -> Option<Text<J>> {
        loop {
            let model = self.turn(|model| !model.reading.is_empty())?;
            let flow = self.models[model].reading.pop_front()?;
            let waiting = self.flows.get_mut(&flow)?;
            let text = waiting.texts.pop_front();
            if !waiting.texts.is_empty() {
                self.models[model].reading.push_back(flow);
            }
            match text {
                Some(text) if wanted(&text.job) => {
                    waiting.away += 1;
                    return Some(text);
                }
                Some(text) => waiting.units -= text.estimate.units,
                None => (),
            }
            self.settle(flow);
        }
    }

    /// A text has been read: the lengths of its windows, none if it failed.
    pub(super) fn read(&mut self, text: &Text<J>, windows: &[usize]) {
        let Some(flow) = self.flows.get_mut(&text.flow) else { return };
        let units: usize = windows.iter().sum();
        let model = &mut self.models[flow.model];
        if flow.sequences.is_empty() && !windows.is_empty() {
            model.ready.push_back(text.flow);
        }
        let sequence =
            |(window, &units): (usize, &usize)| Sequence { job: text.job.clone(), window, units, alone: false };
        flow.sequences.extend(windows.iter().enumerate().map(sequence));
        flow.units = flow.units + units - text.estimate.units;
        flow.away -= 1;
        model.units += units;
        self.settle(text.flow);
    }

    /// Whose text it is.
    pub(super) fn model_of(&self, text: &Text<J>) -> Option<usize> {
        self.flows.get(&text.flow).map(|flow| flow.model)
    }

    /// The model whose turn it is, if its next batch should be computed now and not after more texts have been read:
    /// with the units of a batch in hand, or with no text that waits.
    pub(super) fn ripe(&self, budget: impl Fn(usize) -> usize) -> Option<usize> {
        let model = self.turn(|model| !model.ready.is_empty())?;
        let waiting = &self.models[model];
        (waiting.reading.is_empty() || waiting.units >= budget(model)).then_some(model)
    }

    /// Units of a model that wait to be computed.
    pub(super) fn ready_units(&self, model: usize) -> usize {
        self.models[model].units
    }

    /// A batch of at most `units` units (unless one sequence alone has more) and `most` sequences, longest first.
    pub(super) fn next_batch(
        &mut self,
        model: usize,
        units: usize,
        most: usize,
        wanted: impl Fn(&J) -> bool,
    ) -> Vec<Sequence<J>> {
        let (mut batch, mut room): (Vec<Sequence<J>>, usize) = (Vec::new(), units);
        while batch.len() < most {
            let waiting = &mut self.models[model];
            let Some(&flow) = waiting.ready.front() else { break };
            let Some(of) = self.flows.get_mut(&flow) else { break };
            let Some(first) = of.sequences.front() else { break };
            let keep = wanted(&first.job);
            if keep && !batch.is_empty() && (first.units > room || first.alone) {
                break; // it is the first of the next batch
            }
            let Some(sequence) = of.sequences.pop_front() else { break };
            of.units -= sequence.units;
            waiting.units -= sequence.units;
            waiting.ready.pop_front();
            if !of.sequences.is_empty() {
                waiting.ready.push_back(flow);
            }
            self.settle(flow);
            if keep {
                room = room.saturating_sub(sequence.units);
                let alone = sequence.alone;
                batch.push(sequence);
                if alone {
                    break;
                }
            }
        }
        batch.sort_by_key(|sequence| std::cmp::Reverse(sequence.units));
        batch
    }

    /// Notes what a batch has cost.
    pub(super) fn charge(&mut self, model: usize, nanoseconds: f64) {
        self.models[model].used += nanoseconds;
    }

    /// What a request that takes `own` waits for when flows take turns: of each flow, as much as it has itself, but its
    /// next item in any case.
    pub(super) fn ahead(&self, own: f64, cost: impl Fn(usize) -> f64) -> f64 {
        let of = |flow: &Flow<J>| {
            let (text, sequence) = (flow.texts.front(), flow.sequences.front());
            let next = text.map_or(0, |text| text.estimate.turn).max(sequence.map_or(0, |sequence| sequence.units));
            let per_unit = cost(flow.model);
            (flow.units as f64 * per_unit).min(own.max(next as f64 * per_unit))
        };
        self.flows.values().map(of).sum()
    }

    /// Texts and sequences that wait.
    pub(super) fn len(&self) -> usize {
        self.flows.values().map(|flow| flow.texts.len() + flow.sequences.len()).sum()
    }

    /// All jobs that wait.
    pub(super) fn drain(&mut self) -> Vec<J> {
        let flows = std::mem::take(&mut self.flows).into_values();
        for model in &mut self.models {
            *model = Model { used: model.used, ..Model::default() };
        }
        flows
            .flat_map(|flow| {
                let texts = flow.texts.into_iter().map(|text| text.job);
                texts.chain(flow.sequences.into_iter().map(|sequence| sequence.job))
            })
            .collect()
    }

    fn turn(&self, has: impl Fn(&Model) -> bool) -> Option<usize> {
        let waiting = self.models.iter().enumerate().filter(|(_, model)| has(model));
        waiting.min_by(|(_, a), (_, b)| a.used.total_cmp(&b.used)).map(|(index, _)| index)
    }

    /// Forgets a flow that has nothing left.
    fn settle(&mut self, flow: u64) {
        let done = |flow: &Flow<J>| flow.texts.is_empty() && flow.sequences.is_empty() && flow.away == 0;
        if self.flows.get(&flow).is_some_and(done) {
            let model = self.flows.remove(&flow).map(|flow| flow.model).unwrap_or_default();
            self.models[model].reading.retain(|&other| other != flow);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Jobs, each with its estimated work, all of which is its turn.
    fn add(queue: &mut Queue<usize>, model: usize, jobs: impl IntoIterator<Item = (usize, usize)>) {
        let whole = |(job, units)| (job, Estimate { units, turn: units });
        queue.add(model, jobs.into_iter().map(whole));
    }

    /// Reads everything; each job's length is its own number of tokens.
    fn read_all(queue: &mut Queue<usize>) {
        while let Some(text) = queue.next_text(|_| true) {
            let tokens = text.job;
            queue.read(&text, &[tokens]);
        }
    }

    fn batch(queue: &mut Queue<usize>, tokens: usize) -> Vec<usize> {
        let Some(model) = queue.ripe(|_| tokens) else { return Vec::new() };
        queue.next_batch(model, tokens, usize::MAX, |_| true).into_iter().map(|sequence| sequence.job).collect()
    }

    #[test]
    fn a_single_text_is_in_the_next_batch_before_most_of_a_long_list() {
        let mut queue = Queue::new();
        let model = queue.add_model();
        add(&mut queue, model, vec![(10, 10); 1_000]);
        add(&mut queue, model, [(7, 7)]);
        read_all(&mut queue);
        assert_eq!(batch(&mut queue, 30), [10, 10, 7]);
        assert_eq!(batch(&mut queue, 30), [10, 10, 10]);
        assert_eq!(queue.len(), 995);
    }

    #[test]
    fn models_take_turns_by_the_time_they_used() {
        let mut queue = Queue::new();
        let (slow, fast) = (queue.add_model(), queue.add_model());
        add(&mut queue, slow, vec![(1, 1); 10]);
        add(&mut queue, fast, vec![(2, 2); 10]);
        read_all(&mut queue);
        let mut order = Vec::new();
        for _ in 0..8 {
            let found = batch(&mut queue, 1);
            let model = if found == [1] { slow } else { fast };
            queue.charge(model, if model == slow { 3.0 } else { 1.0 });
            order.push(model);
        }
        assert_eq!(order.iter().filter(|&&model| model == fast).count(), 6);
    }

    #[test]
    fn who_was_idle_saved_nothing_up() {
        let mut queue = Queue::new();
        let (busy, idle) = (queue.add_model(), queue.add_model());
        add(&mut queue, busy, vec![(1, 1); 100]);
        queue.charge(busy, 1e9);
        add(&mut queue, idle, vec![(2, 2); 100]);
        assert_eq!(queue.models[idle].used, 1e9);
    }

    #[test]
    fn what_nobody_wants_is_dropped_and_counted_out() {
        let mut queue = Queue::new();
        let model = queue.add_model();
        add(&mut queue, model, [(5, 5), (6, 6), (7, 7)]);
        assert_eq!(queue.next_text(|&job| job != 5).map(|text| text.job), Some(6));
        assert!(queue.next_text(|_| false).is_none());
        assert_eq!(queue.len(), 0);
        queue.read(&Text { flow: 1, job: 6, estimate: Estimate { units: 6, turn: 6 } }, &[4, 2]);
        assert!(queue.next_batch(model, 100, 10, |_| false).is_empty());
        assert_eq!((queue.len(), queue.flows.len(), queue.ready_units(model)), (0, 0, 0));
    }

    #[test]
    fn a_batch_waits_for_texts_only_while_some_are_there_to_be_read() {
        let mut queue = Queue::new();
        let model = queue.add_model();
        add(&mut queue, model, [(5, 5), (6, 6)]);
        assert_eq!(queue.ripe(|_| 100), None);
        let text = queue.next_text(|_| true).unwrap();
        queue.read(&text, &[5]);
        assert_eq!((queue.ripe(|_| 100), queue.ripe(|_| 5)), (None, Some(model)));
        assert!(queue.next_text(|_| true).is_some());
        assert_eq!(queue.ripe(|_| 100), Some(model));
    }

    #[test]
    fn sequences_of_a_failed_batch_go_alone_and_first() {
        let mut queue = Queue::new();
        let model = queue.add_model();
        add(&mut queue, model, [(1, 1)]);
        read_all(&mut queue);
        let again = |job| Sequence { job, window: 0, units: job, alone: true };
        queue.put_back(model, vec![again(8), again(9)]);
        let mut rest = vec![batch(&mut queue, 100), batch(&mut queue, 100), batch(&mut queue, 100)];
        rest.sort();
        assert_eq!(rest, [[1], [8], [9]]);
    }

    #[test]
    fn waiting_is_what_turns_cost() {
        let mut queue: Queue<usize> = Queue::new();
        let model = queue.add_model();
        add(&mut queue, model, vec![(0, 10); 100]);
        add(&mut queue, model, [(0, 4)]);
        assert_eq!(queue.ahead(6.0, |_| 1.0), 14.0);
        assert_eq!(queue.ahead(50.0, |_| 1.0), 54.0);
        assert_eq!(queue.ahead(5_000.0, |_| 1.0), 1_004.0);
        // The turn of a text with many windows is one of them.
        queue.add(model, [(0, Estimate { units: 700, turn: 7 })]);
        assert_eq!(queue.ahead(6.0, |_| 1.0), 21.0);
    }

    proptest! {
        #[test]
        fn every_sequence_comes_out_once_within_the_limits(
            requests in prop::collection::vec(prop::collection::vec(1_usize..50, 1..20), 1..10),
            tokens in 1_usize..200,
            most in 1_usize..10,
        ) {
            let mut queue = Queue::new();
            let model = queue.add_model();
            for request in &requests {
                add(&mut queue, model, request.iter().map(|&units| (units, 3)));
            }
            read_all(&mut queue);
            let mut seen = Vec::new();
            while let Some(model) = queue.ripe(|_| tokens) {
                let batch = queue.next_batch(model, tokens, most, |_| true);
                let total: usize = batch.iter().map(|sequence| sequence.units).sum();
                prop_assert!(!batch.is_empty() && batch.len() <= most && (total <= tokens || batch.len() == 1));
                seen.extend(batch.into_iter().map(|sequence| sequence.job));
            }
            let mut all: Vec<usize> = requests.concat();
            seen.sort_unstable();
            all.sort_unstable();
            prop_assert_eq!(seen, all);
            prop_assert!(queue.flows.is_empty());
            prop_assert_eq!(queue.ready_units(model), 0);
        }
    }
}
