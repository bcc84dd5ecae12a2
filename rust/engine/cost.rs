//! What a batch costs: assumed at first, learned from batches that ran.

use std::time::Duration;

use crate::pipeline::Work;

/// How much of the past is remembered with each observation: half of it after some twenty batches, so that a machine
/// that became slower, or texts that became longer, are noticed within a second of load.
const MEMORY: f64 = 0.97;
/// Operations that a thread is thought to do in a second before it has shown what it can. Rather too many: what is
/// thought to be slow is refused, and could have been answered.
const RATE: f64 = 200e9;
/// A batch that took this many times what was thought, and longer than any batch should, is counted as that: the process
/// was stopped, or its processors were taken away, and what was a moment ago will be again. Who really became slower
/// has shown it a few batches later.
const SURPRISE: f64 = 8.0;
const LONG: f64 = 100e6;
/// Operations of attention for one of a dense layer that takes as long: its softmax is not counted among them.
/// benches/RESULTS.md has four times the tokens take 4.6 times as long in float32, which is this.
const ATTENTION: f64 = 2.0;
/// Tokens of the batch that is imagined for a start, and of the length at which operations are asked for.
const IMAGINED: usize = 512;

/// A straight line through what batches took, recent ones counting most: `fixed + per_unit * units`, where units are
/// tokens and what attention adds to them in a long text.
#[derive(Debug, Clone, Default)]
pub(super) struct Cost {
    weight: f64,
    units: f64,
    units2: f64,
    time: f64,
    time_units: f64,
    /// Units that a token adds to each token of its sequence.
    attention: f64,
    /// Bytes and tokens of texts that were read.
    read: (f64, f64),
}

/// The line, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Line {
    pub(super) fixed: f64,
    pub(super) per_unit: f64,
}

impl Cost {
    /// Before the first batch of a network that takes so much `work` for a sequence of so many tokens: as if a batch had
    /// taken what that needs on so many threads. Half of it is forgotten when all else is.
    pub(super) fn assumed(work: impl Fn(usize) -> Work, threads: usize) -> Self {
        let (work, tokens) = (work(IMAGINED), IMAGINED as f64);
        let mut cost = Self::default();
        if work.dense > 0 {
            cost.attention = ATTENTION * work.attention as f64 / work.dense as f64 / tokens;
            let per_unit = work.dense as f64 / tokens / (RATE * threads as f64);
            let units = cost.units(IMAGINED);
            cost.observe(units, Duration::from_secs_f64(units as f64 * per_unit), 1.0);
        }
        cost
    }

    /// As much work as so many tokens of short texts.
    pub(super) fn units(&self, tokens: usize) -> usize {
        tokens + (self.attention * (tokens * tokens) as f64) as usize
    }

    /// A batch that had `share` of the machine (1 = all of it) and took `time`.
    pub(super) fn observe(&mut self, units: usize, time: Duration, share: f64) {
        let (x, y) = (units as f64, time.as_nanos() as f64 * share);
        let Line { fixed, per_unit } = self.line();
        let y = if self.weight > 0.0 { y.min((SURPRISE * (fixed + per_unit * x)).max(LONG)) } else { y };
        for (sum, value) in [
            (&mut self.weight, 1.0),
            (&mut self.units, x),
            (&mut self.units2, x * x),
            (&mut self.time, y),
            (&mut self.time_units, x * y),
        ] {
            *sum = *sum * MEMORY + value;
        }
    }

    /// A text of so many bytes that had so many tokens.
    pub(super) fn observe_text(&mut self, bytes: usize, tokens: usize) {
        let (read, found) = &mut self.read;
        *read = *read * MEMORY + bytes as f64;
        *found = *found * MEMORY + tokens as f64;
    }

    /// Tokens that a text of so many bytes will have, at least 1; English has about four bytes a token.
    pub(super) fn tokens_of(&self, bytes: usize) -> usize {
        let (read, found) = self.read;
        let bytes_per_token = if found > 0.0 { (read / found).max(0.25) } else { 4.0 };
        (bytes as f64 / bytes_per_token) as usize + 1
    }

    /// Least squares, with neither part below zero; without anything to go by, all is free.
    pub(super) fn line(&self) -> Line {
        if self.weight == 0.0 {
            return Line { fixed: 0.0, per_unit: 0.0 };
        }
        let spread = self.weight * self.units2 - self.units * self.units;
        let mean = self.time / self.units.max(1.0);
        // Batches of one size say nothing about the slope.
        if spread <= 1e-6 * self.weight * self.units2 {
            return Line { fixed: 0.0, per_unit: mean };
        }
        let per_unit = (self.weight * self.time_units - self.units * self.time) / spread;
        let fixed = (self.time - per_unit * self.units) / self.weight;
        match (per_unit > 0.0, fixed > 0.0) {
            (true, true) => Line { fixed, per_unit },
            (true, false) => Line { fixed: 0.0, per_unit: self.time_units / self.units2 },
            (false, _) => Line { fixed: 0.0, per_unit: mean },
        }
    }

