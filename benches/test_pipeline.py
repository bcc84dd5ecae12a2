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
#: Seconds before each answer: the threads of the engine before may still be spinning, and one is to be busy at a time.
PAUSE = 0.03
#: Largest difference of scores between two engines in float32.
TOLERANCE = 2e-5
#: Share of entities on which engines in bfloat16 agree at least: weights are random, many labels are close.
AGREEMENT = 0.8


def assert_same(name: str, got: Any, expected: Any, dtype: str) -> None:
    """Every engine finds the same entities; in bfloat16 most of them."""
    mine = {(at, e["entity_group"], e["start"], e["end"]): e["score"] for at, answer in enumerate(got) for e in answer}
    others = {
        (at, e["entity_group"], e["start"], e["end"]): e["score"] for at, answer in enumerate(expected) for e in answer
    }
    if dtype == "bfloat16":
        assert len(mine.keys() & others.keys()) >= AGREEMENT * len(others) - 1, name
        return
    assert mine.keys() == others.keys(), name
    assert all(abs(score - float(others[key])) < TOLERANCE for key, score in mine.items()), name


def compare(
    benchmark: Any, engines: dict[str, Engine], dtype: str, report: Report, what: str, texts: list[str], rounds: int
) -> None:
    """Time every engine in turn; pytest-benchmark keeps our times, the report all of them."""
    (our_name, ours), *peers = engines.items()
    expected = peers[0][1](texts)
    assert any(len(answer) > 1 for answer in expected)
    for name, engine in engines.items():
        assert_same(name, engine(texts), expected, dtype)
    times: dict[str, list[float]] = {name: [] for name in engines}

    def others() -> None:
        for name, engine in peers:
            time.sleep(PAUSE)
            start = time.perf_counter()
            engine(texts)
            times[name].append(time.perf_counter() - start)
        time.sleep(PAUSE)

    def timed() -> None:
        start = time.perf_counter()
        ours(texts)
        times[our_name].append(time.perf_counter() - start)

    benchmark.pedantic(timed, setup=others, rounds=rounds, warmup_rounds=1)
    report.add(dtype, what, times)


@pytest.mark.parametrize(("tokens", "rounds"), LENGTHS)
def test_one_text(
    benchmark: Any, engines: dict[str, Engine], dtype: str, report: Report, tokens: int, rounds: int
) -> None:
    compare(benchmark, engines, dtype, report, f"{tokens} tokens", [Texts().of(tokens)], rounds)


def test_ragged_mix(benchmark: Any, engines: dict[str, Engine], dtype: str, report: Report) -> None:
    compare(benchmark, engines, dtype, report, "64 texts, log-normal", Texts().mixed(64), 3)
