"""`candlewick serve` over loopback: what HTTP costs, how much is answered, and what happens when too much is asked.

Client and server share the machine's processors, so the client is native and its own share is reported.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from report import Report
from servers import Load, Server, ask, candlewick_server, fastapi_server, load
from subjects import BERT
from texts import Texts

import candlewick

THREADS = 2
NINE = "My name is Sarah and I live in London"
FRESH = {"x-use-cache": "0"}
#: What a request may wait, in milliseconds: the server's default.
TARGET = 200
INT8 = ("--dtype", "int8", "--quality", "skip", "--threads", str(THREADS))
#: Accepted whatever it takes, for what is measured below the limit.
PATIENT = ("--target-latency", "60000")


@pytest.fixture(scope="session")
def scale(request: pytest.FixtureRequest) -> float:
    """How much of the usual counts is measured."""
    return 0.02 if request.config.option.trial else 1.0


def line(text: str, expected: Any = None, kind: str = "text") -> dict[str, Any]:
    """A request for a text that no cache answers."""
    return {"kind": kind, "headers": FRESH, "body": {"inputs": text}, "expected": expected}


def client(report: Report, what: str, share: float) -> None:
    """What the client took of the machine that the server had to do without."""
    report.fact(f"{what}: the client's share of a processor", f"{share:.0%}")


def quantile(times: list[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * share))] * 1e3


def test_overhead_of_http(server_report: Report, scale: float) -> None:
    """The demo model, nine words, a server with nothing else to do: the same call in a process, and over HTTP."""
    pipe = candlewick.pipeline("ner", threads=THREADS)
    body = {"inputs": NINE}
    asked, count = [line(NINE, pipe.query(body))], max(100, int(2_000 * scale))
    inside: dict[str, list[float]] = {"p50": [], "p99": []}
    outside: dict[str, list[float]] = {"p50": [], "p99": []}
    shares = []
    with candlewick_server(*PATIENT, "--threads", str(THREADS)) as server:
        load(server.url, asked, requests=100)
        for _ in range(5):
            times = []
            for _ in range(count):
                start = time.perf_counter()
                pipe.query(body)
                times.append(time.perf_counter() - start)
            over = load(server.url, asked, requests=count)
            shares.append(over.client)
            for name, share in (("p50", 0.5), ("p99", 0.99)):
                inside[name].append(quantile(times, share))
                outside[name].append(over.ms("text 200", name))
    # Of the rounds, which took turns, the median one.
    apart = {name: [far - near for far, near in zip(outside[name], inside[name], strict=True)] for name in inside}
    for name in inside:
        own, http = statistics.median(inside[name]), statistics.median(outside[name])
        value = f"{statistics.median(apart[name]):.2f} ms ({http:.2f} against {own:.2f})"
        server_report.fact(f"HTTP over the call in a process, demo model, 9 words, {name}", value)
    client(server_report, "HTTP over the call in a process", statistics.median(shares))


class Bench:
    """BERT-base in int8 behind candlewick, and its peers."""

    def __init__(self, servers: ExitStack, scale: float) -> None:
        """Load all of them."""
        folder = BERT.make()
        self.texts = Texts().mixed(128)
        self.pipe = candlewick.pipeline(
            "ner", folder, dtype="int8", quality="skip", threads=THREADS, aggregation_strategy="simple"
        )
        self.answers = self.pipe(self.texts)
        self.ours = servers.enter_context(candlewick_server(str(folder), *INT8, *PATIENT))
        self.peers = {
            name: servers.enter_context(fastapi_server(engine, THREADS))
            for name, engine in (("transformers", "torch"), ("ONNX Runtime int8", "onnxruntime"))
        }
        self.scale = scale

    def lines(self, check: bool) -> list[dict[str, Any]]:
        """Every text as a request; the peers' answers are their own."""
        return [line(text, answer if check else None) for text, answer in zip(self.texts, self.answers, strict=True)]


@pytest.fixture(scope="module")
def bench(scale: float) -> Iterator[Bench]:
    """All servers at once; only one of them is asked at a time."""
    with ExitStack() as servers:
        yield Bench(servers, scale)


def per_second(server: Server, asked: list[dict[str, Any]], count: int) -> tuple[float, Load]:
    """Texts that 64 clients get answered in a second."""
    found = load(server.url, asked, clients=64, requests=count)
    return count / found.seconds, found


