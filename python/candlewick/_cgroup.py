"""How much processor time the control group of this process may use: what containers limit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_MOUNTS = Path("/sys/fs/cgroup")


def cpu_limit() -> float | None:
    """Processors that this process may keep busy, the least of its group and all above it; `None` without a limit."""
    limits = [limit for folder in _folders() if (limit := _limit(folder)) is not None]
    return min(limits, default=None)


def _folders() -> Iterator[Path]:
    """Where the groups of this process may state a limit: it and its parents, in version 2 and in version 1."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        names = controllers.split(",")
        if controllers and "cpu" not in names:
            continue
        mounts = [controllers, "cpu"] if controllers else ["", "unified"]
        inside = PurePosixPath(group.lstrip("/"))
        for mount in mounts:
            yield from (_MOUNTS / mount / part for part in [inside, *inside.parents])


def _limit(folder: Path) -> float | None:
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
        else:
            quota, period = (
                (folder / f"cpu.cfs_{name}_us").read_text(encoding="utf-8") for name in ("quota", "period")
            )
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError):  # no such file, or "max"
        return None
