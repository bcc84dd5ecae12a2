"""Servers as processes of their own, and the native client that asks them (tests/load)."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
CLIENT = ROOT / "target" / "load" / "release" / "candlewick-load"


@dataclass
class Server:
    """A server that answers."""

    url: str
    process: subprocess.Popen[str]

    def resident(self) -> int:
        """Bytes of memory that are the process's own."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        (kib,) = re.findall(r"^RssAnon:\s+(\d+) kB$", status, re.MULTILINE)
        return int(kib) << 10

    def processor(self) -> float:
        """Seconds of a processor that the process has used."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8")
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100


def ask(url: str, text: str) -> Any:
    """One answer."""
    body = json.dumps({"inputs": text}).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json", "x-wait-for-model": "1"})
    with urllib.request.urlopen(request, timeout=300) as answer:
        return json.load(answer)


@contextmanager
def candlewick_server(*arguments: str) -> Iterator[Server]:
    """`candlewick serve` on a free port, once its first model answers. Its log goes where logs cost nothing to keep."""
    command = [sys.executable, "-m", "candlewick", "serve", "--port", "0", *arguments]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stderr=log, text=True)
        try:
            yield Server(listening(process, log), process)
        finally:
            process.terminate()
            process.wait()


def listening(process: subprocess.Popen[str], log: Any) -> str:
    """The URL that a server has written to its log."""
    while process.poll() is None:
        log.seek(0)
        found = re.search(r"listening on (http\S+)\n", log.read())
        if found:
            ask(found[1], "warm up")
            return found[1]
        time.sleep(0.01)
    raise RuntimeError("the server has ended")


@contextmanager
def fastapi_server(engine: str, threads: int) -> Iterator[Server]:
    """The peer, by torch or onnxruntime."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(Path(__file__).with_name("fastapi_server.py")), engine, str(threads), str(port)]
    process = subprocess.Popen(command, text=True)
    url = f"http://127.0.0.1:{port}"
    try:
        while process.poll() is None:
            try:
                ask(url, "warm up")
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise RuntimeError("the server has ended")
        yield Server(url, process)
    finally:
        process.terminate()
        process.wait()


@dataclass
class Load:
    """What the client has seen."""

    found: dict[str, Any]

    def count(self, kind: str) -> int:
        """Answers of a kind and status, as "text 200"."""
        return int(self.found["answers"].get(kind, {}).get("count", 0))

    def ms(self, kind: str, share: str) -> float:
        """A percentile of their times ("p50", "p99", "max"), in milliseconds."""
        return float(self.found["answers"][kind][f"{share}_ms"])

    @property
    def seconds(self) -> float:
        """How long it took."""
        return float(self.found["seconds"])

    @property
    def client(self) -> float:
        """The client's share of one processor."""
        return float(self.found["cpu_seconds"]) / self.seconds


def load(url: str, lines: list[dict[str, Any]], **options: float) -> Load:
    """Asks a server; every answer has to be the expected one, and none may be lost."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
        file.flush()
        flags = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        done = subprocess.run([CLIENT, url, file.name, *flags], check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    lost = {name: found[name] for name in ("wrong", "unanswered", "cut", "refused")}
    assert not any(lost.values()), (lost, found["first_wrong"])
    return Load(found)
