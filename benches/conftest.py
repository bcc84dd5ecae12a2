"""The engines are loaded once; the report is written at the end of a run without failures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from checkpoint import make
from engines import Engine, engines
from report import Report

THREADS = int(os.environ.get("BENCH_THREADS", "2"))
REPORT = Report(THREADS)


@pytest.fixture(scope="session", params=["float32", "bfloat16"])
def dtype(request: pytest.FixtureRequest) -> str:
    """What engines compute in."""
    return str(request.param)


@pytest.fixture(scope="session", name="engines")
def all_engines(dtype: str) -> dict[str, Engine]:
    """Every engine with the model loaded."""
    return engines(make(Path(__file__).parent.parent / ".bench" / "bert-base"), THREADS, dtype)


@pytest.fixture(scope="session")
def report() -> Report:
    """The figures of this run."""
    return REPORT


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Keep the figures of a whole run; show those of a part."""
    if exitstatus == 0 and not session.config.option.keyword:
        REPORT.keep()
    else:
        print(f"\n{REPORT.section()}")
