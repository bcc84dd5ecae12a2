//! Where sentences end: behind a terminal and white space, and at line breaks.

use std::ops::Range;

use super::abbreviations::continues;
use super::classes::{is_python_space, is_terminal};
use super::joins::joined;

/// The lines of the sentences of a text, without white space around sentences.
pub(super) fn lines(text: &[char]) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    for sentence in joined(text, pieces(text)) {
        let Some(first) = text[sentence.clone()].iter().position(|&char| !is_python_space(char)) else { continue };
        let last = text[sentence.clone()].iter().rposition(|&char| !is_python_space(char)).unwrap_or(first);
        let (mut start, end) = (sentence.start + first, sentence.start + last + 1);
        for line in text[start..end].split(|&char| char == '\n') {
            lines.push(start..start + line.len());
            start += line.len() + 1;
        }
    }
    lines
}

/// The text cut behind every end of a sentence, but for those that only look like one.
fn pieces(text: &[char]) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let (mut piece, mut segment) = (0, 0);
    let mut next = ending(text, 0);
    while let Some(end) = next {
        next = ending(text, end.end);
        let behind = &text[end.end..next.as_ref().map_or(text.len(), |next| next.start)];
        if !continues(&text[segment..end.start], text[end.start], behind) {
            pieces.push(piece..end.end);
            piece = end.end;
        }
        segment = end.end;
    }
    pieces.push(piece..text.len());
    pieces
}

/// The next end of a sentence: a terminal, perhaps a quote, brackets, white space; or line breaks.
fn ending(text: &[char], from: usize) -> Option<Range<usize>> {
    let run = |start: usize, of: fn(char) -> bool| text[start..].iter().take_while(|char| of(**char)).count();
    (from..text.len()).find_map(|start| {
        if text[start] == '\n' {
            return Some(start..start + run(start, |char| char == '\n'));
        }
        if !is_terminal(text[start]) {
            return None;
        }
        let quoted = start + 1 + usize::from(text.get(start + 1).is_some_and(|char| "'’\"”".contains(*char)));
        let closed = quoted + run(quoted, |char| matches!(char, ']' | ')'));
        let end = closed + run(closed, char::is_whitespace);
        (end > closed).then_some(start..end)
    })
}
