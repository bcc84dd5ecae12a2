//! Logits and encodings become answers: pure functions of slices, without tokenizer, network or Python.
//!
//! Both tasks reproduce the transformers pipelines (5.18) result by result, also where a result is surprising; what is
//! better than the reference has an option of its own ([`WordSource`](crate::WordSource),
//! [`WordBoundary`](crate::WordBoundary), [`Scheme`](crate::Scheme), [`OffsetUnit`](crate::OffsetUnit)). No input makes
//! these functions fail: logits may be NaN or infinite, offsets may be in any order or point beyond the text.
//!
//! The way of a token classification, with the file of each rule:
//!
//! ```text
//! logits -> scores.rs     softmax, and sums in numpy's order
//!        -> words.rs      which token opens a word                          first, average, max
//!        -> aggregate.rs  tokens (none, simple) or words get a label
//!        -> tags.rs       what a label says: prefix, type, filtered or not
//!        -> spans.rs      neighbours of one type become one span            all but none
//!        -> merge.rs      overlaps between windows are settled              long texts
//!        -> strings.rs    what the entities are called
//!        -> text.rs       code points -> bytes and UTF-16 units
//! ```
//!
//! Taggers of flair have rules of their own: `viterbi.rs`, `bioes.rs`, `tagging.rs`.
//!
//! `draft.rs` takes that way window by window, `token_classification.rs` for all of them at once.

mod aggregate;
mod bioes;
pub mod draft;
mod merge;
mod scores;
mod spans;
mod strings;
pub mod tagging;
mod tags;
mod text;
pub mod text_classification;
pub mod token_classification;
pub mod viterbi;
mod words;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod twin;
