"""`candlewick doctor`: what this machine has, what would run on it, and why."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

from candlewick import __version__, _native
from candlewick._cgroup import cpu_limit

_FLAGS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "asimd", "asimddp")


def report(measure: bool) -> list[tuple[str, str]]:
    """Name and value of every line."""
    machine = _native.machine(measure)
    lines = [
        ("candlewick", f"{__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"),
        ("processor", _processor()),
        ("instruction set", _instructions(machine)),
        ("threads", f"{machine['threads']} ({_threads()})"),
        ("dtypes", _dtypes(machine)),
    ]
    if measure:
        lines += [
            ("memory, read", f"{machine['bandwidth'] / 1e9:.1f} GB/s"),
            ("float32 products", f"{machine['float32_rate'] / 1e9:.0f} GFLOP/s"),
            ("bfloat16 products", f"{machine['bfloat16_rate'] / 1e9:.0f} GFLOP/s"),
            ("int8 products", f"{machine['int8_rate'] / 1e9:.0f} Gop/s"),
        ]
    return [*lines, ("Hub cache", _cache())]


def _processor() -> str:
    try:
        info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or "unknown"
    name = re.search(r"^model name\s*: (.*)$", info, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*: (.*)$", info, re.MULTILINE)
    have = [flag for flag in _FLAGS if flags and flag in flags[1].split()]
    return f"{name[1] if name else platform.processor() or 'unknown'} ({', '.join(have) or 'none that counts here'})"


def _instructions(machine: dict[str, object]) -> str:
    available = machine["available"]
    assert isinstance(available, list)
    asked = os.environ.get("CANDLEWICK_ISA")
    why = f"CANDLEWICK_ISA={asked}" if asked else "the best that is here"
    refused = f"; {machine['refused']}" if machine["refused"] else ""
    return f"{machine['isa']} ({why}; available: {', '.join(available)}{refused})"


def _dtypes(machine: dict[str, object]) -> str:
    bfloat16 = "by its own instruction" if machine["bfloat16"] else "widened"
    int8 = f"by {machine['int8']}" if machine["int8"] else "widened"
    return f"float32 (default), bfloat16 ({bfloat16}), int8 ({int8})"


def _threads() -> str:
    """What limits the number of threads."""
    parts = [f"{os.cpu_count()} processors"]
    if hasattr(os, "sched_getaffinity"):
        parts.append(f"affinity allows {len(os.sched_getaffinity(0))}")
    limit = cpu_limit()
    parts.append("no cgroup limit" if limit is None else f"cgroup allows {limit:.1f}")
    if asked := os.environ.get("CANDLEWICK_NUM_THREADS"):
        parts.append(f"CANDLEWICK_NUM_THREADS={asked}")
    return ", ".join(parts)


def _cache() -> str:
    from candlewick.hub import cache_folder

    folder = cache_folder(None)
    models = sum(1 for _ in folder.glob("models--*")) if folder.is_dir() else 0
    return f"{folder} ({models} models)"
