"""`candlewick.serve`: the HTTP server in a thread of this process."""

from __future__ import annotations

import os
import re
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from candlewick import _checkpoint, _native, _packed, hub
from candlewick.errors import BackendError, ParameterError

if TYPE_CHECKING:
    from typing_extensions import Self

#: The demo models by their names in URLs, the one that answers `/` first.
_DEMO = {"demo-ner": "token-classification", "demo-sentiment": "text-classification"}
_COMMIT = re.compile(r"[0-9a-f]{40}")
#: How long `serve` looks away between two looks at whether the models are loaded.
_LOOK = 0.002

#: Name, model, revision and task.
Wanted = tuple[str, "str | None", "str | None", "str | None"]


class Server:
    """A server in a thread. Made by `candlewick.serve`."""

    def __init__(self, native: _native.Server) -> None:
        """Take over a server that listens and does not run."""
        self._native = native
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="candlewick-serve", daemon=True)

    @property
    def url(self) -> str:
        """Where it answers, without a slash at the end."""
        return url_of(self._native)

    def start(self) -> Self:
        """Run, and wait until the models are loaded or failed.

        Raises:
            BackendError: None of the models can be loaded.
        """
        self._thread.start()
        while self._native.loading and self._thread.is_alive():
            time.sleep(_LOOK)
        if not self._native.ready:  # then it ends by itself
            self._thread.join()
        if self._failure is not None:
            raise self._failure
        return self

    def close(self) -> None:
        """Finish what is being answered, then end."""
        self._native.stop()
        self._thread.join()

    def __enter__(self) -> str:
        return self.start().url

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _run(self) -> None:
        try:
            self._native.run(False)
        except BaseException as error:
            self._failure = error


def serve(
    *models: str | os.PathLike[str],
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | bool | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Server:
    """Serve models over HTTP from a thread of this process, for tests and notebooks.

    Args:
        *models: Hub ids or folders; without any, both demo models. The first one answers `/`.
        host: The address to listen on.
        port: The port; 0 for any that is free.
        token: Hub token; `None` for the one that is stored, `False` for none.
        cache_dir: Folder of the Hub's cache.
        **options: The flags of `candlewick serve` with underscores: `api_keys`, `dtype`, `threads`, `max_tokens`,
            `cache_size`, `request_timeout` and `target_latency` in seconds, and so on.

    Returns:
        A context manager whose value is the server's URL; signal handlers are left alone.

    Raises:
        ParameterError: An option's value is not allowed.
        BackendError: The port is taken, or (on entering) none of the models can be loaded.

    >>> import candlewick, json, urllib.request
    >>> with candlewick.serve() as url:
    ...     body = json.dumps({"inputs": "Call me Jessica"}).encode()
    ...     found = json.load(urllib.request.urlopen(url, body))
    >>> found[0]["word"]
    'Jessica'
    """
    wanted: list[Wanted] = [(served_name(model), os.fspath(model), None, None) for model in models]
    return Server(native(wanted, host=host, port=port, path=None, token=token, cache_dir=cache_dir, options=options))


def native(
    wanted: list[Wanted],
    *,
    host: str,
    port: int,
    path: str | None,
    token: str | bool | None,
    cache_dir: str | os.PathLike[str] | None,
    options: dict[str, Any],
) -> _native.Server:
    """A server that listens; `wanted` is name, model, revision and task of each model."""

    def resolve(
        model: str | None, revision: str | None, task: str | None, report: hub.Report
    ) -> tuple[str, str | None]:
        folder = hub.resolve(
            model,
            task=task,
            revision=revision,
            token=token,
            cache_dir=cache_dir,
            local_files_only=False,
            report=report,
        )
        name = Path(folder).name
        return _checkpoint.readable(folder), name if _COMMIT.fullmatch(name) else None

    wanted = wanted or [(name, None, None, task) for name, task in _DEMO.items()]
    if not isinstance(port, int) or not 0 <= port <= 65535:
        raise ParameterError(f"port: expected a whole number from 0 to 65535, got {port!r}")
    options = {"packed_cache": _packed.folder(), **options}
    return _native.Server(wanted, resolve, host, port, path, **options)


def served_name(model: str | os.PathLike[str]) -> str:
    """The name of a model in URLs: its Hub id, or its folder's name."""
    name = os.fspath(model)
    return Path(name).resolve().name if Path(name).is_dir() else name


def url_of(server: _native.Server) -> str:
    """Where a server on TCP answers."""
    if server.address is None:
        raise BackendError("the server listens on a Unix socket and has no URL")
    return _url(*server.address)


def metrics_url_of(server: _native.Server) -> str | None:
    """Where its metrics are read, if they have a port of their own."""
    return None if server.metrics_address is None else _url(*server.metrics_address) + "/metrics"


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
