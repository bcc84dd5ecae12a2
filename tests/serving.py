"""`candlewick serve` as a process, and how the tests ask it."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest


def post(url: str, body: Any, **headers: str) -> Any:
    """The answer to a request."""
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def refused(url: str, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    """Status and body of a request that fails."""
    with pytest.raises(urllib.error.HTTPError) as raised:
        post(url, body, **headers)
    with raised.value as error:
        return error.code, json.load(error)


@contextmanager
def command(
    *arguments: str, before: Callable[[], None] | None = None, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`candlewick serve` on a free port: its process and its URL. `before` runs in the process, before it is one."""
    process = subprocess.Popen(
        [sys.executable, "-m", "candlewick", "serve", "--port", "0", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
        preexec_fn=before,
    )
    assert process.stderr is not None
    try:
        found = re.fullmatch(r"candlewick: listening on (http\S+)\n", process.stderr.readline())
        assert found is not None
        yield process, found[1]
    finally:
        process.kill()
        process.communicate()


def connect(url: str, receive: int | None = None) -> socket.socket:
    """A connection without any HTTP on it yet; `receive` are the bytes that may lie there unread."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    client = socket.socket()
    if receive is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    client.settimeout(60)
    client.connect((host, int(port)))
    return client


def exchange(url: str, *parts: bytes) -> bytes:
    """What comes back on a connection of its own until the server closes it."""
    answer = b""
    with connect(url) as client:
        try:
            for part in parts:
                client.sendall(part)
            while more := client.recv(1 << 16):
                answer += more
        except (BrokenPipeError, ConnectionResetError):
            pass  # a server that refuses a request need not read all of it
    return answer


def measured(url: str, name: str) -> float:
    """A figure of `/metrics`."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=60) as answer:
        found = re.search(rf"^{re.escape(name)} (\S+)$", answer.read().decode(), re.MULTILINE)
    assert found is not None, name
    return float(found[1])
