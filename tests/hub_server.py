"""A small stand-in for the Hub: its routes for information and files, on a port of this machine."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OLD = "fedcba9876543210fedcba9876543210fedcba98"


class Hub:
    """Serves folders as models; remembers what was asked for and with which token."""

    def __init__(self) -> None:
        """Start on a free port."""
        self.models: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str, str | None]] = []
        self._held: dict[str, threading.Event] = {}
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.answer(self)

            def do_HEAD(self) -> None:
                hub.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def add(self, name: str, folder: Path, *, token: str | None = None, gated: bool = False) -> None:
        """Serve a folder as a model, perhaps to one token only."""
        files = {file.name: file.read_bytes() for file in sorted(folder.iterdir())}
        self.models[name] = {"files": files, "token": token, "gated": gated}

    def hold(self, file: str) -> threading.Event:
        """Send half of a file, and the rest once the event is set."""
        return self._held.setdefault(file, threading.Event())

    def downloads(self) -> list[str]:
        """Names of the files whose content was asked for."""
        asked = (path for method, path, _ in self.requests if method == "GET" and "/resolve/" in path)
        return sorted({path.rpartition("/")[2] for path in asked})

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request as the Hub does."""
        path = unquote(request.path.partition("?")[0])
        token = request.headers.get("authorization")
        self.requests.append((request.command, path, token))
        name = self._name(path)
        model = self.models.get(name)
        if model is None or (model["token"] and token != f"Bearer {model['token']}" and not model["gated"]):
            return self._refuse(request, 401, "RepoNotFound", "Repository not found")
        if model["gated"] and token != f"Bearer {model['token']}":
            return self._refuse(request, 403, "GatedRepo", "Access to this model is restricted")
        if path.startswith("/api/models/"):
            return self._information(request, name, path, model)
        revision, _, file = path.partition("/resolve/")[2].partition("/")
        if self._commit(revision) is None:
            return self._refuse(request, 404, "RevisionNotFound", "Revision not found")
        if file not in model["files"]:
            return self._refuse(request, 404, "EntryNotFound", "Entry not found")
        content = model["files"][file]
        headers = {
            "X-Repo-Commit": self._commit(revision),
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "Accept-Ranges": "bytes",
        }
        start = 0
        if wanted := request.headers.get("range"):
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
        self._send(request, 206 if start else 200, content[start:], headers, self._held.get(file))

    def _name(self, path: str) -> str:
        path = path.removeprefix("/api/models/").removeprefix("/")
        for separator in ("/resolve/", "/revision/", "/tree/"):
            path = path.partition(separator)[0]
        return path

    def _commit(self, revision: str) -> str | None:
        return {"main": COMMIT, COMMIT: COMMIT, "v1": OLD, OLD: OLD}.get(revision)

    def _information(self, request: BaseHTTPRequestHandler, name: str, path: str, model: dict[str, Any]) -> None:
        commit = self._commit(path.partition("/revision/")[2] or "main")
        if commit is None:
            return self._refuse(request, 404, "RevisionNotFound", "Revision not found")
        if "/tree/" in path:
            files = [
                {"type": "file", "path": file, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for file, data in model["files"].items()
            ]
            return self._send(request, 200, json.dumps(files).encode(), {"Content-Type": "application/json"})
        information = {
            "_id": "1",
            "id": name,
            "modelId": name,
            "sha": commit,
            "private": bool(model["token"]),
            "gated": "auto" if model["gated"] else False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "siblings": [{"rfilename": file, "size": len(data)} for file, data in model["files"].items()],
        }
        return self._send(request, 200, json.dumps(information).encode(), {"Content-Type": "application/json"})

    def _refuse(self, request: BaseHTTPRequestHandler, status: int, code: str, message: str) -> None:
        body = json.dumps({"error": message}).encode()
        self._send(request, status, body, {"X-Error-Code": code, "X-Error-Message": message})

    def _send(
        self,
        request: BaseHTTPRequestHandler,
        status: int,
        body: bytes,
        headers: dict[str, Any],
        held: threading.Event | None = None,
    ) -> None:
        request.send_response(status)
        for key, value in {**headers, "Content-Length": len(body)}.items():
            request.send_header(key, str(value))
        request.end_headers()
        if request.command != "GET":
            return
        if held is not None:
            half = len(body) // 2
            request.wfile.write(body[:half])
            held.wait()
            body = body[half:]
        request.wfile.write(body)
