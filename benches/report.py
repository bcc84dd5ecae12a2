"""Prints what was measured and keeps it in RESULTS.md: a section per processor, the latest run of each."""

from __future__ import annotations

import datetime
import platform
import re
import shutil
import statistics
import subprocess
from pathlib import Path
from typing import TypeAlias

FILE = Path(__file__).parent / "RESULTS.md"
#: Of each engine its median in ms, candlewick's first, and candlewick's share of the machine's limit.
Row: TypeAlias = tuple[dict[str, float], float | None]


class Report:
    """The figures of one run."""

    def __init__(self, command: str, part: str = "") -> None:
        """Start with nothing measured, by a command, in a section of its own for a part."""
        self._command = command
        self._part = f", {part}" if part else ""
        self._tables: dict[str, dict[str, dict[str, Row]]] = {}
        self._facts: dict[str, str] = {}

    def add(
        self,
        model: str,
        dtype: str,
        threads: int,
        what: str,
        times: dict[str, list[float]],
        share: float | None = None,
    ) -> None:
        """Add every engine's times, in seconds, of which the median counts, and candlewick's share of the limit."""
        medians = {name: statistics.median(values) * 1e3 for name, values in times.items()}
        title = f"{dtype}, {threads} thread{'s' if threads > 1 else ''}"
        self._tables.setdefault(model, {}).setdefault(title, {})[what] = (medians, share)

    def fact(self, what: str, value: str) -> None:
        """Add one figure that has no peers."""
        self._facts[what] = value

    @property
    def measured(self) -> bool:
        """Whether there is anything to keep."""
        return bool(self._tables or self._facts)

    def section(self) -> str:
        """The figures as Markdown, without the heading."""
        lines = [f"{datetime.date.today()}, `{self._command}`.", ""]
        for model, tables in self._tables.items():
            lines += [f"{model}: median in ms, and in brackets how many times candlewick's.", ""]
            for title, rows in tables.items():
                lines += [*_table(title, rows), ""]
        if self._facts:
            lines += [
                "| figure | value |",
                "|---|---|",
                *(f"| {key} | {value} |" for key, value in self._facts.items()),
                "",
            ]
        return "\n".join(lines)

    def keep(self) -> None:
        """Print the section and put it in the place of this processor's last one, unless nothing was measured."""
        if not self.measured:
            return
        text = FILE.read_text(encoding="utf-8")
        head, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
        title = processor() + self._part
        sections = [section for section in sections if not section.startswith(f"{title}\n")]
        sections.append(f"{title}\n\n{self.section()}")
        parts = [head, *(f"## {section}" for section in sections)]
        FILE.write_text("\n\n".join(part.strip() for part in parts) + "\n", encoding="utf-8")
        print(f"\n{title}\n\n{self.section()}")


def _table(title: str, rows: dict[str, Row]) -> list[str]:
    names = [*next(iter(rows.values()))[0], "of the limit"]
    lines = [f"| {title} | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for what, (times, share) in rows.items():
        ours, *_ = times.values()
        cells = [f"{time:.1f}" + (f" ({time / ours:.2f})" if at else "") for at, time in enumerate(times.values())]
        cells.append("" if share is None else f"{share:.0%}")
        lines.append(f"| {what} | " + " | ".join(cells) + " |")
    return lines


def processor() -> str:
    """Its name, its kind as compilers call it (one name is sold for several), and the instruction sets that matter."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    name = re.search(r"^model name\s*: (.*)$", info, re.MULTILINE)
    flags = re.search(r"^flags\s*: (.*)$", info, re.MULTILINE)
    known = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8")
    have = [flag for flag in known if flags and flag in flags.group(1).split()]
    names = [name.group(1) if name else platform.processor()]
    if rustc := shutil.which("rustc"):
        targets = subprocess.run([rustc, "--print", "target-cpus"], capture_output=True, check=True, text=True).stdout
        names += re.findall(r"native .*\(currently (\S+)\)", targets)
    return f"{', '.join(names)} ({', '.join(have) or platform.machine()})"
