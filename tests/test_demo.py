"""The demo models are as good as their README says, and fail where it says."""

from __future__ import annotations

import re
from pathlib import Path

import evaluate
import pytest

import candlewick

DEMO = Path(__file__).parent.parent / "demo"
README = (DEMO / "README.md").read_text(encoding="utf-8")


Tokens = candlewick.TokenClassificationPipeline
Texts = candlewick.TextClassificationPipeline


@pytest.mark.parametrize("name", ["handwritten", "late"])
def test_entities(ner: Tokens, name: str) -> None:
    rows = evaluate.sentences("ner", name)
    found = [evaluate.spans(answer) for answer in ner([row["text"] for row in rows])]
    precision, recall, f1 = evaluate.span_scores(rows, found)["all"]
    assert f1 >= 0.80
    assert f"| {precision:.3f} | {recall:.3f} | {f1:.3f} |" in README
    for expected, got in evaluate.ner_failures(rows, found):
        assert f"- {expected}\n  - {got}\n" in README


@pytest.mark.parametrize("name", ["handwritten", "late"])
def test_sentiment(sentiment: Texts, name: str) -> None:
    rows = evaluate.sentences("sentiment", name)
    found = [answer["label"] for answer in sentiment([row["text"] for row in rows])]
    accuracy = evaluate.accuracy(rows, found)["all"]
    assert accuracy >= 0.85
    assert f"| {accuracy:.3f} |" in README
    for expected, got, text in evaluate.sentiment_failures(rows, found):
        assert f"- {expected} as {got}: {text}\n" in README


def test_there_are_as_many_sentences_as_promised() -> None:
    assert sum(len(evaluate.sentences(task, "handwritten")) for task in ("ner", "sentiment")) >= 300


def test_no_test_sentence_is_in_the_patterns() -> None:
    def runs(text: str) -> set[tuple[str, ...]]:
        words = re.findall(r"\w+", text.lower())
        return {tuple(words[at : at + 5]) for at in range(len(words) - 4)}

    for task in ("ner", "sentiment"):
        patterns = (DEMO / "data" / f"{task}_templates.txt").read_text(encoding="utf-8")
        known = set().union(*map(runs, patterns.splitlines()))
        for row in evaluate.sentences(task, "handwritten"):
            assert not runs(row["text"]) & known, row["text"]


def test_the_models_are_small() -> None:
    files = (Path(candlewick.__file__).parent / "demo").rglob("*")
    assert sum(file.stat().st_size for file in files if file.is_file()) <= 8_000_000
