"""`acall`: answers without blocking the loop, waiting calls joined."""

from __future__ import annotations

import asyncio
import gc
import os
import time
import weakref
from collections.abc import Callable
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


def _threads() -> set[str]:
    """Ids of this process's threads that belong to an engine."""
    names = {path.parent.name: path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")}
    return {thread for thread, name in names.items() if name.startswith(("engine-", "acall-answers"))}


def _soon(holds: Callable[[], bool]) -> bool:
    """Whether something comes to hold within seconds."""
    deadline = time.monotonic() + 10
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds()


def test_a_pipeline_that_nobody_holds_is_freed_with_its_threads() -> None:
    pipe = candlewick.pipeline("ner", MODELS / "bert-ner", threads=2)
    gone = weakref.ref(pipe)
    before = _threads()

    async def ask(pipe: Tokens) -> Any:
        return await pipe.acall("Sarah")

    asyncio.run(ask(pipe))
    # Two that compute, one that reads, one that waits for the GIL; a thread has its name once it has run.
    assert _soon(lambda: len(_threads() - before) == 4)
    gc.disable()
    del pipe
    freed = _soon(lambda: gone() is None and not _threads() - before)
    gc.enable()
    assert freed


def test_what_is_cancelled_is_not_computed(ner: Tokens) -> None:
    texts = [f"Call me Jessica, said number {number}. " * 8 for number in range(2_000)]
    whole = ner._native.logits(texts[:1])[0].values.shape[0] * len(texts)
    before = ner._native.computed_tokens

    async def ask() -> None:
        call = asyncio.ensure_future(ner.acall(texts))
        while ner._native.computed_tokens == before:
            await asyncio.sleep(0.001)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await ner.acall("Sarah")  # after it, what was being computed has ended

    asyncio.run(ask())
    assert ner._native.computed_tokens - before < whole / 2


def test_an_answer_on_its_way_survives_close() -> None:
    pipe = candlewick.pipeline("ner", MODELS / "bert-ner")
    expected = pipe("Sarah")

    async def ask() -> Any:
        call = asyncio.ensure_future(pipe.acall("Sarah"))
        await asyncio.sleep(0)
        pipe.close()
        return await call

    assert asyncio.run(ask()) == expected


def test_the_first_bad_input_is_named(tiny: Tokens) -> None:
    async def ask() -> Any:
        return await tiny.acall(["Sarah", "Sarah " * 100, "London " * 100], long_text="error")

    with pytest.raises(candlewick.errors.InputError, match="input 1:"):
        asyncio.run(ask())


def test_a_dictionary_has_options_of_its_own(labels: Texts) -> None:
    inputs = ["a b", {"text": "a " * 60, "truncation": True, "max_length": 8}]

    async def ask() -> Any:
        with pytest.warns(candlewick.TruncationWarning, match="input 1 was cut"):
            return await labels.acall(inputs)

    found = asyncio.run(ask())
    with pytest.warns(candlewick.TruncationWarning, match="input 1 was cut"):
        assert found == labels(inputs)


def test_lazy_inputs_stay_lazy(tiny: Tokens) -> None:
    async def ask() -> Any:
        return await tiny.acall(text for text in ["Sarah", "London"])

    answers = asyncio.run(ask())
    assert list(answers) == tiny(["Sarah", "London"])


def test_a_child_process_awaits_with_threads_of_its_own(tiny: Tokens) -> None:
    async def ask() -> Any:
        return await tiny.acall("Sarah")

    expected = asyncio.run(ask())
    child = os.fork()
    if child == 0:
        os._exit(0 if asyncio.run(ask()) == expected else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert asyncio.run(ask()) == expected


def test_a_closed_pipeline_refuses() -> None:
    pipe = candlewick.pipeline("ner", MODELS / "bert-ner")

    async def ask() -> Any:
        first = await pipe.acall("Sarah")
        pipe.close()
        with pytest.raises(BackendError, match="closed"):
            await pipe.acall("Sarah")
        return first

    assert isinstance(asyncio.run(ask()), list)
