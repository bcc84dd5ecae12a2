"""The folder of packed weights: where it is, what is in it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

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
