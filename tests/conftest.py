"""What several test files share: models, and copies of them that can be broken."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import candlewick

GOLDEN = Path(__file__).parent / "golden"
MODELS = GOLDEN / "models"


@pytest.fixture(scope="session", autouse=True)
def packed_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Packed weights of a run stay in the run's own folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CANDLEWICK_CACHE", str(tmp_path_factory.mktemp("packed")))
        yield


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


@pytest.fixture
def references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache's folder with the references of the goldens."""
    monkeypatch.setenv("CANDLEWICK_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir(mode=0o700)
    shutil.copytree(GOLDEN / "references", tmp_path / "cache" / "references").chmod(0o700)
    return tmp_path / "cache" / "references"
