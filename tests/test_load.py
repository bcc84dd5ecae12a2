"""`candlewick serve` under load by a native client (tests/load): what it answers, what it keeps, how it ends."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from serving import command, connect, measured, post

import candlewick

ROOT = Path(__file__).parent.parent
CLIENT = ROOT / "target" / "load" / "release" / "candlewick-load"
WAITS = {"x-wait-for-model": "1"}
FRESH = {"x-use-cache": "0"}
WORDS = "Sarah Jessica Parker lives in New York City and works for Acme with 日本 😀 , . really".split()

# On a machine with other things to do it takes long.
pytestmark = pytest.mark.timeout(600)

#: Asks a server by the lines of a file; what came back.
Load = Callable[..., dict[str, Any]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    assert CLIENT.exists(), "make test-load builds the client"

    def load(url: str, lines: Iterable[dict[str, Any]], **options: float) -> dict[str, Any]:
        file = tmp_path / "requests.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        flags = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        done = subprocess.run([CLIENT, url, file, *flags], check=True, capture_output=True, text=True, timeout=500)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return load


def counts(found: dict[str, Any]) -> dict[str, int]:
    """Answers by kind and status."""
    return {kind: times["count"] for kind, times in found["answers"].items()}


def text(source: random.Random, words: int) -> str:
    return " ".join(source.choices(WORDS, k=words))


def requests() -> list[dict[str, Any]]:
    """Both models, every shape of input, texts of a word to many windows, with and without the cache."""
    source = random.Random(0)
    ner = candlewick.pipeline("ner", threads=1)
    sentiment = candlewick.pipeline("sentiment-analysis", threads=1)
    bodies: list[tuple[str, dict[str, Any]]] = []
    for words in (1, 2, 3, 5, 9, 17, 33, 65, 129, 257, 400):
        one = text(source, words)
        bodies += [
            ("ner", {"inputs": one}),
            ("ner", {"inputs": one * 3, "parameters": {"stride": 16, "aggregation_strategy": "first"}}),
            ("ner", {"inputs": [one, "", text(source, 7)], "parameters": {"aggregation_strategy": "none"}}),
            ("sentiment", {"inputs": one, "parameters": {"function_to_apply": "sigmoid"}}),
            ("sentiment", {"inputs": [{"text": one, "text_pair": text(source, 20)}, text(source, 4)]}),
        ]
    pipes = {"ner": ner, "sentiment": sentiment}
    return [
        {"path": f"/models/demo-{name}", "headers": headers, "body": body, "expected": pipes[name].query(body)}
        for headers in (FRESH, {})
        for name, body in bodies
    ]


@pytest.mark.filterwarnings("ignore:truncation")
def test_every_answer_is_that_of_a_single_thread(load: Load) -> None:
    asked = requests()
    with command("--log-level", "off", "--target-latency", "60000", "--max-concurrent-requests", "600") as (_, url):
        post(f"{url}/models/demo-sentiment", {"inputs": "a"}, **WAITS)
        for clients, count in ((1, 110), (8, 440), (64, 1_100), (512, 1_540)):
            found = load(url, asked, clients=clients, requests=count)
            assert counts(found) == {"text 200": count}, clients
            lost = {name: found[name] for name in ("wrong", "unanswered", "cut", "refused")}
            assert not any(lost.values()), (clients, lost, found["first_wrong"])
        assert measured(url, "te_queue_size") == 0


def resident(process: int) -> int:
    """Bytes of memory that are a process's own."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    found = re.search(r"^RssAnon:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) << 10


