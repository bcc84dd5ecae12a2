"""candlewick and its peers: results compared first, then engines in turn, one busy at a time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from engines import Graph, peers
from report import Report
from subjects import Subject
from texts import Texts
from tokenizers import Tokenizer

import candlewick
from candlewick import _cli_bench, _native

#: Seconds before an engine's turn: threads of the one before may still be spinning (CTranslate2's for 0.2 s), and would
#: take a core from this one. Then one call that nobody times, as caches are cold, and so many that count.
PAUSE, EACH = 0.3, 4
#: So many turns at least, if there are as many calls: a machine's states last for seconds.
TURNS = 8
#: Largest difference of logits between two engines in float32; of narrow numbers, the share of labels that agree with
#: float32's at least: weights are random, so many labels are close.
TOLERANCE, AGREEMENT = 5e-4, 0.7
OURS = f"candlewick {candlewick.__version__}"


class Engines:
    """candlewick and its peers with the model loaded, in one type of numbers."""

    def __init__(self, subject: Subject, dtype: str, threads: int) -> None:
        """Load all of them."""
        folder, task = subject.make(), subject.task
        self.subject, self.dtype, self.threads = subject, dtype, threads
        options = {"aggregation_strategy": "simple"} if task == "token-classification" else {}
        self.exact = candlewick.pipeline(task, folder, threads=threads)
        self.ours = candlewick.pipeline(task, folder, threads=threads, dtype=dtype, quality="skip", **options)
        self.peers = peers(subject, threads, dtype)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def ids(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Ids and mask, padded to the longest text."""
        rows = [self._tokenizer.encode(text).ids for text in texts]
        ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
        mask = np.zeros_like(ids)
        for row, (at, length) in zip(rows, enumerate(map(len, rows)), strict=True):
            ids[at, :length], mask[at, :length] = row, 1
        return ids, mask

    def measure(self, tokens: int, rounds: int, report: Report) -> None:
        """Report the times of all for one text, and the share of the machine's limit that candlewick reaches."""
        text = Texts().of(tokens)
        ids, mask = self.ids([text])
        calls = {OURS: lambda: self.ours(text)} | {name: bare(graph, ids, mask) for name, graph in self.peers.items()}
        limit = Limit(self, [int(mask.sum())])
        times = in_turn(calls, rounds, min(EACH, max(1, rounds // TURNS)), limit)
        report.add(self.subject.title, self.dtype, self.threads, f"{tokens} tokens", times, limit.share)

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
        # A single label says nothing.
        assert self.subject.task != "token-classification" or min(agree.values()) >= AGREEMENT, agree
        return agree


class Limit:
    """What the machine could do while candlewick had its turns."""

    def __init__(self, engines: Engines, counts: list[int]) -> None:
        """For texts of so many tokens in one call."""
        self._takes = _cli_bench.least(engines.ours, counts)
        self._yardstick = _native.Yardstick(engines.threads)
        self._moments: list[_cli_bench.Moment] = []

    def turn(self, call: Callable[[], Any], each: int) -> list[float]:
        """Times of a turn, between two measurements of the machine."""
        before = self._takes(self._yardstick.now())
        times = turn(call, each)
        after = self._takes(self._yardstick.now())
        self._moments.append(_cli_bench.Moment.between(statistics.median(times), before, after))
        return times

    @property
    def share(self) -> float:
        """The share of the machine's limit that candlewick reached."""
        return statistics.median(moment.share for moment in self._moments)


def in_turn(
    calls: dict[str, Callable[[], Any]], rounds: int, each: int = EACH, limit: Limit | None = None
) -> dict[str, list[float]]:
    """Times of each call, round by round; candlewick's by the side of the machine's limit."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds // each):
        for name, call in calls.items():
            time.sleep(PAUSE)
            times[name] += limit.turn(call, each) if limit and name == OURS else turn(call, each)
    return times


def turn(call: Callable[[], Any], each: int) -> list[float]:
    """Times of an engine's calls that follow each other."""
    call()
    return [seconds(call) for _ in range(each)]


def seconds(call: Callable[[], Any]) -> float:
    """How long it takes once."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def bare(graph: Graph, ids: np.ndarray, mask: np.ndarray) -> Callable[[], Any]:
    """A call of a graph alone."""
    return lambda: graph(ids, mask)
