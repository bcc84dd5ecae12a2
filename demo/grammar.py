"""A small template language: sections of patterns that expand to labelled text.

A pattern is literal text with `[a|b]` for a choice (it nests, and a side may be empty) and `{name}`
for a slot. A slot is an entity (`{PER}`, `{LOC.city}`), a special (`{date}`), or another section;
`{Name}` and `{name_cap}` expand section `name` and capitalise the first letter.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

TYPES = ("PER", "ORG", "LOC", "MISC")

Segment = tuple[str, str | None]


@dataclass(frozen=True)
class Slot:
    """A `{name}` in a pattern."""

    name: str


@dataclass(frozen=True)
class Choice:
    """A `[a|b]` in a pattern."""

    options: tuple[tuple[object, ...], ...]


@dataclass
class Sample:
    """Text with its entity spans (start, end, type), end exclusive."""

    text: str
    entities: list[tuple[int, int, str]] = field(default_factory=list)


def parse(pattern: str) -> tuple[object, ...]:
    """Parse a pattern into literals, slots and choices.

    `a[n|] ` is only a reminder for the reader: the article is chosen when the text is joined.
    """
    pattern = pattern.replace("a[n|]", "a")
    items, end = _parse_items(pattern, 0, closing="")
    if end != len(pattern):
        raise ValueError(f"unbalanced pattern: {pattern}")
    return items


def _parse_items(text: str, pos: int, closing: str) -> tuple[tuple[object, ...], int]:
    items: list[object] = []
    literal = ""
    while pos < len(text) and text[pos] not in closing:
        if text[pos] == "{":
            end = text.index("}", pos)
            items += [literal, Slot(text[pos + 1 : end])]
            literal, pos = "", end + 1
        elif text[pos] == "[":
            options = []
            while True:
                option, pos = _parse_items(text, pos + 1, closing="|]")
                options.append(option)
                if text[pos] == "]":
                    break
            items += [literal, Choice(tuple(options))]
            literal, pos = "", pos + 1
        else:
            literal += text[pos]
            pos += 1
    items.append(literal)
    return tuple(item for item in items if item != ""), pos


def read_sections(path: Path, comma: bool) -> dict[str, list[str]]:
    """Read `@section` blocks, one entry per line or, with `comma`, several per line."""
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for raw in path.read_text(encoding="utf-8").splitlines():
        line = raw.strip()
        if not line or line.startswith("# "):
            continue
        if line.startswith("@") and line[1:].replace("_", "").isalnum() and " " not in line:
            current = sections.setdefault(line[1:], [])
        elif comma:
            current += [part.strip() for part in line.split(",") if part.strip()]
        else:
            current.append(line)
    return sections


class Grammar:
    """Sections of parsed patterns, with an entity source and special slots."""

    def __init__(
        self,
        sections: dict[str, list[str]],
        entity: Callable[[str, random.Random, list[str]], str],
        specials: dict[str, Callable[[random.Random], str]],
    ) -> None:
        """Parse every pattern once; `entity(slot, rng, persons)` gives a name for a slot."""
        self.sections = {name: [parse(p) for p in ps] for name, ps in sections.items()}
        self.entity = entity
        self.specials = specials

    def sample(self, section: str, rng: random.Random) -> Sample:
        """Expand one pattern of `section` and join it to text with spans."""
        segments: list[Segment] = []
        self._expand(rng.choice(self.sections[section]), rng, segments, [])
        return join(segments)

    def _expand(
        self,
        items: tuple[object, ...],
        rng: random.Random,
        out: list[Segment],
        persons: list[str],
    ) -> None:
        for item in items:
            if isinstance(item, str):
                out.append((item, None))
            elif isinstance(item, Choice):
                self._expand(rng.choice(item.options), rng, out, persons)
            elif isinstance(item, Slot):
                self._fill(item.name, rng, out, persons)

    def _fill(self, name: str, rng: random.Random, out: list[Segment], persons: list[str]) -> None:
        label = name.split(".")[0]
        if label in TYPES:
            text = self.entity(name, rng, persons)
            if label == "PER":
                persons.append(text)
            out.append((text, label))
        elif name in self.specials:
            out.append((self.specials[name](rng), None))
        elif name in self.sections:
            self._expand(rng.choice(self.sections[name]), rng, out, persons)
        else:
            lower = (name[0].lower() + name[1:]).removesuffix("_cap")
            start = len(out)
            self._expand(rng.choice(self.sections[lower]), rng, out, persons)
            for i in range(start, len(out)):
                text, kind = out[i]
                if text.strip():
                    out[i] = (text[0].upper() + text[1:], kind)
                    break


def join(segments: list[Segment]) -> Sample:
    """Concatenate segments, choosing a/an and removing doubled or stray spaces."""
    text = ""
    entities: list[tuple[int, int, str]] = []
    for part, label in segments:
        part = re.sub(" +", " ", part)
        if not part:
            continue
        article = text.endswith((" a ", " A ")) or text in ("a ", "A ")
        vowel = part[0] in "aeiouAEIO" and not part.startswith(("Eu", "eu", "uni", "use", "one ", "usual"))
        if article and vowel:
            text = text[:-1] + "n "
        if text.endswith(" ") or not text:
            part = part.lstrip(" ")
        if not part:
            continue
        smiley = part[0] in ":;" and part[1:2] not in ("", " ")
        if text.endswith(" ") and part[0] in ",.!?;:" and not smiley:
            text = text.rstrip(" ")
        if text and text[-1] in ".!?" and part == ".":
            continue
        if label is not None:
            entities.append((len(text), len(text) + len(part), label))
        text += part
    return Sample(text.rstrip(" "), entities)
