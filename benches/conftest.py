"""The report is written at the end of a whole run without failures."""

from __future__ import annotations

import pytest
from report import Report

REPORT = Report()


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
