//! The first text of several pairs, as when one query is compared with many documents.

use std::sync::{Mutex, PoisonError};

use tokenizers::Encoding;

use crate::error::Result;

/// Tokens of a first text that several pairs have in common: of one text, and of one tokenizer.
///
/// Whoever computes the pairs holds it, for as long as that takes.
#[derive(Debug, Default)]
pub struct Lead(Mutex<Option<Encoding>>);

impl Lead {
    /// The text's tokens: made by whoever asks first, while the others wait, since without them they can do nothing.
    pub(super) fn tokens(&self, make: impl FnOnce() -> Result<Encoding>) -> Result<Encoding> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(tokens) => Ok(tokens.clone()),
            None => Ok(known.insert(make()?).clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::Error;

    #[test]
    fn many_threads_make_the_tokens_once() {
        let (lead, made) = (Lead::default(), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let tokens = lead.tokens(|| {
                        made.fetch_add(1, Ordering::Relaxed);
                        Ok(Encoding::from_tokens(vec![tokenizers::Token::new(7, "a".to_owned(), (0, 1))], 0))
                    });
                    assert_eq!(tokens.unwrap().get_ids(), [7]);
                });
            }
        });
        assert_eq!(made.into_inner(), 1);
    }

    #[test]
    fn a_failure_is_told_to_each_and_not_kept() {
        let lead = Lead::default();
        for index in 0..2 {
            assert_eq!(lead.tokens(|| Err(Error::input(index, "no"))).unwrap_err(), Error::input(index, "no"));
        }
        assert!(lead.tokens(|| Ok(Encoding::default())).is_ok());
    }
}