    /// Units of a batch that takes about `slice`.
    pub(super) fn budget(&self, slice: Duration, most: usize) -> usize {
        /// Below this, weights are read for too few rows.
        const LEAST: usize = 128;
        let Line { fixed, per_unit } = self.line();
        if per_unit == 0.0 {
            return most;
        }
        let units = (slice.as_nanos() as f64 - fixed) / per_unit;
        (units.max(0.0) as usize).max(LEAST).min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(batches: impl IntoIterator<Item = (usize, u64)>) -> Cost {
        learned_after(Cost::default(), batches)
    }

    fn learned_after(mut cost: Cost, batches: impl IntoIterator<Item = (usize, u64)>) -> Cost {
        for (units, micros) in batches {
            cost.observe(units, Duration::from_micros(micros), 1.0);
        }
        cost
    }

    /// A BERT-base: 85 M weights in dense layers, 12 layers of 768.
    fn base(tokens: usize) -> Work {
        Work { bytes: 0, dense: 2 * 85_000_000 * tokens, attention: 12 * 4 * tokens * tokens * 768 }
    }

    #[test]
    fn a_line_is_found_again() {
        let line = learned((1..50).map(|n| (n * 10, 100 + 3 * 10 * n as u64))).line();
        assert!((line.fixed - 100_000.0).abs() < 1.0 && (line.per_unit - 3_000.0).abs() < 0.01, "{line:?}");
    }

    #[test]
    fn nothing_known_is_free_and_one_size_gives_a_mean() {
        assert_eq!(Cost::default().budget(Duration::from_millis(50), 2_048), 2_048);
        assert_eq!(learned([(10, 50), (10, 70)]).line().fixed, 0.0);
        let mean = learned([(10, 60), (10, 60)]).line().per_unit;
        assert!((mean - 6_000.0).abs() < 1e-6);
    }

    #[test]
    fn a_long_text_costs_more_for_each_of_its_tokens() {
        let cost = Cost::assumed(base, 2);
        let times = cost.units(512) as f64 / (4 * cost.units(128)) as f64;
        assert!((1.14..1.17).contains(&times), "{times}");
        assert_eq!(cost.units(1), 1);
        assert_eq!(Cost::default().units(512), 512);
    }

    #[test]
    fn before_the_first_batch_a_rate_is_assumed_and_then_it_is_forgotten() {
        let cost = Cost::assumed(base, 2);
        // 170 million operations a token, 400 thousand million a second.
        assert!((cost.line().per_unit - 425e3).abs() < 1e3, "{:?}", cost.line());
        // A first batch that is small and slow does not make the rest look hopeless.
        let surprised = learned_after(cost.clone(), [(5, 40_000)]);
        assert!(surprised.line().per_unit < 600e3, "{:?}", surprised.line());
        let taught = learned_after(cost, (1..300).map(|n| (n, 5 * n as u64)));
        assert!((taught.line().per_unit - 5_000.0).abs() < 200.0, "{:?}", taught.line());
    }

    #[test]
    fn a_batch_during_which_the_process_was_stopped_says_little() {
        let mut cost = learned((1..100).map(|n| (n, 100 * n as u64)));
        cost.observe(50, Duration::from_mins(1), 1.0);
        let line = cost.line();
        assert!(line.fixed + 50.0 * line.per_unit < 10e6, "{line:?}");
    }

    #[test]
    fn the_past_is_forgotten() {
        let mut cost = learned((1..100).map(|n| (n, n as u64)));
        for n in 1..300 {
            cost.observe(n, Duration::from_micros(5 * n as u64), 1.0);
        }
        assert!((cost.line().per_unit - 5_000.0).abs() < 50.0);
    }

    #[test]
    fn a_line_never_falls() {
        let line = learned([(10, 100), (100, 10), (50, 60)]).line();
        assert!(line.per_unit > 0.0 && line.fixed == 0.0, "{line:?}");
    }

    #[test]
    fn a_batch_fills_its_slice_of_time() {
        let cost = learned((1..50).map(|n| (n * 10, 1_000 + 20 * 10 * n as u64)));
        assert_eq!(cost.budget(Duration::from_millis(21), 2_048), 1_000);
        assert_eq!(cost.budget(Duration::from_millis(1), 2_048), 128);
        assert_eq!(cost.budget(Duration::from_secs(9), 2_048), 2_048);
    }

    #[test]
    fn bytes_become_tokens_by_what_was_read() {
        let mut cost = Cost::default();
        assert_eq!(cost.tokens_of(40), 11);
        (0..50).for_each(|_| cost.observe_text(100, 50));
        assert_eq!(cost.tokens_of(40), 21);
    }
}
