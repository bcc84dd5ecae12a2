"""What `transformers_` and `flair_` are to the command, and what they share."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from candlewick._verify import Reference, Text, VerificationError


class Library(Protocol):
    """A module that computes references."""

    NAME: str

    def obstacle(self, folder: Path) -> str | None:
        """Why it can compute no reference of this model here, if so."""

    def remedy(self, model: str, folder: Path) -> str:
        """How to get one all the same, of a folder that the user calls `model`."""

    def reference(self, folder: Path, task: str, texts: list[Text], max_tokens: int) -> Reference:
        """What it makes of texts."""


@contextmanager
def failing_as(what: object, library: str) -> Iterator[None]:
    """Tell in one line whatever it is that this release of a library can't do; its warnings are not the user's."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except VerificationError:
        raise
    except Exception as error:
        said = str(error).strip().partition("\n")[0]
        raise VerificationError(f"{what}: {library} failed: {type(error).__name__}: {said}") from error


def short(logits: list[list[float]]) -> list[list[float]]:
    """Nine digits hold a float32."""
    return [[float(f"{value:.9g}") for value in row] for row in logits]
