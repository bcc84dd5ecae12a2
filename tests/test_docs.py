"""Every example in the documents and docstrings is run, and what it prints is compared."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import candlewick

ROOT = Path(__file__).parent.parent
#: Scores in the examples are cut with an ellipsis, so that another processor's last digits are no failure.
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(candlewick.__path__, "candlewick.")
    if module.name != "candlewick.__main__"
)


@pytest.mark.parametrize("name", ["candlewick", *MODULES])
def test_examples_in_docstrings(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
    assert failed == 0


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "demo/README.md"])
def test_examples_in_documents(name: str) -> None:
    failed, _ = doctest.testfile(str(ROOT / name), module_relative=False, optionflags=FLAGS, encoding="utf-8")
    assert failed == 0


def console_examples() -> list[tuple[str, str]]:
    """Each command of a console block with what it prints."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    examples = [example for block in blocks for example in re.split(r"^\$ ", block, flags=re.MULTILINE) if example]
    pairs = [example.partition("\n")[::2] for example in examples]
    return [(command, printed) for command, printed in pairs if "candlewick" in command and "pip" not in command]


def test_there_are_console_examples() -> None:
    assert len(console_examples()) >= 3


@pytest.mark.parametrize(("command", "printed"), console_examples())
def test_console_examples(command: str, printed: str, tmp_path: Path) -> None:
    (tmp_path / "mails.txt").write_text("Call me Jessica\nNothing here\n", encoding="utf-8")
    first, _, second = command.rpartition(" | ")
    program = shlex.join([sys.executable, "-m", "candlewick"])
    run = f"{first + ' | ' if first else ''}{second.replace('candlewick', program, 1)}"
    done = subprocess.run(run, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    checker = doctest.OutputChecker()
    assert checker.check_output(printed, done.stdout, FLAGS), f"expected\n{printed}\ngot\n{done.stdout}"


def links(document: Path) -> list[str]:
    return re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", "demo/README.md", "docs/MODELS.md", "tests/golden/README.md"]
)
def test_links_lead_somewhere(name: str) -> None:
    document = ROOT / name
    for link in links(document):
        assert (document.parent / link).exists(), link