def test_twenty_thousand_requests_leave_nothing_behind(load: Load) -> None:
    source = random.Random(1)
    # More answers than the cache has room for, errors, and connections that are opened for a few requests each.
    asked = [{"body": {"inputs": text(source, source.randint(1, 12))}} for _ in range(4_000)]
    asked[::10] = [{"kind": "bad", "body": {"inputs": text(source, 9), "parameters": {"bogus": 1}}}] * 400
    limits = ("--target-latency", "60000", "--cache-size", "200000")
    with command("--log-level", "off", *limits) as (process, url):
        post(f"{url}/models/demo-sentiment", {"inputs": "a"}, **WAITS)
        sizes = []
        for _ in range(7):
            found = load(url, asked, clients=32, requests=4_000)
            assert counts(found) == {"text 200": 3_600, "bad 400": 400}
            sizes.append(resident(process.pid))
    # Two rounds warm up; the other five are twenty thousand requests. A megabyte is what the allocator's arenas vary
    # by: a hundred bytes that each request leaves behind are more than both.
    assert max(sizes[2:]) <= 1.05 * sizes[1] + (1 << 20), sizes


def test_a_server_that_is_told_to_stop_under_load_answers_what_it_has_accepted(load: Load) -> None:
    source = random.Random(2)
    asked = [{"headers": FRESH, "body": {"inputs": text(source, 40)}} for _ in range(100)]
    with command("--json-output", "--target-latency", "60000") as (process, url):
        log: list[str] = []
        reader = threading.Thread(target=lambda: log.extend(process.stderr or ()))
        reader.start()
        post(url, {"inputs": "a"}, **WAITS)

        def stop() -> None:
            while measured(url, 'te_request_count{method="single"}') < 300:
                time.sleep(0.01)
            process.send_signal(signal.SIGTERM)

        stopper = threading.Thread(target=stop)
        stopper.start()
        found = load(url, asked, clients=64, requests=1_000_000)
        stopper.join()
        assert process.wait(60) == 0
        reader.join()
    answered = [line for line in map(json.loads, log) if line.get("route") == "/"]
    assert {line["status"] for line in answered} == {200}
    # All but the one that waited for the model. Clients whose connection was closed had not been heard.
    assert counts(found) == {"text 200": len(answered) - 1}
    assert (found["cut"], found["refused"]) == (0, 64)


def test_what_is_too_much_is_refused_and_the_rest_goes_on(load: Load) -> None:
    source = random.Random(3)
    ner = candlewick.pipeline("ner", threads=1)
    known = {"inputs": text(source, 9)}
    cached = {"kind": "cached", "body": known, "expected": ner.query(known)}
    health = {"kind": "health", "method": "GET", "path": "/health"}
    long = [{"inputs": [text(source, 200) for _ in range(8)]} for _ in range(20)]
    hard = [{"headers": FRESH, "body": body, "expected": ner.query(body)} for body in long]
    with command("--log-level", "off", "--target-latency", "50", "--max-concurrent-requests", "64") as (_, url):
        for path in ("/models/demo-sentiment", "/"):
            post(url + path, known, **WAITS)
        # 1,000 requests a second of some 20 ms each.
        asked = [request for one in hard for request in (one, one, one, cached, health)]
        found = load(url, asked, rate=1_000, requests=2_000)
        kinds = counts(found)
        assert kinds.pop("cached 200") == kinds.pop("health 200") == 400
        assert set(kinds) == {"text 200", "text 429"}, kinds
        assert found["wrong"] == found["cut"] == found["unanswered"] == 0
        assert post(url, {"inputs": "next"}) == []


def test_clients_that_hang_up_leave_no_work_behind() -> None:
    source = random.Random(4)
    with command("--log-level", "off", "--target-latency", "60000") as (_, url):
        post(url, {"inputs": "a"}, **WAITS)
        before = measured(url, "te_batch_next_size_sum")
        with ExitStack() as clients:
            for _ in range(50):
                body = json.dumps({"inputs": [text(source, 200) for _ in range(200)]}).encode()
                head = f"POST / HTTP/1.1\r\nhost: h\r\nx-use-cache: 0\r\ncontent-length: {len(body)}\r\n\r\n"
                clients.enter_context(connect(url)).sendall(head.encode() + body)
            while measured(url, "te_queue_size") == 0:
                time.sleep(0.001)
        while measured(url, "te_queue_size") > 0:
            time.sleep(0.01)
        assert measured(url, "te_batch_next_size_sum") - before < 50 * 200
        assert post(url, {"inputs": "next"}) == []
