"""What tells the files of one model from those of all others, at the price of reading a megabyte of each."""

from __future__ import annotations

import hashlib
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from candlewick import _files

#: Raised when the same files are converted to others.
_FORMAT = "1"
#: What is read of a file: so many blocks, and its end, where a zip file has the checksums of all that is in it.
_SAMPLES, _BLOCK, _END = 256, 4096, 1 << 16


def identity(model: Path) -> str:
    """A name for what a model's conversion would be: what it is called, and a hash of all that it is made from."""
    text = "\n".join([_FORMAT, *(f"{file.name} {_version(file)} {_samples(file)}" for file in _sources(model))])
    return f"{name_of(model)}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def name_of(model: Path) -> str:
    """What a model is called, as a part of a file's name."""
    hub = [part.removeprefix("models--") for part in model.parts if part.startswith("models--")]
    return re.sub(r"[^\w.-]", "_", hub[-1] if hub else model.resolve().name)[:80]


def _sources(model: Path) -> Iterator[Path]:
    names = [*_files.settings_of(model), _files.PICKLE]
    if not (model / _files.PICKLE).is_file():
        names += [_files.PICKLE_INDEX, *sorted(set(_files.shards(model / _files.PICKLE_INDEX).values()))]
    yield from (model / name for name in names if (model / name).is_file())


def _version(file: Path) -> str:
    """The name of its content where the Hub's cache knows one, else when it was changed."""
    if file.is_symlink() and file.readlink().parent.name == "blobs":
        return file.readlink().name
    return str(file.stat().st_mtime_ns)


def _samples(file: Path) -> str:
    """Size and checksum: times alone would not do, since images and archives set them all alike."""
    with file.open("rb") as stream:
        size, checksum = os.fstat(stream.fileno()).st_size, 0
        blocks = [(at, _BLOCK) for at in range(0, size, max(_BLOCK, size // _SAMPLES))]
        for at, length in [*blocks, (max(0, size - _END), _END)]:
            stream.seek(at)
            checksum = zlib.crc32(stream.read(length), checksum)
    return f"{size} {checksum:08x}"
