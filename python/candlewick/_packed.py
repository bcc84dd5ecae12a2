"""The folder of packed weights: where it is, and folders in it that nobody else may write to."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from candlewick.errors import ParameterError

VARIABLE = "CANDLEWICK_CACHE"


def folder() -> str | None:
    """`CANDLEWICK_CACHE`, else `candlewick` in the user's cache folder; `None` for a user without a home."""
    if asked := os.environ.get(VARIABLE):
        return asked
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if sys.platform == "darwin":
        parent = home / "Library" / "Caches"
    else:
        parent = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return str(parent / "candlewick")


def open_folder(name: str, what: str) -> Path:
    """A folder in it, if nobody else may write to it: they could lay files there before us.

    Raises:
        ParameterError: There is none, or it is somebody else's.
    """
    parent = folder()
    expected = f"{VARIABLE}: expected a folder for {what}"
    if parent is None:
        raise ParameterError(f"{expected}, got none and no home")
    inner = Path(parent) / name
    try:
        for path in (inner.parent, inner):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if path.stat().st_uid != os.geteuid():
                raise PermissionError(0, "the folder belongs to another user")
            if path.stat().st_mode & 0o022:
                raise PermissionError(0, "other users may write to the folder")
    except OSError as error:
        raise ParameterError(f"{expected}, got {parent}: {error.strerror}") from error
    return inner
