"""Sentences with the words and entities that they were written down with."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

CASE = json.loads(Path(os.environ["FAKE_FLAIR"]).read_text(encoding="utf-8"))
_SENTENCES = {one["text"]: one for one in CASE["sentences"] if isinstance(one["text"], str)}


class Unit:
    """A word or a span."""

    def __init__(self, text: str, start: int, end: int) -> None:
        self.text, self.start_position, self.end_position = text, start, end
        self.labels: dict[str, Any] = {}

    def has_label(self, name: str) -> bool:
        return name in self.labels

    def get_label(self, name: str) -> Any:
        return self.labels[name]


class Sentence:
    """Positions are those in the text without the characters that are dropped."""

    def __init__(self, text: str) -> None:
        kept = [at for at, character in enumerate(text) if self._handle_problem_characters(character)]
        if text not in _SENTENCES:
            raise ValueError("substring not found")
        self.known = _SENTENCES[text]
        starts = [(word, kept.index(start)) for word, start in self.known["tokens"]]
        self._words = [Unit(word, start, start + len(word)) for word, start in starts]
        self._spans: list[Unit] = []
        for entity in self.known["entities"]:
            span = Unit(entity["word"], kept.index(entity["start"]), kept.index(entity["end"] - 1) + 1)
            self._spans.append(span)

    def __iter__(self) -> Iterator[Unit]:
        return iter(self._words)

    def get_spans(self, name: str) -> list[Unit]:
        return [span for span in self._spans if span.has_label(name)]

    def label(self, name: str, *, spans: bool) -> None:
        for entity, span in zip(self.known["entities"], self._spans, strict=True):
            word = next((word for word in self._words if word.start_position == span.start_position), None)
            unit = span if spans else word
            assert unit is not None
            unit.labels[name] = SimpleNamespace(value=entity["entity_group"], score=entity["score"])

    @staticmethod
    def _handle_problem_characters(text: str) -> str:
        text = "".join(character for character in text if character not in "\u200b\u200c\ufe0f\ufeff\u2028\u2029")
        return "".join(_windows(character) for character in text)


def _windows(character: str) -> str:
    """A letter of windows-1252 that was taken for one of latin-1."""
    if not "\u0080" <= character <= "\u0099":
        return character
    return bytes([ord(character)]).decode("windows-1252", errors="ignore")