def test_throughput(server_report: Report, bench: Bench) -> None:
    """64 clients with single texts of mixed length, against all texts in one call of the same process."""
    count = max(64, int(512 * bench.scale))
    ours, calls, shares = [], [], []
    peers: dict[str, list[float]] = {name: [] for name in bench.peers}
    for _ in range(1 if bench.scale < 1 else 5):
        start = time.perf_counter()
        bench.pipe(bench.texts)
        calls.append(len(bench.texts) / (time.perf_counter() - start))
        rate, found = per_second(bench.ours, bench.lines(True), count)
        ours.append(rate)
        shares.append(found.client)
        for name, server in bench.peers.items():
            peers[name].append(per_second(server, bench.lines(False), max(16, count // 8))[0])
    rate = statistics.median(ours)
    ratio = statistics.median(one / other for one, other in zip(ours, calls, strict=True))
    what = "BERT-base int8, 64 clients, single texts"
    server_report.fact(f"{what}: texts a second", f"{rate:.0f}")
    server_report.fact(f"{what}: of the batches of one call in a process", f"{ratio:.0%}")
    for name, rates in peers.items():
        times = statistics.median(one / other for one, other in zip(ours, rates, strict=True))
        value = f"{times:.1f} ({statistics.median(rates):.1f} a second)"
        server_report.fact(f"{what}: times FastAPI with {name}", value)
    client(server_report, what, statistics.median(shares))


def test_three_times_as_much_as_can_be_answered(server_report: Report, bench: Bench) -> None:
    """Texts at three times the rate that 64 clients reached; with them, health and an answer that is in the cache."""
    texts = bench.lines(True)
    capacity = per_second(bench.ours, texts, max(64, int(512 * bench.scale)))[0]
    known = {**line(NINE, ask(bench.ours.url, NINE), "cached"), "headers": {}}
    health = {"kind": "health", "method": "GET", "path": "/health"}
    # One of each to eight texts.
    asked = [one for at, text in enumerate(texts) for one in ([text, known, health] if at % 8 == 0 else [text])]
    rate = 3 * capacity * len(asked) / len(texts)
    with candlewick_server(str(BERT.folder), *INT8, "--target-latency", str(TARGET)) as server:
        ask(server.url, NINE)
        load(server.url, texts, clients=8, requests=max(32, int(256 * bench.scale)))  # it learns what texts cost
        found = load(server.url, asked, rate=rate, seconds=max(2.0, 30 * bench.scale))
    accepted, refused = found.count("text 200"), found.count("text 429")
    assert accepted and refused, found.found
    what = f"3 times the capacity, target {TARGET} ms"
    kinds = {"accepted": "text 200", "429": "text 429", "/health": "health 200", "cached answers": "cached 200"}
    for name, kind in kinds.items():
        times = ", ".join(f"{found.ms(kind, share):.1f}" for share in ("p50", "p99", "max"))
        server_report.fact(f"{what}: p50, p99, max of {name}", f"{times} ms")
    server_report.fact(f"{what}: texts answered, of the capacity", f"{accepted / found.seconds / capacity:.0%}")
    client(server_report, what, found.client)


def test_memory_under_load(server_report: Report, bench: Bench) -> None:
    """After a first round of every length."""
    count = max(64, int(1_024 * bench.scale))
    load(bench.ours.url, bench.lines(True), clients=64, requests=count)
    before = bench.ours.resident()
    load(bench.ours.url, bench.lines(True), clients=64, requests=4 * count)
    after = bench.ours.resident()
    growth = f"{after / before - 1:+.1%} ({before / (1 << 20):.0f} MiB)"
    server_report.fact(f"memory of the server after {4 * count:,} more requests", growth)


def test_start(server_report: Report, scale: float) -> None:
    """From the start of the process to the first answer of the demo model, over an interpreter that does nothing."""
    served, bare = [], []
    for _ in range(max(3, int(15 * scale))):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", ""], check=True)
        bare.append(time.perf_counter() - start)
        start = time.perf_counter()
        command = [sys.executable, "-m", "candlewick", "serve", "--port", "0"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            found = ask(process.stderr.readline().split()[-1], NINE)
            served.append(time.perf_counter() - start)
            assert found[0]["word"] == "Sarah"
            process.terminate()
            process.stderr.read()
    over = (statistics.median(served) - statistics.median(bare)) * 1e3
    server_report.fact("process start to first answer, demo model, over the bare interpreter", f"{over:.0f} ms")
