"""The clients that `make test-clients` installs, and calls of them in processes of their own."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from clients.cases import ROOT

HERE = Path(__file__).parent
Case = dict[str, Any]


@dataclass(frozen=True)
class Client:
    """A release of huggingface_hub (`python`) or of @huggingface/inference (`javascript`)."""

    language: str
    version: str

    def __str__(self) -> str:
        return f"{self.language}-{self.version}"

    @property
    def release(self) -> tuple[int, ...]:
        return tuple(map(int, self.version.split(".")))

    @property
    def is_installed(self) -> bool:
        runs = self.language == "python" or shutil.which("node") is not None
        return runs and (ROOT / "target" / "clients" / str(self) / "installed").exists()

    @property
    def folder(self) -> Path:
        if not self.is_installed:
            pytest.skip(f"{self} is not installed: make test-clients")
        return ROOT / "target" / "clients" / str(self)

    def start(self, cases: list[Case], environment: dict[str, str]) -> subprocess.Popen[str]:
        """A process that makes these calls."""
        names = [case["name"] for case in cases]
        assert len(names) == len(set(names)), "a case would hide another"
        command: list[str | Path] = [self.folder / "bin" / "python", HERE / "driver.py"]
        if self.language == "javascript":
            # Code that is an argument finds packages where it runs, not where its file is.
            command = ["node", "--input-type=module", "--eval", (HERE / "driver.mjs").read_text(encoding="utf-8")]
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command, cwd=self.folder, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        assert process.stdin is not None
        with process.stdin as stdin:
            json.dump(cases, stdin)
        process.stdin = None
        return process

    def run(self, cases: list[Case], environment: dict[str, str]) -> Any:
        return finish(self.start(cases, environment))


def finish(process: subprocess.Popen[str]) -> Any:
    """What came of a process's calls, by their names; for Python, by kind of client before."""
    printed, errors = process.communicate()
    assert process.returncode == 0, errors
    return json.loads(printed)


def clients(language: str, names: list[str]) -> list[Client]:
    return sorted((Client(language, name) for name in names), key=lambda client: client.release)


PYTHON = clients("python", [file.stem for file in HERE.glob("python/*.txt")])
JAVASCRIPT = clients("javascript", [file.parent.name for file in HERE.glob("javascript/*/package.json")])


def python_case(name: str, method: str, *arguments: Any, options: Case | None = None, **made_with: Any) -> Case:
    """A call of a client that is made with the given arguments."""
    call = {"method": method.replace("-", "_"), "arguments": arguments, "options": options or {}}
    return {"name": name, "client": made_with.pop("client", "InferenceClient"), "made_with": made_with, **call}


#: A method of JavaScript for each task.
METHODS = {"token-classification": "tokenClassification", "text-classification": "textClassification"}


def javascript_case(
    client: Client,
    name: str,
    method: str,
    inputs: Any,
    *,
    parameters: Case | None = None,
    more: Case | None = None,
    endpoint: str | None = None,
    token: str | None = None,
    redirect: str | None = None,
    **options: Any,
) -> Case:
    """A call of a client for an endpoint, or of one whose requests to the hosted API are redirected."""
    # Old ones ask the Hub for a model unless one is named, whatever the endpoint.
    model = {"model": "named/only"} if client.release < (3,) else {}
    given = {"inputs": inputs, **model, **({"parameters": parameters} if parameters else {}), **(more or {})}
    made = {"token": token, "endpoint": endpoint, "redirect": redirect}
    return {"name": name, "method": METHODS.get(method, method), "arguments": given, "options": options, **made}
