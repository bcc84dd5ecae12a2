"""The reports are written at the end of a whole run, or a whole file's, without failures."""

from __future__ import annotations

import pytest
from report import Report

ENGINES = Report("make bench")
SERVER = Report("make bench-server", part="server")
FAMILIES = Report("make bench-families", part="families")


def pytest_addoption(parser: pytest.Parser) -> None:
    """How a change of the benchmarks themselves is tried."""
    parser.addoption("--trial", action="store_true", help="the server's with counts that say nothing, and none kept")


@pytest.fixture(scope="session")
def report() -> Report:
    """The figures of this run."""
    return ENGINES


@pytest.fixture(scope="session")
def server_report() -> Report:
    """Those of the server."""
    return SERVER


@pytest.fixture(scope="session")
def family_report() -> Report:
    """Those of the other families."""
    return FAMILIES


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Keep the figures of a whole run; show those of a part."""
    options = session.config.option
    for report in (ENGINES, FAMILIES, SERVER):
        if exitstatus == 0 and not options.keyword and not options.trial:
            report.keep()
        elif report.measured:
            print(f"\n{report.section()}")
