"""`candlewick bench`: a model's speed on this machine, where the time goes, and the share of the machine's limit.

No answer can take less time than its weights take to be read, or its operations to be done. The machine's rates for
both are measured between the answers, because a shared machine is twice as fast in one moment as in the next. What is
computed and how it is bounded is in `Work` and `Yardstick` of the Rust core.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from candlewick import _native
from candlewick.errors import ParameterError
from candlewick.pipeline import pipeline

#: Seconds of answers between two measurements of the machine, which take as long; rounds of that, at least and at most;
#: and seconds of answers that they may take together.
EACH = 0.08
LEAST_ROUNDS, ROUNDS = 7, 30
SECONDS = 2.0
TEXT = "My name is Hannah Osei and I have worked for Brightwater Logistics in Rotterdam since the spring of 2019. "
DEMO = "token-classification"


@dataclass
class Row:
    """One length: medians, times in milliseconds. The limit is as much of the call as the share says."""

    tokens: int
    call_ms: float
    tokens_per_s: float
    limit_ms: float
    share_of_limit: float
    bound_by: str
    stages_ms: dict[str, float]


def run(
    model: str | None,
    *,
    task: str | None,
    revision: str | None,
    dtype: str,
    lengths: str,
    threads: int | None,
    format_: str,
) -> None:
    """Measure and print, a line as soon as it is known."""
    counts = _lengths(lengths)
    chosen = task if task is not None or model is not None else DEMO
    with pipeline(chosen, model, revision=revision, dtype=dtype, threads=threads) as pipe:
        if max(counts) > pipe.max_tokens:
            raise ParameterError(f"--tokens: expected at most {pipe.max_tokens} for this model, got {max(counts)}")
        info = pipe.info
        machine, yardstick = _native.machine(True, info["threads"]), _native.Yardstick(info["threads"])
        if format_ == "table":
            print("\n".join(_heading(info, machine)))
        rows = []
        for count in counts:
            rows.append(measure(pipe, _text(pipe, count), yardstick))
            print(_line(rows[-1]) if format_ == "table" else json.dumps(asdict(rows[-1])), flush=True)
        if format_ == "table":
            print("\n".join(["", *_advice(rows, info, machine)]))


def _lengths(text: str) -> list[int]:
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise ParameterError(f"--tokens: expected whole numbers of at least 1 with commas between them, got {text!r}")
    return counts


def _text(pipe: Any, tokens: int) -> str:
    """The longest run of words with at most so many tokens, and less than the model reads: what is cut has as many."""
    tokens = min(tokens, pipe.max_tokens - 1)
    words = (TEXT * (tokens // 8 + 1)).split()
    low, high = 1, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        fits = _count(pipe, " ".join(words[:middle])) <= tokens
        low, high = (middle, high) if fits else (low, middle - 1)
    return " ".join(words[:low])


def _count(pipe: Any, text: str) -> int:
    return len(pipe.logits(text, **_whole(pipe)).tokens)


def _whole(pipe: Any) -> dict[str, Any]:
    return {"truncation": True} if pipe.task == "text-classification" else {}


class Moment(NamedTuple):
    """Seconds of a call, and what the machine took at least, at that time, to read its weights and to compute."""

    call: float
    reading: float
    computing: float

    @property
    def share(self) -> float:
        """The share of the machine's limit that the call reached."""
        return max(self.reading, self.computing) / self.call

    @classmethod
    def between(cls, call: float, before: tuple[float, float], after: tuple[float, float]) -> Moment:
        """Of a call between two measurements of the machine."""
        return cls(call, *((one + other) / 2 for one, other in zip(before, after, strict=True)))


