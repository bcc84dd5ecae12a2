"""What both pipelines share: ways to be called, options, warnings, pickling, closing."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from candlewick.errors import InputError, InputTypeError, ParameterError, TruncationWarning

if TYPE_CHECKING:
    from typing_extensions import Self

    from candlewick._native import TextClassifier, TokenClassifier

Native = TypeVar("Native", "TokenClassifier", "TextClassifier")

_PACKAGE = os.path.dirname(__file__)
#: Index, tokens read and tokens of the whole text.
Cut = tuple[int, int, int]


class Request(NamedTuple):
    """What a call asks: a list of inputs, options, and what its answer is to look like."""

    inputs: list[Any]
    options: dict[str, Any]
    shape: Callable[[list[Any]], Any]


class BasePipeline(Generic[Native]):
    """A loaded model and the options that its calls start from. Made by `candlewick.pipeline`."""

    task: str
    #: Answers one input, a list, or lazily any other iterable; each task has its own.
    __call__: Callable[..., Any]

    def __init__(self, native: Native, arguments: dict[str, Any], defaults: dict[str, Any]) -> None:
        """Take over a loaded model; `arguments` rebuild the pipeline in another process."""
        self._native: Native = native
        self._arguments = arguments
        self._defaults = defaults
        self._check(defaults)

    # What a model is

    @property
    def labels(self) -> list[str]:
        """The model's labels, by id."""
        return self._native.labels

    @property
    def max_tokens(self) -> int:
        """Longest input in tokens, special ones included."""
        return self._native.max_tokens

    @property
    def model_type(self) -> str:
        """The network's family, as `config.json` names it."""
        return self._native.model_type

    @property
    def info(self) -> dict[str, Any]:
        """What runs: architecture, dtype, instruction set, threads, limit, number of weights."""
        return self._native.info

    def __repr__(self) -> str:
        model = self._arguments.get("model")
        return f"<{type(self).__name__} {'demo model' if model is None else model!r}, {self.model_type}>"

    # Ways to call it

    async def acall(self, inputs: Any, **options: Any) -> Any:
        """Answer without blocking the event loop; awaits that wait at the same time are computed together.

        The result and the errors are those of calling the pipeline. Who cancels the await takes its texts back.
        """
        if _lazy(inputs):
            return self._answer(inputs, options)
        request = self._request(inputs, options)
        items = self._items(request.inputs, request.options)
        found = [await self._awaited(items[part], more) for part, more in self._parts(request)]
        return request.shape(self._finished(found, request.options))

    def query(self, body: Mapping[str, Any]) -> Any:
        """Answer the body of an Inference API request with the body of its response.

        The defaults are those of the HTTP API: strategy `simple`, all labels, no limit on the batch.

        Raises:
            InputError: `inputs` is missing or of a kind that the task does not take.
            ParameterError: A parameter is unknown or its value is not allowed.
        """
        try:
            text = json.dumps(body, ensure_ascii=False, allow_nan=False)
            text.encode()
        except (TypeError, ValueError) as error:
            kind = InputError if isinstance(error, ValueError) else InputTypeError
            raise kind(f"body: expected what JSON can hold, {error}") from None
        answer, notes = self._native.query(text)
        for note in notes:
            warnings.warn(note, UserWarning, stacklevel=_outside())
        return json.loads(answer)

    def warmup(self) -> None:
        """Compute one short text, so that the first real call finds threads and pages in place."""
        self._native.run(self._items(["warm up"], {}))

    # Lifetime

    def close(self) -> None:
        """Free the model; later calls raise `BackendError`. Closing twice is allowed."""
        self._native.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[dict[str, Any]]]:
        return _rebuild, (self._arguments,)

    # The way to the native layer

    def _items(self, inputs: list[Any], options: dict[str, Any]) -> list[Any]:
        """Inputs as the native layer takes them."""
        raise NotImplementedError

    def _request(self, inputs: Any, given: dict[str, Any]) -> Request:
        """What a call asks, unless its inputs are lazy."""
        raise NotImplementedError

    def _parts(self, request: Request) -> list[tuple[slice, dict[str, Any]]]:
        """The inputs that are computed with the same options, and these."""
        return [(slice(None), request.options)]

    def _native_options(self, options: dict[str, Any]) -> dict[str, Any]:
        """Options as the native layer takes them."""
        return options

    def _listed(self, result: Any, options: dict[str, Any]) -> Any:
        """The answer to one input of a list, from what the native layer gave."""
        return result

    def _options(self, given: dict[str, Any]) -> dict[str, Any]:
        """Constructor's options under the call's, key by key."""
        return {**self._defaults, **given}

    def _check(self, given: dict[str, Any]) -> None:
        """Refuse unknown options and bad values before there is an input."""
        self._native.run([], **self._native_options(self._options(given)))

    def _answer(self, inputs: Any, given: dict[str, Any]) -> Any:
        """What calling the pipeline does."""
        if _lazy(inputs):
            self._check(given)
            return self._lazily(inputs, self._options(given))
        request = self._request(inputs, given)
        return request.shape(self._run(request))

    def _run(self, request: Request) -> list[Any]:
        """Answers in order; one warning for all texts that were cut."""
        items = self._items(request.inputs, request.options)
        found = [self._native.run(items[part], **self._native_options(more)) for part, more in self._parts(request)]
        return self._finished(found, request.options)

    async def _awaited(self, items: list[Any], options: dict[str, Any]) -> tuple[list[Any], list[Cut]]:
        """What the native layer gives, without blocking the event loop."""
        import asyncio  # takes longer than all other imports together, and whoever awaits has it already

        loop = asyncio.get_running_loop()
        future: asyncio.Future[tuple[list[Any], list[Cut]]] = loop.create_future()

        def settle(found: tuple[list[Any], list[Cut]] | None, error: BaseException | None) -> None:
            if future.done():
                return  # the await was cancelled
            if found is not None:
                future.set_result(found)
            elif error is not None:
                future.set_exception(error)

        def done(found: tuple[list[Any], list[Cut]] | None, error: BaseException | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop may have been closed before its answer came
                loop.call_soon_threadsafe(settle, found, error)

        pending = self._native.submit(items, done, **self._native_options(options))
        try:
            return await future
        finally:
            pending.cancel()

    def _finished(self, found: list[tuple[list[Any], list[Cut]]], options: dict[str, Any]) -> list[Any]:
        """The answers of all parts, one after the other; one warning for all texts that were cut."""
        answers: list[Any] = []
        cuts: list[Cut] = []
        for results, of_part in found:
            cuts += [(len(answers) + index, kept, total) for index, kept, total in of_part]
            answers += results
        if cuts:
            warn_cut(cuts)
        return [self._listed(answer, options) for answer in answers]

    def _as_finished(self, inputs: Any, options: dict[str, Any]) -> Iterator[tuple[int, Any]]:
        """Position and answer as they finish; of an iterable without length, group by group."""
        first = 0
        cuts: list[Cut] = []
        for group in [inputs] if isinstance(inputs, list) else _groups(inputs, options):
            answers = self._native.stream(self._items(group, options), **self._native_options(options))
            for index, result, cut in answers:
                if cut is not None:
                    kept, total = cut
                    cuts.append((first + index, kept, total))
                yield first + index, self._listed(result, options)
            first += len(group)
        if cuts:
            warn_cut(cuts)

    def _lazily(self, inputs: Iterable[Any], options: dict[str, Any]) -> Iterator[Any]:
        """Answers in order, each computed when it is asked for, `batch_size` at a time."""
        for group in _groups(inputs, options):
            yield from self._run(Request(group, options, list))


def not_empty(inputs: list[Any]) -> list[Any]:
    """The list, unless there is nothing in it."""
    if not inputs:
        raise InputError("inputs: expected at least one input, got an empty list")
    return inputs


def several(inputs: Any) -> bool:
    """Whether the inputs are a list or another iterable of inputs."""
    return isinstance(inputs, Iterable) and not isinstance(inputs, (str, bytes, bytearray, Mapping, tuple))


def _lazy(inputs: Any) -> bool:
    """Whether they are to be read item by item, when their answers are asked for."""
    return several(inputs) and not isinstance(inputs, list)


def wrong_kind(index: int | None, expected: str, got: object) -> InputTypeError:
    """The error for an input that is of none of the allowed kinds."""
    where = "inputs" if index is None else f"input {index}"
    return InputTypeError(f"{where}: expected {expected}, got {type(got).__name__}")


def warn_cut(cuts: list[Cut]) -> None:
    """One warning for all texts of a call that were cut, at the line that called us."""
    index, kept, total = min(cuts)
    more = f" (and {len(cuts) - 1} more)" if len(cuts) > 1 else ""
    message = f"input {index} was cut from {total} to {kept} tokens{more}"
    warnings.warn(TruncationWarning(message, index, kept, total), stacklevel=_outside())


def _groups(inputs: Iterable[Any], options: dict[str, Any]) -> Iterator[list[Any]]:
    """Runs of `batch_size` inputs (1 unless it is given): no more is read ahead than the caller allowed."""
    if options.get("offset_mapping") is not None:
        raise ParameterError("offset_mapping: expected None for inputs that are read lazily, got a list")
    iterator = iter(inputs)
    while group := list(islice(iterator, options.get("batch_size") or 1)):
        yield group


def _outside() -> int:
    """The `stacklevel` of the first frame that is not of this package, for a caller of `warnings.warn`."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and os.path.dirname(frame.f_code.co_filename) == _PACKAGE:
        level, frame = level + 1, frame.f_back
    return level


def _rebuild(arguments: dict[str, Any]) -> Any:
    from candlewick.pipeline import pipeline

    return pipeline(**arguments)
