"""BERT-base by candlewick and its peers: engines in turn, one busy at a time, results compared first."""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from comparison import OURS, TURNS, Engines, Limit, bare, in_turn, seconds
from engines import Graph, transformers_pipeline
from report import Report
from subjects import BERT
from texts import Texts

#: Tokens of a text, special ones included, and how often each engine answers it.
LENGTHS = [(8, 60), (32, 40), (128, 20), (512, 8)]
#: Texts that peers pad to one length, and requests for the tail of the distribution.
BATCH, REQUESTS, RUN = 16, 2_000, 20
#: What has a tail, too, where the machine is shared.
HASHES = "hashes on both processors, as long as candlewick"


@pytest.fixture(scope="session", params=[2, 1], ids=["2 threads", "1 thread"])
def threads(request: pytest.FixtureRequest) -> int:
    """Threads of every engine."""
    return int(request.param)


@pytest.fixture(scope="session", params=["float32", "bfloat16", "int8"])
def engines(request: pytest.FixtureRequest, threads: int, report: Report) -> Iterator[Engines]:
    """All engines with the same numbers and threads."""
    engines = Engines(BERT, request.param, threads)
    for name, share in engines.check().items():
        if engines.dtype == "int8":
            report.fact(f"labels of 512 tokens in int8 that are float32's, {name}", f"{share:.1%}")
    yield engines


@pytest.mark.parametrize(("tokens", "rounds"), LENGTHS)
def test_one_text(benchmark: Any, engines: Engines, report: Report, tokens: int, rounds: int) -> None:
    engines.measure(tokens, rounds, report)
    text = Texts().of(tokens)
    benchmark.pedantic(lambda: engines.ours(text), rounds=3)


def test_tail(engines: Engines, report: Report) -> None:
    if (engines.dtype, engines.threads) != ("int8", 2):
        pytest.skip("measured once")
    text = Texts().of(32)
    ids, mask = engines.ids([text])
    calls = {OURS: lambda: engines.ours(text)} | {name: bare(graph, ids, mask) for name, graph in engines.peers.items()}
    with ThreadPoolExecutor(1) as other:
        calls[HASHES] = hashes(other, statistics.median(seconds(calls[OURS]) for _ in range(RUN)))
        times = in_turn(calls, REQUESTS, RUN)
    for name, values in times.items():
        cuts = statistics.quantiles(values, n=100)
        report.fact(f"p99 / p50 of {REQUESTS:,} requests of 32 tokens in int8, {name}", f"{cuts[98] / cuts[49]:.2f}")


def test_many_texts(engines: Engines, report: Report) -> None:
    if engines.dtype == "bfloat16":
        pytest.skip("float32 and int8 say enough")
    texts = Texts().mixed(128)
    counts = [int(engines.ids([text])[1].sum()) for text in texts]
    ordered = sorted(texts, key=len)
    batches = [engines.ids(ordered[at : at + BATCH]) for at in range(0, len(ordered), BATCH)]

    def graph(run: Graph) -> Callable[[], Any]:
        return lambda: [run(*batch) for batch in batches]

    calls = {OURS: lambda: engines.ours(texts)} | {name: graph(run) for name, run in engines.peers.items()}
    limit, rounds = Limit(engines, counts), 3 if engines.dtype == "float32" else TURNS
    times = in_turn(calls, rounds, 1, limit)
    report.add(BERT.title, engines.dtype, engines.threads, f"128 texts, {sum(counts):,} tokens", times, limit.share)
    if (engines.dtype, engines.threads) == ("int8", 2):
        reference = transformers_pipeline(BERT, engines.threads, aggregation_strategy="simple")
        best = min(seconds(partial(reference, texts, size)) for size in (1, 8, 16))
        ratio = best / statistics.median(times[OURS])
        report.fact("128 texts: transformers pipeline (float32, best of batch 1, 8, 16) over int8", f"{ratio:.1f}")


def hashes(other: ThreadPoolExecutor, duration: float) -> Callable[[], Any]:
    """Arithmetic alone, on this thread and another one: what the machine makes of the tail of anything so long."""
    block = bytes(1 << 20)
    share = duration / statistics.median(seconds(lambda: hashlib.sha256(block)) for _ in range(RUN))
    data = bytes(round(len(block) * share))

    def call() -> None:
        there = other.submit(hashlib.sha256, data)
        hashlib.sha256(data)
        there.result()

    return call