def measure(pipe: Any, text: str, yardstick: _native.Yardstick) -> Row:
    """Time one text, and compare with what the machine can do."""
    tokens = _count(pipe, text)
    once = dict(pipe._native.profile(text, 3))["call"]
    each = max(1, round(EACH / once))
    rounds = max(LEAST_ROUNDS, min(ROUNDS, int(SECONDS / (each * once))))
    takes = least(pipe, [tokens])
    profiles, found, before = [], [], takes(yardstick.now())
    for _ in range(rounds):
        profiles.append(dict(pipe._native.profile(text, each)))
        after = takes(yardstick.now())
        found.append(Moment.between(profiles[-1]["call"], before, after))
        before = after
    share = statistics.median(moment.share for moment in found)
    memory = statistics.median(moment.reading - moment.computing for moment in found) > 0
    stages = sorted(profiles, key=lambda profile: profile["call"])[rounds // 2]
    seconds = stages.pop("call")
    return Row(
        tokens=tokens,
        call_ms=seconds * 1e3,
        tokens_per_s=tokens / seconds,
        limit_ms=seconds * share * 1e3,
        share_of_limit=share,
        bound_by="memory" if memory else "arithmetic",
        stages_ms={name: time * 1e3 for name, time in stages.items()},
    )


def least(pipe: Any, tokens: list[int]) -> Callable[[dict[str, float]], tuple[float, float]]:
    """Say by rates how many seconds texts of so many tokens take to read the weights once, and to do the operations."""
    works = [pipe._native.work(count) for count in tokens]
    bytes_ = max(work[0] for work in works)
    dense, attention = (sum(work[part] for work in works) for part in (1, 2))
    dtype = pipe.info["dtype"]
    scores = "float32" if dtype == "float32" or not _native.machine(False)["bfloat16"] else "bfloat16"

    def seconds(rates: dict[str, float]) -> tuple[float, float]:
        return bytes_ / rates["bandwidth"], dense / rates[f"{dtype}_rate"] + attention / rates[f"{scores}_rate"]

    return seconds


def _heading(info: dict[str, Any], machine: dict[str, Any]) -> list[str]:
    rate = machine[f"{info['dtype']}_rate"]
    return [
        f"{info['architecture']}, {info['linear_parameters'] / 1e6:.1f} M weights in {info['dtype']}, "
        f"{info['isa']}, {info['threads']} threads",
        f"machine at its best: {machine['bandwidth'] / 1e9:.0f} GB/s, {rate / 1e9:.0f} G operations/s in this type",
        "",
        f"{'tokens':>6} {'ms':>8} {'tokens/s':>9} {'limit ms':>9} {'share':>6}  {'bound by':10}  where the time goes",
    ]


def _line(row: Row) -> str:
    stages = sorted(row.stages_ms.items(), key=lambda stage: -stage[1])
    shares = ", ".join(f"{name} {ms / row.call_ms:.0%}" for name, ms in stages if ms >= 0.01 * row.call_ms)
    return (
        f"{row.tokens:6} {row.call_ms:8.2f} {row.tokens_per_s:9.0f} {row.limit_ms:9.2f} {row.share_of_limit:6.0%}"
        f"  {row.bound_by:10}  {shares}"
    )


def _advice(rows: list[Row], info: dict[str, Any], machine: dict[str, Any]) -> list[str]:
    """What would make this faster, the largest step first."""
    found = []
    if info["dtype"] == "float32":
        narrow = 'int8 reads a quarter of the bytes (dtype="auto" takes it if the labels stay)'
        half = "bfloat16 half of them, at twice the rate" if machine["bfloat16"] else "bfloat16 half of them"
        found.append(f"narrower numbers: {narrow}, {half}")
    elif info["dtype"] == "bfloat16":
        found.append('narrower numbers: dtype="int8", if its quality report is good enough for you')
    if machine["processors"] > info["threads"]:
        found.append(f"more threads: {info['threads']} of {machine['processors']} processors are used")
    if any(row.bound_by == "memory" for row in rows):
        found.append("several texts in one call: short ones wait for the weights, which a batch reads once")
    for row in rows:
        beside = sum(ms for name, ms in row.stages_ms.items() if name in ("tokenization", "decoding"))
        if beside > 0.2 * row.call_ms:
            found.append(f"{row.tokens} tokens: {beside / row.call_ms:.0%} of the time is spent outside of the network")
    return [f"what would help: {line}" for line in found] or ["what would help: another machine"]
