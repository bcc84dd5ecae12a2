"""Conversions that are kept: whoever loads a pickled model again finds its safetensors.

They lie in `converted` in the folder of packed weights, each in a folder of its own with what `candlewick convert`
writes. It appears when it is complete, and is made anew when it is damaged.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from pathlib import Path

from candlewick import _packed
from candlewick._checkpoint import manifest
from candlewick._checkpoint.convert import convert
from candlewick._checkpoint.identity import identity
from candlewick._checkpoint.manifest import Conversion
from candlewick.errors import BackendError, ModelNotFoundError

_FOLDER = "converted"
#: Bytes that all conversions may take; those used least recently go first.
_LIMIT = 8 << 30
#: What a conversion that is being made ends in, and the age, in seconds, of one that somebody left behind.
_PARTIAL = ".partial"
_ABANDONED = 24 * 3600


def converted(model: Path) -> Path:
    """The folder with the safetensors of a pickled model, made now or before.

    Raises:
        ModelNotFoundError: A shard is missing.
        ModelFormatError: A file is damaged, claims what it does not have, or holds something else than tensors.
        UnsupportedModelError: A file is of another format, or names a class that is not known here.
        ParameterError: The cache is a folder that can't be used.
        BackendError: The cache can't be written, or is full.
    """
    folder = _packed.open_folder(_FOLDER, "converted weights")
    target = folder / identity(model)
    if manifest.is_whole(target):
        manifest.touch(target)
        return target
    try:
        partial = Path(tempfile.mkdtemp(_PARTIAL, dir=folder))
        try:
            manifest.write(partial, model, convert(model, partial, mode=0o600))
            _move(partial, target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except ModelNotFoundError:  # it is an OSError, too
        raise
    except OSError as error:
        failed = f"{model}: keeping it as safetensors in {folder} failed: {error.strerror}"
        raise BackendError(f"{failed}; {_packed.VARIABLE} can name another folder") from error
    _make_room(folder, target)
    return target


def conversions() -> list[Conversion]:
    """What is kept, the one used last first."""
    folder = _folder()
    paths = folder.iterdir() if folder is not None and folder.is_dir() else ()
    found = [one for path in paths if (one := manifest.conversion(path)) is not None]
    return sorted(found, key=lambda one: -one.used)


def clear() -> tuple[int, int]:
    """Remove all of it: how many conversions there were, and their bytes."""
    found = conversions()
    for one in found:
        shutil.rmtree(one.folder)
    return len(found), sum(one.size for one in found)


def _folder() -> Path | None:
    parent = _packed.folder()
    return None if parent is None else Path(parent) / _FOLDER


def _move(partial: Path, target: Path) -> None:
    """Put a conversion in its place; a damaged one there gives way, a whole one was made by somebody faster."""
    if target.exists() and not manifest.is_whole(target):
        damaged = partial.with_name(f"damaged-{partial.name}")
        with contextlib.suppress(OSError):  # somebody else may have moved it
            target.rename(damaged)
        shutil.rmtree(damaged, ignore_errors=True)
    try:
        partial.rename(target)
    except OSError:
        if not manifest.is_whole(target):
            raise


def _make_room(folder: Path, newest: Path) -> None:
    """Remove what was used least recently until the limit is kept, but not `newest`, and what was left behind."""
    for path in folder.glob(f"*{_PARTIAL}"):
        with contextlib.suppress(FileNotFoundError):  # it may have been finished by now
            if time.time() - path.stat().st_mtime > _ABANDONED:
                shutil.rmtree(path, ignore_errors=True)
    size = 0
    for one in sorted(conversions(), key=lambda one: one.folder != newest):
        size += one.size
        if size > _LIMIT and one.folder != newest:
            shutil.rmtree(one.folder, ignore_errors=True)
