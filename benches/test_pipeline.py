"""BERT-base by candlewick and its peers: engines in turn, one busy at a time, results compared first."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint import Texts, make
from engines import Graph, peers, transformers_pipeline
from report import Report
from tokenizers import Tokenizer

import candlewick

#: Tokens of a text, special ones included, and how often each engine answers it.
LENGTHS = [(8, 60), (32, 40), (128, 20), (512, 8)]
#: Seconds before an engine's turn: threads of the one before may still be spinning (CTranslate2's for 0.2 s), and would
#: take a core from this one. Then one call that nobody times, as caches are cold, and so many that count.
PAUSE, EACH = 0.3, 4
#: Largest difference of logits between two engines in float32; of narrow numbers, the share of labels that agree with
#: float32's at least: weights are random, so many labels are close.
TOLERANCE, AGREEMENT = 5e-4, 0.7
#: Texts that peers pad to one length, and requests for the tail of the distribution.
BATCH, REQUESTS, RUN = 16, 2_000, 100
OURS = f"candlewick {candlewick.__version__}"
FOLDER = Path(__file__).parent.parent / ".bench" / "bert-base"


class Engines:
    """candlewick and its peers with the model loaded, in one type of numbers."""

    def __init__(self, dtype: str, threads: int) -> None:
        """Load all of them."""
        folder = make(FOLDER)
        self.dtype, self.threads = dtype, threads
        self.exact = candlewick.pipeline("ner", folder, threads=threads)
        self.ours = candlewick.pipeline(
            "ner", folder, threads=threads, dtype=dtype, quality="skip", aggregation_strategy="simple"
        )
        self.peers = peers(folder, threads, dtype)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def ids(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Ids and mask, padded to the longest text."""
        rows = [self._tokenizer.encode(text).ids for text in texts]
        ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
        mask = np.zeros_like(ids)
        for row, (at, length) in zip(rows, enumerate(map(len, rows)), strict=True):
            ids[at, :length], mask[at, :length] = row, 1
        return ids, mask

    def check(self) -> dict[str, float]:
        """All answer the same, as far as their numbers allow: the share of float32's labels that each one finds."""
        text = Texts().of(512)
        expected = self.exact.logits(text).values
        found = {name: graph(*self.ids([text]))[0] for name, graph in self.peers.items()}
        found[OURS] = self.ours.logits(text).values
        if self.dtype == "float32":
            apart = {name: np.abs(logits - expected).max() for name, logits in found.items()}
            assert max(apart.values()) < TOLERANCE, apart
        agree = {name: np.mean(logits.argmax(-1) == expected.argmax(-1)) for name, logits in found.items()}
        assert min(agree.values()) >= AGREEMENT, agree
        return agree


@pytest.fixture(scope="session", params=[2, 1], ids=["2 threads", "1 thread"])
def threads(request: pytest.FixtureRequest) -> int:
    """Threads of every engine."""
    return int(request.param)


@pytest.fixture(scope="session", params=["float32", "bfloat16", "int8"])
def engines(request: pytest.FixtureRequest, threads: int, report: Report) -> Iterator[Engines]:
    """All engines with the same numbers and threads."""
    engines = Engines(request.param, threads)
    for name, share in engines.check().items():
        if engines.dtype == "int8":
            report.fact(f"labels of 512 tokens in int8 that are float32's, {name}", f"{share:.1%}")
    yield engines


def in_turn(calls: dict[str, Callable[[], Any]], rounds: int, each: int = EACH) -> dict[str, list[float]]:
    """Times of each call, round by round."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds // each):
        for name, call in calls.items():
            time.sleep(PAUSE)
            call()
            for _ in range(each):
                start = time.perf_counter()
                call()
                times[name].append(time.perf_counter() - start)
    return times


def bare(graph: Graph, ids: np.ndarray, mask: np.ndarray) -> Callable[[], Any]:
    """A call of a graph alone."""
    return lambda: graph(ids, mask)


@pytest.mark.parametrize(("tokens", "rounds"), LENGTHS)
def test_one_text(benchmark: Any, engines: Engines, report: Report, tokens: int, rounds: int) -> None:
    text = Texts().of(tokens)
    ids, mask = engines.ids([text])
    calls = {OURS: lambda: engines.ours(text)} | {name: bare(graph, ids, mask) for name, graph in engines.peers.items()}
    times = in_turn(calls, rounds)
    benchmark.pedantic(lambda: engines.ours(text), rounds=3)
    report.add(engines.dtype, engines.threads, f"{tokens} tokens", times)


def test_tail(engines: Engines, report: Report) -> None:
    if (engines.dtype, engines.threads) != ("int8", 2):
        pytest.skip("measured once")
    text = Texts().of(32)
    ids, mask = engines.ids([text])
    calls = {OURS: lambda: engines.ours(text)} | {name: bare(graph, ids, mask) for name, graph in engines.peers.items()}
    times = in_turn(calls, REQUESTS, RUN)
    for name, values in times.items():
        cuts = statistics.quantiles(values, n=100)
        report.fact(f"p99 / p50 of {REQUESTS:,} requests of 32 tokens in int8, {name}", f"{cuts[98] / cuts[49]:.2f}")


def test_many_texts(engines: Engines, report: Report) -> None:
    if engines.dtype == "bfloat16":
        pytest.skip("float32 and int8 say enough")
    texts = Texts().mixed(128)
    tokens = sum(int(engines.ids([text])[1].sum()) for text in texts)
    ordered = sorted(texts, key=len)
    batches = [engines.ids(ordered[at : at + BATCH]) for at in range(0, len(ordered), BATCH)]

    def graph(run: Graph) -> Callable[[], Any]:
        return lambda: [run(*batch) for batch in batches]

    calls = {OURS: lambda: engines.ours(texts)} | {name: graph(run) for name, run in engines.peers.items()}
    times = in_turn(calls, 2, each=1)
    report.add(engines.dtype, engines.threads, f"128 texts, {tokens:,} tokens", times)
    if (engines.dtype, engines.threads) == ("int8", 2):
        reference = transformers_pipeline(FOLDER, engines.threads)
        best = min(seconds(reference, texts, size) for size in (1, 8, 16))
        ratio = best / statistics.median(times[OURS])
        report.fact("128 texts: transformers pipeline (float32, best of batch 1, 8, 16) over int8", f"{ratio:.1f}")


def seconds(reference: Callable[[list[str], int], Any], texts: list[str], size: int) -> float:
    """One run over all texts."""
    start = time.perf_counter()
    reference(texts, size)
    return time.perf_counter() - start
