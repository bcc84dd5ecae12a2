"""What it takes to have candlewick at hand: import, wheel, memory while loading, and a call's overhead."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

from checkpoint import make
from report import Report

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
pipe = candlewick.pipeline("ner", sys.argv[1])
done = True
thread.join()
peak = max(peak, anonymous())
print((peak - before) * 1024 / (pipe.info["linear_parameters"] * 4))
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


def test_memory_while_loading(report: Report) -> None:
    folder = make(ROOT / ".bench" / "bert-base")
    ratios = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", LOAD, str(folder)], check=True, capture_output=True, text=True)
        ratios.append(float(done.stdout))
    ratio = statistics.median(ratios)
    report.fact("anonymous memory at the peak of loading BERT-base, of its linear weights in float32", f"{ratio:.2f}")


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
        ["cargo", "bench", "--locked", "--bench", "forward", "--", str(report.threads)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    rows = re.findall(r"^\s*(\d+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)\s*$", done.stdout, re.MULTILINE)
    assert rows, done.stdout
    for tokens, theirs, ours, ratio in rows:
        report.fact(f"plain candle's time over candlewick's, {tokens} tokens", f"{ratio} ({theirs} / {ours} ms)")
