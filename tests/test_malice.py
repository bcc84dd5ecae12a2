"""What clients do to `candlewick serve` in bad faith, byte by byte; `server_socket.rs` has what needs no process."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from serving import command, connect, exchange, post

WAITS = {"x-wait-for-model": "1"}
SECRET = "hunter2"
LIMIT = 2_000


class Server:
    """A process, its URL and its log."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.url = url
        self.log: list[str] = []
        self._process = process
        self._reader = threading.Thread(target=lambda: self.log.extend(process.stderr or ()))
        self._reader.start()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(60) == 0
        self._reader.join()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Both demo models; at the end it has to be alive, and its log without anything that a client wrote."""
    with command("--json-output", "--log-level", "debug", "--payload-limit", str(LIMIT)) as (process, url):
        server = Server(process, url)
        post(f"{url}/models/demo-sentiment", {"inputs": "a"}, **WAITS)
        yield server
        assert post(url, {"inputs": "Call me Jessica"})[0]["word"] == "Jessica"
        server.stop()
    for line in server.log:
        assert SECRET not in line, line
        assert json.loads(line)["message"] in ("answered", "ready", "stopping"), line


def request(body: bytes, *headers: str, path: str = "/") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: h", f"content-length: {len(body)}", *headers, "connection: close", "", ""]
    return "\r\n".join(lines).encode() + body


def statuses(answer: bytes) -> list[int]:
    """The statuses of all responses that came back on a connection."""
    return [int(status) for status in re.findall(rb"^HTTP/1\.1 (\d{3})", answer, re.MULTILINE)]


@pytest.mark.parametrize(
    "head",
    [
        f"x: {'a' * 2_000_000}",
        "\r\n".join(f"x-{number}: {SECRET}" for number in range(20_000)),
        "a" * 1_000_000,
        "x: a\x00b",
        "x: a\nset-cookie: b",
    ],
    ids=["a long header", "many headers", "a name without an end", "a zero", "a bare line feed"],
)
def test_heads_that_are_too_large_or_broken_are_refused(server: Server, head: str) -> None:
    answer = exchange(server.url, request(b"{}", head))
    assert statuses(answer) in ([], [400], [431]), answer[:200]
    assert b"set-cookie" not in answer


def test_what_a_client_wrote_adds_no_header(server: Server) -> None:
    crlf = "a\r\nset-cookie: b"
    texts = json.dumps({"inputs": "a", "parameters": {crlf: 1, "日本": 2}}).encode()
    for sent in (
        request(texts),  # an error that names the parameter
        request(texts, path="/models/demo-sentiment"),  # a warning that does
        request(b"{}", path="/models/a%0d%0aset-cookie:%20b"),
        request(b"{}", path="/pipeline/a%0d%0aset-cookie:%20b"),
        request(b'{"inputs": "a"}', "x-amzn-trace-id: a\tset-cookie: b", "x-request-id: <a>"),
        request(b'{"inputs": "a"}', "origin: https://a.example%0d%0aset-cookie: b"),
    ):
        answer = exchange(server.url, sent)
        head, _, _ = answer.partition(b"\r\n\r\n")
        assert len(statuses(answer)) == 1, answer
        assert not re.search(rb"^set-cookie", head, re.MULTILINE | re.IGNORECASE), head
        assert head.isascii(), head


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "..%2F..%2Fetc%2Fpasswd", "%2e%2e/%2e%2e", "demo-ner%00", "demo-ner%2F..%2Fdemo-ner", "~"],
)
def test_an_id_is_a_name_and_never_a_path(server: Server, name: str) -> None:
    for method in ("POST", "GET"):
        sent = f"{method} /models/{name} HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{{}}"
        answer = exchange(server.url, sent.encode())
        assert statuses(answer)[0] in (404, 405), answer
        assert b"root:" not in answer


INNER = b"GET /metrics HTTP/1.1\r\nhost: h\r\n\r\n"


@pytest.mark.parametrize(
    "outer",
    [
        b"POST /nope HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n" % len(INNER),
        b"GET /health HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n" % len(INNER),
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\ncontent-type: image/png\r\n\r\n" % len(INNER),
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n" % (LIMIT + 1),
        b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.0\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5, 6\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length : 5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length:\x0b5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 18446744073709551617\r\n\r\nhello",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_inside_of_a_refused_request_is_no_request(server: Server, outer: bytes) -> None:
    with connect(server.url) as client:
        client.sendall(outer + INNER)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while more := client.recv(1 << 16):
                answer += more
        except ConnectionResetError:
            pass
    assert len(statuses(answer)) <= 1 and b"te_request_count" not in answer, answer


def test_a_body_that_will_be_refused_is_not_asked_for(server: Server) -> None:
    head = f"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: {LIMIT + 1}\r\nexpect: 100-continue\r\n\r\n"
    assert statuses(exchange(server.url, head.encode())) == [413]


def test_bytes_may_come_one_by_one(server: Server) -> None:
    sent = request(b'{"inputs": "Call me Jessica"}')
    answer = exchange(server.url, *(sent[at : at + 1] for at in range(len(sent))))
    assert statuses(answer) == [200] and b"Jessica" in answer


def test_clients_that_hardly_read_hold_nobody_up(server: Server) -> None:
    with ExitStack() as clients:
        slow = [clients.enter_context(connect(server.url, receive=1)) for _ in range(20)]
        for client in slow:
            client.sendall(b"GET /docs HTTP/1.1\r\nhost: h\r\n\r\n" * 5_000)
        for number in range(50):
            assert post(server.url, {"inputs": f"{number} is what Jessica said"})[0]["word"] == "Jessica"
            assert all(client.recv(1) for client in slow)


def test_secrets_in_the_wrong_place_are_not_logged(server: Server) -> None:
    for sent in (
        request(b"{}", path=f"/models/{SECRET}"),
        request(b"{}", path=f"/{SECRET}?token={SECRET}"),
        request(b'{"inputs": 1}', f"authorization: Basic {SECRET}", f"x-request-id: <{SECRET}>", f"cookie: {SECRET}"),
        request(f'{{"inputs": "a", "parameters": {{"{SECRET}": "{SECRET}"}}}}'.encode(), f"traceparent: {SECRET}"),
    ):
        assert statuses(exchange(server.url, sent))[0] in (400, 404)


def test_connections_without_a_request_do_not_keep_a_server_from_stopping() -> None:
    with command("--log-level", "off") as (process, url), ExitStack() as open_:
        post(url, {"inputs": "a"}, **WAITS)
        clients = [open_.enter_context(connect(url)) for _ in range(100)]
        for client in clients[::2]:
            client.sendall(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-le")
        # The answer has been sent: that most of it is never read is no reason to wait.
        clients[1].sendall(b"GET /docs HTTP/1.1\r\nhost: h\r\n\r\n")
        assert clients[1].recv(1)
        process.send_signal(signal.SIGTERM)
        start = time.monotonic()
        assert process.wait(100) == 0
        # A head may take 75 seconds, which nobody waits for now.
        assert time.monotonic() - start < 60
