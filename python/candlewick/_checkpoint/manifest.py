"""What lies beside the files of a conversion: what they were made from, and how to tell whether they are whole."""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

NAME = "conversion.json"
_BLOCK = 1 << 20


class Conversion(NamedTuple):
    """A model's folder that was converted, into which folder, and when that was last used."""

    model: str
    folder: Path
    size: int
    used: float


def write(folder: Path, model: Path, files: Iterable[Path]) -> None:
    """Describe the files of a folder."""
    known = {file.name: [file.stat().st_size, file.stat().st_mtime_ns, _checksum(file)] for file in files}
    (folder / NAME).touch(mode=0o600)
    (folder / NAME).write_text(json.dumps({"model": str(model.absolute()), "files": known}), encoding="utf-8")


def is_whole(folder: Path) -> bool:
    """Whether every file is the one that was described; what has another time, as copies have, is read to know."""
    try:
        for name, (size, changed, checksum) in _read(folder)["files"].items():
            file = folder / name
            stat = file.stat()
            if stat.st_size != size:
                return False
            if stat.st_mtime_ns != changed:
                if _checksum(file) != checksum:
                    return False
                with contextlib.suppress(OSError):  # then it is read every time
                    os.utime(file, ns=(changed, changed))
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True


def touch(folder: Path) -> None:
    """Note that the folder is used; on a disk that can't be written, that is forgotten."""
    with contextlib.suppress(OSError):
        (folder / NAME).touch()


def conversion(folder: Path) -> Conversion | None:
    """What a folder is, if it is one of a conversion."""
    try:
        content = _read(folder)
        size = sum(file[0] for file in content["files"].values())
        return Conversion(str(content["model"]), folder, size, (folder / NAME).stat().st_mtime)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read(folder: Path) -> Any:
    return json.loads((folder / NAME).read_text(encoding="utf-8"))


def _checksum(file: Path) -> int:
    checksum = 0
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            checksum = zlib.crc32(block, checksum)
    return checksum
