"""A server as its users start it, and a Hub on this machine that can keep it waiting."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from hub_server import Hub


class SlowHub(Hub):
    """A Hub that sends the files of a model only when its gate is open."""

    def __init__(self) -> None:
        self.gates: dict[str, threading.Event] = {}
        super().__init__()

    def add_slow(self, name: str, folder: Path) -> threading.Event:
        """Serve a folder as a model; its gate."""
        self.add(name, folder)
        self.gates[name] = threading.Event()
        return self.gates[name]

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        name, _, file = request.path.removeprefix("/").partition("/resolve/")
        if file and request.command == "GET" and name in self.gates:
            self.gates[name].wait()
        super().answer(request)


@contextmanager
def listening(command: list[str], environment: dict[str, str]) -> Iterator[str]:
    """A server that logs nothing, by the command that starts it: its URL."""
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            found = re.search(r"listening on (http\S+)", line)
            assert found is not None, line
            yield found[1]
        finally:
            process.kill()


def serving(environment: dict[str, str], *arguments: str) -> AbstractContextManager[str]:
    """`candlewick serve` on a free port: its URL."""
    command = [sys.executable, "-m", "candlewick", "serve", "--port", "0", "--log-level", "off", *arguments]
    return listening(command, environment)


def until_ready(url: str, key: str = "") -> None:
    """Wait for a model."""
    headers = {"x-wait-for-model": "true", "authorization": f"Bearer {key}"}
    request = urllib.request.Request(url, b'{"inputs": "a"}', headers)
    urllib.request.urlopen(request, timeout=300).close()
