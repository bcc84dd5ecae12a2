"""What several test files share: models, and copies of them that can be broken."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

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


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a tiny model, to break."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(MODELS / name, tmp_path / name))

    return copy
