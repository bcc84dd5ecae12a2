//! What a batch costs: learned from batches that ran.

use std::time::Duration;

/// How much of the past is remembered with each observation: half of it after some twenty batches, so that a machine
/// that became slower, or texts that became longer, are noticed within a second of load.
const MEMORY: f64 = 0.97;

/// A straight line through what batches took, recent ones counting most: `fixed + per_token * tokens`. Attention grows
/// with the square of a text's length; for the lengths that are being asked, the line is near enough.
#[derive(Debug, Clone, Default)]
pub(super) struct Cost {
    weight: f64,
    tokens: f64,
    tokens2: f64,
    time: f64,
    time_tokens: f64,
    /// Bytes and tokens of texts that were read.
    read: (f64, f64),
}

/// The line, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Line {
    pub(super) fixed: f64,
    pub(super) per_token: f64,
}

impl Cost {
    /// A batch that had `share` of the machine (1 = all of it) and took `time`.
    pub(super) fn observe(&mut self, tokens: usize, time: Duration, share: f64) {
        let (x, y) = (tokens as f64, time.as_nanos() as f64 * share);
        for (sum, value) in [
            (&mut self.weight, 1.0),
            (&mut self.tokens, x),
            (&mut self.tokens2, x * x),
            (&mut self.time, y),
            (&mut self.time_tokens, x * y),
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

    /// Least squares, with neither part below zero; nothing is known before the first batch, and then all is free.
    pub(super) fn line(&self) -> Line {
        if self.weight == 0.0 {
            return Line { fixed: 0.0, per_token: 0.0 };
        }
        let spread = self.weight * self.tokens2 - self.tokens * self.tokens;
        let mean = self.time / self.tokens.max(1.0);
        // Batches of one size say nothing about the slope.
        if spread <= 1e-6 * self.weight * self.tokens2 {
            return Line { fixed: 0.0, per_token: mean };
        }
        let per_token = (self.weight * self.time_tokens - self.tokens * self.time) / spread;
        let fixed = (self.time - per_token * self.tokens) / self.weight;
        match (per_token > 0.0, fixed > 0.0) {
            (true, true) => Line { fixed, per_token },
            (true, false) => Line { fixed: 0.0, per_token: self.time_tokens / self.tokens2 },
            (false, _) => Line { fixed: 0.0, per_token: mean },
        }
    }

    /// Tokens of a batch that takes about `slice`.
    pub(super) fn budget(&self, slice: Duration, most: usize) -> usize {
        /// Below this, weights are read for too few rows.
        const LEAST: usize = 128;
        let Line { fixed, per_token } = self.line();
        if per_token == 0.0 {
            return most;
        }
        let tokens = (slice.as_nanos() as f64 - fixed) / per_token;
        (tokens.max(0.0) as usize).max(LEAST).min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(batches: impl IntoIterator<Item = (usize, u64)>) -> Cost {
        let mut cost = Cost::default();
        for (tokens, micros) in batches {
            cost.observe(tokens, Duration::from_micros(micros), 1.0);
        }
        cost
    }

    #[test]
    fn a_line_is_found_again() {
        let line = learned((1..50).map(|n| (n * 10, 100 + 3 * 10 * n as u64))).line();
        assert!((line.fixed - 100_000.0).abs() < 1.0 && (line.per_token - 3_000.0).abs() < 0.01, "{line:?}");
    }

    #[test]
    fn nothing_known_is_free_and_one_size_gives_a_mean() {
        assert_eq!(Cost::default().budget(Duration::from_millis(50), 2_048), 2_048);
        assert_eq!(learned([(10, 50), (10, 70)]).line().fixed, 0.0);
        let mean = learned([(10, 60), (10, 60)]).line().per_token;
        assert!((mean - 6_000.0).abs() < 1e-6);
    }

    #[test]
    fn the_past_is_forgotten() {
        let mut cost = learned((1..100).map(|n| (n, n as u64)));
        for n in 1..300 {
            cost.observe(n, Duration::from_micros(5 * n as u64), 1.0);
        }
        assert!((cost.line().per_token - 5_000.0).abs() < 50.0);
    }

    #[test]
    fn a_line_never_falls() {
        let line = learned([(10, 100), (100, 10), (50, 60)]).line();
        assert!(line.per_token > 0.0 && line.fixed == 0.0, "{line:?}");
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
