"""Text in, entities out: candlewick and its peers on the same BERT-base, engines in turn, answers compared first."""

from __future__ import annotations

import time
from typing import Any

import pytest
from checkpoint import Texts
from engines import Engine
from report import Report

#: Tokens of a text, special ones included, and how often each engine answers it.
LENGTHS = [(8, 40), (32, 30), (128, 15), (512, 6)]
#: Largest difference of scores between two engines in float32.
TOLERANCE = 2e-5


def assert_same(name: str, got: Any, expected: Any) -> None:
    """Every engine finds the same entities."""
    for one, other in zip(got, expected, strict=True):
        for mine, theirs in zip(one, other, strict=True):
            assert {**mine, "score": 0} == {**theirs, "score": 0}, name
            assert abs(mine["score"] - float(theirs["score"])) < TOLERANCE, name


def compare(
    benchmark: Any, engines: dict[str, Engine], report: Report, what: str, texts: list[str], rounds: int
) -> None:
    """Time every engine in turn; pytest-benchmark keeps our times, the report all of them."""
    (our_name, ours), *peers = engines.items()
    expected = peers[0][1](texts)
    assert any(len(answer) > 1 for answer in expected)
    for name, engine in engines.items():
        assert_same(name, engine(texts), expected)
    times: dict[str, list[float]] = {name: [] for name in engines}

    def others() -> None:
        for name, engine in peers:
            start = time.perf_counter()
            engine(texts)
            times[name].append(time.perf_counter() - start)

    def timed() -> None:
        start = time.perf_counter()
        ours(texts)
        times[our_name].append(time.perf_counter() - start)

    benchmark.pedantic(timed, setup=others, rounds=rounds, warmup_rounds=1)
    report.add(what, times)


@pytest.mark.parametrize(("tokens", "rounds"), LENGTHS)
def test_one_text(benchmark: Any, engines: dict[str, Engine], report: Report, tokens: int, rounds: int) -> None:
    compare(benchmark, engines, report, f"{tokens} tokens", [Texts().of(tokens)], rounds)


def test_ragged_mix(benchmark: Any, engines: dict[str, Engine], report: Report) -> None:
    compare(benchmark, engines, report, "64 texts, log-normal", Texts().mixed(64), 3)
