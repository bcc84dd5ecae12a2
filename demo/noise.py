"""What people do to text: typing errors, casing, missing punctuation, unknown words."""

from __future__ import annotations

import random
from collections.abc import Callable

from grammar import Sample

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def replace_span(sample: Sample, start: int, end: int, new: str) -> Sample:
    """Put `new` in place of `text[start:end]` and move the spans.

    The range lies either within one entity or outside all of them.
    """
    shift = len(new) - (end - start)
    moved = []
    for a, b, label in sample.entities:
        inside = a <= start and end <= b
        moved.append((a + shift if a >= end else a, b + shift if inside or b > end else b, label))
    return Sample(sample.text[:start] + new + sample.text[end:], moved)


def map_case(sample: Sample, change: Callable[[str], str], entities_only: bool = False) -> Sample:
    """Apply a casing change character by character, so that lengths never change."""

    def one(char: str) -> str:
        changed = change(char)
        return changed if len(changed) == 1 else char

    chars = list(sample.text)
    spans = [(a, b) for a, b, _ in sample.entities] if entities_only else [(0, len(chars))]
    for a, b in spans:
        chars[a:b] = [one(c) for c in chars[a:b]]
    return Sample("".join(chars), sample.entities)


def title_case(sample: Sample) -> Sample:
    """Capitalise every word as headlines do."""
    chars = list(sample.text)
    for i, char in enumerate(chars):
        if i and chars[i - 1] == " " and len(char.upper()) == 1:
            chars[i] = char.upper()
    return Sample("".join(chars), sample.entities)


def words(sample: Sample, entity: bool) -> list[tuple[int, int]]:
    """Ranges of words of letters, inside entities or outside of them."""
    inside = [False] * (len(sample.text) + 1)
    for a, b, _ in sample.entities:
        inside[a:b] = [True] * (b - a)
    found, start = [], None
    for i, char in enumerate(sample.text + " "):
        if char.isalpha() and (start is None or inside[i] == inside[start]):
            start = i if start is None else start
        elif start is not None:
            if inside[start] == entity:
                found.append((start, i))
            start = i if char.isalpha() else None
    return found


def typo(word: str, rng: random.Random) -> str:
    """One typing error: a letter dropped, doubled, replaced or swapped with the next."""
    if len(word) < 4:
        return word
    i = rng.randrange(1, len(word) - 1)
    kind = rng.randrange(4)
    if kind == 0:
        return word[:i] + word[i + 1 :]
    if kind == 1:
        return word[:i] + word[i] + word[i:]
    if kind == 2:
        return word[:i] + rng.choice(LETTERS) + word[i + 1 :]
    return word[:i] + word[i + 1] + word[i] + word[i + 2 :]


def replace_words(sample: Sample, rng: random.Random, count: int, entity: bool, new: Callable[[str], str]) -> Sample:
    """Replace up to `count` random words inside or outside entities."""
    ranges = words(sample, entity)
    for start, end in sorted(rng.sample(ranges, min(count, len(ranges))), reverse=True):
        sample = replace_span(sample, start, end, new(sample.text[start:end]))
    return sample


def punctuation(sample: Sample, rng: random.Random) -> Sample:
    """Drop or change the final stop, or wrap the text in quotes."""
    roll = rng.random()
    text = sample.text
    if text.endswith(".") and not any(b == len(text) for _, b, _ in sample.entities):
        if roll < 0.15:
            return Sample(text[:-1], sample.entities)
        if roll < 0.2:
            return Sample(text[:-1] + rng.choice(("!", "...", "..", " .", ";", "!!")), sample.entities)
    if roll > 0.975:
        left, right = rng.choice((('"', '"'), ("“", "”"), ("'", "'"), ("(", ")"), ("- ", ""), ("> ", ""), ("* ", "")))
        moved = [(a + len(left), b + len(left), label) for a, b, label in sample.entities]
        return Sample(left + text + right, moved)
    return sample


def casing(sample: Sample, rng: random.Random, section: str) -> Sample:
    """Lower-case chat, upper- and title-case headlines, and a little of each elsewhere."""
    roll = rng.random()
    if section == "chat":
        return map_case(sample, str.lower) if roll < 0.4 else sample
    if section == "headline":
        if roll < 0.25:
            return map_case(sample, str.upper)
        return title_case(sample) if roll < 0.65 else sample
    if roll < 0.05:
        return map_case(sample, str.lower)
    if roll < 0.08:
        return map_case(sample, str.upper)
    if roll < 0.10:
        return title_case(sample)
    if roll < 0.13:
        return map_case(sample, str.lower, entities_only=True)
    return sample


def concatenate(first: Sample, second: Sample, separator: str = " ") -> Sample:
    """Join two samples into one text."""
    offset = len(first.text) + len(separator)
    moved = [(a + offset, b + offset, label) for a, b, label in second.entities]
    return Sample(first.text + separator + second.text, first.entities + moved)
