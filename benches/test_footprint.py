"""What it takes to have candlewick at hand: import, wheel, memory while loading, and a call's overhead."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from large import make_large
from report import Report
from subjects import BERT, CHECKPOINTS

ROOT = Path(__file__).parent.parent
LOAD = """
import sys
import candlewick
def anonymous():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon"))
before = anonymous()
import threading, time
peak, done = before, False
def watch():
    global peak
    while not done:
        peak = max(peak, anonymous())
        time.sleep(0.0005)
thread = threading.Thread(target=watch)
thread.start()
pipe = candlewick.pipeline("ner", sys.argv[1], dtype=sys.argv[2], packed_cache=False, quality="skip")
done = True
thread.join()
peak = max(peak, anonymous())
weights = pipe.info["linear_parameters"] * {"float32": 4, "int8": 1}[sys.argv[2]]
print((peak - before) * 1024, (anonymous() - before) * 1024, weights)
"""


def seconds(source: str) -> float:
    """Shortest time of ten runs of a fresh interpreter."""
    times = []
    for _ in range(10):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", source], check=True)
        times.append(time.perf_counter() - start)
    return min(times)


def test_import(report: Report) -> None:
    report.fact(
        "`import candlewick`, over the bare interpreter", f"{(seconds('import candlewick') - seconds('')) * 1e3:.0f} ms"
    )


def test_wheel(report: Report) -> None:
    (wheel,) = (ROOT / "target" / "wheels").glob("*.whl")
    report.fact("wheel, demo models included", f"{wheel.stat().st_size / (1 << 20):.1f} MiB")


def loading(folder: Path, dtype: str) -> tuple[float, float, float]:
    """Bytes of anonymous memory at the peak of loading and after it, and those of the dense layers' weights."""
    command = [sys.executable, "-c", LOAD, str(folder), dtype]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    peak, after, weights = map(float, done.stdout.split())
    return peak, after, weights


def test_memory_while_loading(report: Report) -> None:
    folder = BERT.make()
    runs = [loading(folder, "float32") for _ in range(3)]
    ratio = statistics.median(peak / weights for peak, _, weights in runs)
    report.fact("anonymous memory at the peak of loading BERT-base, of its dense weights in float32", f"{ratio:.2f}")


def test_large_model(report: Report) -> None:
    """The shapes of XLM-RoBERTa large."""
    peak, after, _ = loading(make_large(CHECKPOINTS / "xlm-roberta-large"), "int8")
    report.fact("XLM-RoBERTa large in int8: anonymous memory at the peak, and after", f"{_gib(peak)}, {_gib(after)}")


def _gib(bytes_: float) -> str:
    return f"{bytes_ / (1 << 30):.2f} GiB"


def test_second_process(report: Report, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its weights are packed already."""
    monkeypatch.setenv("CANDLEWICK_CACHE", str(tmp_path))
    folder = BERT.make()
    for dtype in ("float32", "int8"):
        load = f"import candlewick; candlewick.pipeline('ner', {str(folder)!r}, dtype={dtype!r}, quality='skip')"
        subprocess.run([sys.executable, "-c", load], check=True)
        report.fact(
            f"second process ready with BERT-base in {dtype}, over the bare interpreter",
            f"{(seconds(load) - seconds('')) * 1e3:.0f} ms",
        )


def test_phases(report: Report) -> None:
    """The crate's own bench, one thread, on the demo model."""
    done = subprocess.run(
        ["cargo", "bench", "--locked", "--bench", "phases"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    rest = re.search(r"9 words: everything else (\d+)", done.stdout)
    assert rest is not None, done.stdout
    report.fact("9 words: all but tokenization and forward pass", f"{rest.group(1)} us")
    for strategy, time_, entities in re.findall(r"464 tokens, (\w+): (\d+) \((\d+) entities\)", done.stdout):
        report.fact(f"post-processing of 464 tokens, {strategy}", f"{time_} us ({entities} entities)")


def test_plain_candle(report: Report) -> None:
    """The same network written with candle alone, text in, logits out."""
    done = subprocess.run(
        ["cargo", "bench", "--locked", "--bench", "forward", "--", "2"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    rows = re.findall(r"^\s*(\d+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)\s*$", done.stdout, re.MULTILINE)
    assert rows, done.stdout
    for tokens, theirs, ours, ratio in rows:
        report.fact(
            f"plain candle's time over candlewick's, {tokens} tokens, 2 threads", f"{ratio} ({theirs} / {ours} ms)"
        )
