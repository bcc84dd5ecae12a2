"""The worst differences between a model's answers and a reference's."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from candlewick._verify import STRATEGIES, TAGGER, Reference, Result
from candlewick.errors import TruncationWarning

#: Two labels whose probabilities are nearer than this may change places with the noise of float32.
TIE = 1e-5


class Row(NamedTuple):
    """One line of the comparison."""

    name: str
    compared: int
    #: Of those, how many are something else here.
    flips: int
    #: Of numbers that belong to the same thing.
    worst: float | None


class Comparison(NamedTuple):
    """All of it."""

    rows: list[Row]
    #: What a tolerance speaks of; logits have no scale of their own.
    worst_score: float
    #: Texts whose labels are not compared, because the reference itself can hardly decide.
    ties: int

    @property
    def flips(self) -> int:
        """What is something else here, of all kinds."""
        return sum(row.flips for row in self.rows)


def compare(pipe: Any, reference: Reference) -> Comparison:
    """Compare the answers of a pipeline with a reference."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)
        return _compare(pipe, reference)


def _compare(pipe: Any, reference: Reference) -> Comparison:
    tokens = reference.task == "token-classification"
    texts, results = reference.texts, reference.results
    found = pipe.logits(texts, **({} if tokens else {"truncation": True}))
    same = [_same_tokens(one, result) for one, result in zip(found, results, strict=True)]
    # What decides of a tagger's words is a path through all of them: two emissions that are equal say nothing of it.
    decided = [pipe.model_type == TAGGER or not any(map(_tied, result.logits)) for result in results]
    rows = [Row("tokens", len(texts), same.count(False), None)]
    # Of other tokens there are other logits: one difference is enough.
    rows.append(_logits([pair for pair, equal in zip(zip(found, results, strict=True), same, strict=True) if equal]))
    compared = [index for index, (equal, clear) in enumerate(zip(same, decided, strict=True)) if equal and clear]
    asked = [texts[index] for index in compared]
    theirs = [results[index].answers for index in compared]
    if not asked:
        scores = []
    elif tokens:
        scores = list(_strategies(pipe, asked, theirs))
    else:
        scores = list(_labels(pipe(asked, top_k=None, truncation=True), [answer["labels"] for answer in theirs]))
    worst = max((row.worst for row in scores if row.worst is not None), default=0.0)
    return Comparison([*rows, *scores], worst, decided.count(False))


def _same_tokens(one: Any, result: Result) -> bool:
    return bool(one.tokens == result.tokens and one.offsets.tolist() == result.offsets)


def _logits(pairs: list[tuple[Any, Result]]) -> Row:
    """Every row of logits: which label is highest, and how far the numbers are apart."""
    compared, flips, worst = 0, 0, 0.0
    for one, result in pairs:
        values = one.values.tolist()
        for ours, theirs in zip(values if one.values.ndim == 2 else [values], result.logits, strict=True):
            compared += 1
            worst = max(worst, *(_apart(a, b) for a, b in zip(ours, theirs, strict=True)))
            flips += not _tied(theirs) and ours.index(max(ours)) != theirs.index(max(theirs))
    return Row("logits", compared, flips, worst)


def _strategies(pipe: Any, texts: list[Any], theirs: list[dict[str, Any]]) -> Iterator[Row]:
    for strategy in STRATEGIES:
        compared, flips, worst = 0, 0, 0.0
        for ours, answer in zip(pipe(texts, aggregation_strategy=strategy, ignore_labels=[]), theirs, strict=True):
            expected = answer[strategy]
            compared += len(expected)
            missing, extra = Counter(map(_entity, expected)), Counter(map(_entity, ours))
            flips += max((missing - extra).total(), (extra - missing).total())
            if missing == extra:
                worst = max([worst, *(_apart(a["score"], b["score"]) for a, b in zip(ours, expected, strict=True))])
        yield Row(strategy, compared, flips, worst)


def _entity(entity: dict[str, Any]) -> tuple[Any, ...]:
    return (entity.get("entity", entity.get("entity_group")), entity["start"], entity["end"], entity["word"])


def _labels(ours: list[list[dict[str, Any]]], theirs: list[list[dict[str, Any]]]) -> Iterator[Row]:
    """A row for each label: where it is best here and not there, or there and not here."""
    for label in sorted({entry["label"] for answer in theirs for entry in answer}):
        flips, worst = 0, 0.0
        for mine, other in zip(ours, theirs, strict=True):
            flips += (mine[0]["label"] == label) != (other[0]["label"] == label)
            worst = max(worst, _apart(_score(mine, label), _score(other, label)))
        yield Row(label, len(theirs), flips, worst)


def _score(answer: list[dict[str, Any]], label: str) -> float:
    return next((float(entry["score"]) for entry in answer if entry["label"] == label), math.nan)


def _apart(one: float, other: float) -> float:
    """The distance; what is no number is as far as can be from one that is."""
    if math.isnan(one) or math.isnan(other):
        return 0.0 if math.isnan(one) and math.isnan(other) else math.inf
    return abs(one - other)


def _tied(logits: list[float]) -> bool:
    """Whether the two best labels are nearly equal."""
    if len(logits) < 2:
        return False
    exp = [math.exp(value - max(logits)) for value in logits]
    best, second, *_ = sorted((value / sum(exp) for value in exp), reverse=True)
    return best - second < TIE
