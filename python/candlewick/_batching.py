"""Concurrent awaits, computed together."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from candlewick.errors import BackendError

if TYPE_CHECKING:
    import asyncio

    from candlewick._base import BasePipeline

#: Most calls that are joined: a caller that comes later should not wait for a computation without end.
MOST = 64


class _Call:
    """One await: what was asked, and where its answer goes."""

    def __init__(self, pipeline: BasePipeline[Any], inputs: Any, options: dict[str, Any]) -> None:
        import asyncio  # takes longer than all other imports together, and whoever awaits has it already

        self.pipeline = pipeline
        self.inputs = inputs
        self.options = options
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()

    def answer(self, result: Any, error: BaseException | None = None) -> None:
        def resolve() -> None:
            if self.future.done():
                return  # the caller was cancelled
            if error is None:
                self.future.set_result(result)
            else:
                self.future.set_exception(error)

        with contextlib.suppress(RuntimeError):  # the loop may have been closed before its answer came
            self.loop.call_soon_threadsafe(resolve)


class Collector:
    """A thread that answers calls; those that came in while it was busy are joined where their options allow.

    It keeps a pipeline only as long as a call of it waits, so that a pipeline that nobody holds is freed at once.
    """

    def __init__(self) -> None:
        """Start no thread yet: the first call does."""
        self._waiting: deque[_Call] = deque()
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._pid = os.getpid()

    async def submit(self, pipeline: BasePipeline[Any], inputs: Any, options: dict[str, Any]) -> Any:
        """Wait for the answer of one call."""
        call = _Call(pipeline, inputs, options)
        if self._pid != os.getpid():  # the thread and its lock stayed in the parent
            self._pid, self._thread = os.getpid(), None
            self._waiting, self._wake = deque(), threading.Condition()
        with self._wake:
            if self._closed:
                raise BackendError("the pipeline is closed")
            self._waiting.append(call)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="candlewick-acall", daemon=True)
                self._thread.start()
            self._wake.notify()
        return await call.future

    def close(self) -> None:
        """Answer what is waiting, then end the thread."""
        if self._pid != os.getpid():
            self._closed = True
            return
        with self._wake:
            self._closed = True
            self._wake.notify()

    def _work(self) -> None:
        while True:
            with self._wake:
                while not self._waiting and not self._closed:
                    self._wake.wait()
                if not self._waiting:
                    return
                calls = self._take()
            self._answer([call for call in calls if not call.future.cancelled()])
            del calls

    def _take(self) -> list[_Call]:
        """The oldest call and those behind it that can be computed with it."""
        calls = [self._waiting.popleft()]
        if isinstance(calls[0].inputs, str):
            while self._waiting and len(calls) < MOST:
                following = self._waiting[0]
                if not isinstance(following.inputs, str) or following.options != calls[0].options:
                    break
                calls.append(self._waiting.popleft())
        return calls

    def _answer(self, calls: list[_Call]) -> None:
        if len(calls) > 1:
            try:
                results = calls[0].pipeline._joined([call.inputs for call in calls], calls[0].options)
            except Exception:
                results = []  # one of them failed: alone, each gets its own answer or its own error
            for call, result in zip(list(calls), results, strict=False):
                calls.remove(call)
                self._settle(call, result)
        for call in calls:
            self._settle(call, partial(call.pipeline, call.inputs, **call.options))

    @staticmethod
    def _settle(call: _Call, result: Callable[[], Any]) -> None:
        try:
            call.answer(result())
        except BaseException as error:
            call.answer(None, error)
