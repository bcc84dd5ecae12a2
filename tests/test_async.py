"""`acall`: answers without blocking the loop, waiting calls joined."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from pathlib import Path
from typing import Any

import pytest

import candlewick
from candlewick.errors import BackendError, InputTypeError, ParameterError

MODELS = Path(__file__).parent / "golden" / "models"
Tokens = candlewick.TokenClassificationPipeline
Texts = candlewick.TextClassificationPipeline


def test_many_awaits_get_their_own_answers(tiny: Tokens, labels: Texts) -> None:
    texts = [f"Sarah {number} lives in London" for number in range(100)]

    async def ask() -> tuple[list[Any], list[Any]]:
        tokens = asyncio.gather(*(tiny.acall(text, ignore_labels=[]) for text in texts))
        classes = asyncio.gather(*(labels.acall(text, top_k=number % 3 + 1) for number, text in enumerate(texts)))
        return list(await tokens), list(await classes)

    tokens, classes = asyncio.run(ask())
    assert tokens == [tiny(text, ignore_labels=[]) for text in texts]
    assert classes == [labels(text, top_k=number % 3 + 1) for number, text in enumerate(texts)]


def test_shapes_are_those_of_a_call(labels: Texts) -> None:
    async def ask(inputs: Any, **options: Any) -> Any:
        return await labels.acall(inputs, **options)

    pair = {"text": "a", "text_pair": "b"}
    for inputs, options in [("a", {}), (["a", "b"], {}), (pair, {}), ("a", {"top_k": None}), (pair, {"top_k": 1})]:
        assert asyncio.run(ask(inputs, **options)) == labels(inputs, **options)


def test_one_bad_await_fails_alone(tiny: Tokens) -> None:
    async def ask() -> list[Any]:
        calls = [tiny.acall("Sarah"), tiny.acall(5), tiny.acall("a", threads=0), tiny.acall("\ud800"), tiny.acall("b")]
        return await asyncio.gather(*calls, return_exceptions=True)

    fine, kind, option, surrogate, last = asyncio.run(ask())
    assert isinstance(fine, list) and isinstance(last, list)
    assert isinstance(kind, InputTypeError) and isinstance(option, ParameterError)
    assert isinstance(surrogate, candlewick.errors.InputError)


def test_the_loop_stays_free(ner: Tokens) -> None:
    async def ask() -> int:
        ticks = 0
        task = asyncio.ensure_future(ner.acall(["Call me Jessica. " * 30] * 300))
        while not task.done():
            ticks += 1
            await asyncio.sleep(0.001)
        await task
        return ticks

    assert asyncio.run(ask()) > 5


def test_a_cancelled_await_harms_nobody(tiny: Tokens) -> None:
    async def ask() -> Any:
        calls = [asyncio.ensure_future(tiny.acall(f"Sarah {number}", ignore_labels=[])) for number in range(20)]
        await asyncio.sleep(0)
        for call in calls[::2]:
            call.cancel()
        return await asyncio.gather(*calls, return_exceptions=True)

    results = asyncio.run(ask())
    assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
    assert all(isinstance(result, list) for result in results[1::2])


def test_several_loops_one_after_the_other(tiny: Tokens) -> None:
    async def ask() -> Any:
        return await tiny.acall("Sarah")

    assert asyncio.run(ask()) == asyncio.run(ask()) == tiny("Sarah")


def test_the_warning_of_a_cut_text_arrives() -> None:
    pipe = candlewick.pipeline("ner", MODELS / "bert-ner")

    async def ask() -> Any:
        return await asyncio.gather(pipe.acall("Sarah " * 100), pipe.acall("Sarah"))

    with pytest.warns(candlewick.TruncationWarning, match="from 102 to 48"):
        asyncio.run(ask())


def test_a_pipeline_that_nobody_holds_is_freed_with_its_thread() -> None:
    pipe = candlewick.pipeline("ner", MODELS / "bert-ner")
    gone = weakref.ref(pipe)

    async def ask(pipe: Tokens) -> Any:
        return await pipe.acall("Sarah")

    asyncio.run(ask(pipe))
    thread = pipe._collector._thread
    assert thread is not None and thread.is_alive()
    gc.disable()
    del pipe
    deadline = time.monotonic() + 10
    while gone() is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    gc.enable()
    assert gone() is None
    thread.join(10)
    assert not thread.is_alive()


def test_a_closed_pipeline_refuses() -> None:
    pipe = candlewick.pipeline("ner", MODELS / "bert-ner")

    async def ask() -> Any:
        first = await pipe.acall("Sarah")
        pipe.close()
        with pytest.raises(BackendError, match="closed"):
            await pipe.acall("Sarah")
        return first

    assert isinstance(asyncio.run(ask()), list)
