//! How an input is made to fit a model.

use crate::types::{Truncation, TruncationSide};

/// How long an encoding may be and what happens beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fit {
    /// Most tokens per window, special ones included.
    pub max_length: usize,
    /// What happens to a longer input.
    pub overlong: Overlong,
    /// Which end of it is cut; `None` = what the tokenizer's settings say.
    pub side: Option<TruncationSide>,
}

/// What happens to an input that is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlong {
    /// It is an error.
    Refuse,
    /// Tokens are left out.
    Cut(Truncation),
    /// It is read in windows that share this many tokens.
    Windows(usize),
}

impl Fit {
    /// In how many windows an input of so many tokens is read where `added` of each are special, and of how many tokens
    /// the longest of them is.
    pub fn windows(&self, tokens: usize, added: usize) -> (usize, usize) {
        match self.overlong {
            Overlong::Windows(stride) if tokens > self.max_length => {
                let capacity = self.max_length.saturating_sub(added);
                let step = capacity.saturating_sub(stride).max(1);
                ((tokens - added).saturating_sub(capacity).div_ceil(step) + 1, self.max_length)
            }
            _ => (1, tokens.min(self.max_length)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_counted_as_tokenizers_cut_them() {
        let of = |overlong, tokens| Fit { max_length: 10, overlong, side: None }.windows(tokens, 2);
        for (stride, tokens, windows) in [(0, 10, 1), (0, 11, 2), (0, 18, 2), (0, 19, 3), (5, 11, 2), (5, 14, 3)] {
            assert_eq!(of(Overlong::Windows(stride), tokens).0, windows, "{stride} {tokens}");
        }
        assert_eq!((of(Overlong::Windows(7), 7), of(Overlong::Windows(7), 70).1), ((1, 7), 10));
        assert_eq!(of(Overlong::Cut(Truncation::LongestFirst), 99), (1, 10));
    }
}
