"""The README's server, and its three clients, by the letter."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from clients.cases import MODELS, ROOT
from clients.drivers import JAVASCRIPT, PYTHON
from clients.servers import SlowHub, listening, until_ready

pytestmark = pytest.mark.timeout(600)
SECTION = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Server\n")[2].partition("\n## ")[0]
PORT = 8080


def fence(language: str) -> str:
    """The section's one block of a language."""
    (block,) = re.findall(rf"^```{language}\n(.*?)^```", SECTION, re.DOTALL | re.MULTILINE)
    return str(block)


def printed(code: str, comment: str) -> str:
    """What a block says that it prints, in comments."""
    return "\n".join(re.findall(rf"^{comment} (.*)", code, re.MULTILINE))


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@pytest.fixture(scope="module")
def port(hub: SlowHub, environment: dict[str, str]) -> Iterator[str]:
    """The port of the README's server: its own if that is free. Its model is a stand-in."""
    hub.add("dslim/bert-base-NER", MODELS["org/ner"].folder)
    path = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    variables = {"PATH": path, "CANDLEWICK_LOG_LEVEL": "off", "CANDLEWICK_PORT": str(PORT if is_free(PORT) else 0)}
    with listening(shlex.split(fence("sh")), {**environment, **variables}) as url:
        until_ready(url)
        yield url.rpartition(":")[2]


def check(
    command: list[str | Path], code: str, wanted: str, environment: dict[str, str], cwd: Path | None = None
) -> None:
    done = subprocess.run(command, input=code, env=environment, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert wanted and doctest.OutputChecker().check_output(wanted, done.stdout, flags), done.stdout


def test_curl(port: str, environment: dict[str, str]) -> None:
    if not shutil.which("curl"):
        pytest.skip("there is no curl")
    command, wanted = fence("console").removeprefix("$ ").replace(str(PORT), port).split("\n", 1)
    check(["bash"], command, wanted, environment)


def test_python(port: str, environment: dict[str, str]) -> None:
    code = fence("py").replace(str(PORT), port)
    check([PYTHON[-1].folder / "bin" / "python"], code, printed(code, "#"), environment)


def test_javascript(port: str, environment: dict[str, str]) -> None:
    code = fence("js").replace(str(PORT), port)
    check(["node", "--input-type=module"], code, printed(code, "//"), environment, JAVASCRIPT[-1].folder)
