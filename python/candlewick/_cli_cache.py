"""`candlewick cache`: what is kept of packed and converted weights and references, and the way to be rid of it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from candlewick import _native, _packed
from candlewick._checkpoint import cache, manifest
from candlewick._verify import saved


def listing() -> list[str]:
    """The folder, then a line for each file, the one used last first."""
    folder = _packed.folder()
    if folder is None:
        return ["no cache: this user has no home"]
    rows = _native.cache_list(folder)
    rows += [(one.model, "converted", one.size, one.used) for one in cache.conversions()]
    rows += [(model, "reference", size, changed) for model, size, changed in saved.kept()]
    rows.sort(key=lambda row: -row[3])
    size = sum(row[2] for row in rows)
    lines = [f"{folder}: {len(rows)} models, {_bytes(size)}"]
    for model, dtypes, bytes_, used in rows:
        lines.append(
            f"{datetime.fromtimestamp(used):%Y-%m-%d %H:%M}  {_bytes(bytes_):>10}  {dtypes:20}  {_name(model)}"
        )
    return lines


def clear() -> str:
    """Empty the folder; say what was in it."""
    folder = _packed.folder()
    packed, packed_bytes = _native.cache_clear(folder) if folder is not None else (0, 0)
    converted, converted_bytes = cache.clear()
    references, reference_bytes = saved.clear()
    size = packed_bytes + converted_bytes + reference_bytes
    return f"{packed + converted + references} models removed, {_bytes(size)}"


def _name(folder: str) -> str:
    """A Hub id for a folder of the Hub's cache, the demo model of a wheel, else the folder that was loaded."""
    if conversion := manifest.conversion(Path(folder)):
        folder = conversion.model
    if Path(folder).parts[-3:-1] == ("candlewick", "demo"):
        return f"demo model {Path(folder).name} in {Path(folder).parents[2]}"
    parts = folder.replace("\\", "/").split("/")
    ids = [part.removeprefix("models--").replace("--", "/") for part in parts if part.startswith("models--")]
    return ids[-1] if ids else folder


def _bytes(count: int) -> str:
    return f"{count / (1 << 20):.1f} MiB"
