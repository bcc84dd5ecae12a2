"""What several test files share: models, and copies of them that can be broken."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import candlewick

MODELS = Path(__file__).parent / "golden" / "models"


@pytest.fixture(scope="session")
def ner() -> candlewick.TokenClassificationPipeline:
    """The demo model for entities."""
    return candlewick.pipeline("token-classification", aggregation_strategy="simple")


@pytest.fixture(scope="session")
def sentiment() -> candlewick.TextClassificationPipeline:
    """The demo model for sentiment."""
    return candlewick.pipeline("text-classification")


@pytest.fixture(scope="session")
def tiny() -> candlewick.TokenClassificationPipeline:
    """A tiny model of 48 tokens, WordPiece."""
    return candlewick.pipeline("token-classification", MODELS / "bert-ner")


@pytest.fixture(scope="session")
def labels() -> candlewick.TextClassificationPipeline:
    """A tiny model with three labels."""
    return candlewick.pipeline("text-classification", MODELS / "bert-sentiment")


@pytest.fixture(scope="session")
def near() -> Callable[[Any], object]:
    """An answer that equals those that differ from it by 1e-6 in scores and by nothing else.

    That is what the noise of a matrix product may make of a text in another batch.
    """

    class Near:
        def __init__(self, answer: Any) -> None:
            self.answer = answer

        def __repr__(self) -> str:
            return f"nearly {self.answer!r}"

        def __eq__(self, other: object) -> bool:
            return same(self.answer, other)

        __hash__ = None  # type: ignore[assignment]

    def same(one: Any, two: Any) -> bool:
        if isinstance(one, list):
            return isinstance(two, list) and len(one) == len(two) and all(map(same, one, two))
        if isinstance(one, dict):
            return isinstance(two, dict) and list(one) == list(two) and all(map(same, one.values(), two.values()))
        return abs(one - two) <= 1e-6 if isinstance(one, float) else one == two

    return Near


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a tiny model, to break."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(MODELS / name, tmp_path / name))

    return copy
