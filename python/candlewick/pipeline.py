"""`candlewick.pipeline`: from a model's name to something that answers."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal, overload

from candlewick import _native, _packed
from candlewick.errors import ParameterError, QualityWarning
from candlewick.text_classification import TextClassificationPipeline
from candlewick.token_classification import TokenClassificationPipeline

if TYPE_CHECKING:
    import os

_TASKS = {
    "token-classification": "token-classification",
    "ner": "token-classification",
    "text-classification": "text-classification",
    "sentiment-analysis": "text-classification",
}
_DTYPES = ("float32", "bfloat16", "int8", "auto")
_QUALITIES = ("warn", "strict", "skip")


@overload
def pipeline(
    task: Literal["token-classification", "ner"], model: str | os.PathLike[str] | None = None, **options: Any
) -> TokenClassificationPipeline: ...
@overload
def pipeline(
    task: Literal["text-classification", "sentiment-analysis"],
    model: str | os.PathLike[str] | None = None,
    **options: Any,
) -> TextClassificationPipeline: ...
@overload
def pipeline(
    task: str | None = None, model: str | os.PathLike[str] | None = None, **options: Any
) -> TokenClassificationPipeline | TextClassificationPipeline: ...
def pipeline(
    task: str | None = None,
    model: str | os.PathLike[str] | None = None,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
    dtype: str = "float32",
    device: str = "cpu",
    threads: int | None = None,
    max_tokens: int | None = None,
    quality: str = "warn",
    calibration: list[str] | list[tuple[str, str]] | None = None,
    packed_cache: bool = True,
    encoder_from: object = None,
    **defaults: Any,
) -> TokenClassificationPipeline | TextClassificationPipeline:
    """Load a model.

    Args:
        task: "token-classification" (or "ner"), "text-classification" (or "sentiment-analysis"); `None` for what the
            model's configuration says.
        model: A Hub id, a folder, or `None` for the demo model of the task, which needs no network.
        revision: Branch, tag or commit of a Hub model.
        token: Hub token; `None` for the one that is stored, `False` for none.
        cache_dir: Folder of the Hub's cache.
        local_files_only: Whether to use only what the cache has.
        dtype: "float32" (the reference's), "bfloat16" (twice as fast, scores differ in the second or third digit),
            "int8" (three times as fast, scores differ in the first or second digit), or "auto": int8 if it passes the
            quality gate, else bfloat16 where the processor multiplies it, else float32.
        device: "cpu".
        threads: Threads of a call; `None` for what cgroup and affinity allow.
        max_tokens: A limit below the model's own, in tokens with special tokens.
        quality: What an explicit "int8" does that changes more than one in a hundred labels of the sample: "warn" (a
            `QualityWarning`), "strict" (a `ParameterError`), "skip" (nothing is measured).
        calibration: Texts like those the model will get, on which int8 is judged; `None` for built-in ones.
        packed_cache: Whether packed weights are kept on disk (`CANDLEWICK_CACHE`), where the next process maps them.
            Pickled checkpoints are kept there as safetensors in any case.
        encoder_from: Reserved.
        **defaults: Options of calls, given once; a call's own win.

    Raises:
        ParameterError: An argument's value is not allowed.
        ModelNotFoundError: There is no such model.
        ModelFormatError: A file of the model is damaged or does not fit the others.
        UnsupportedModelError: The model's architecture or files are not supported.
        BackendError: A pickled checkpoint can't be kept as safetensors, because the cache is full or can't be written.

    >>> import candlewick
    >>> candlewick.pipeline("ner").labels[:3]
    ['O', 'B-PER', 'I-PER']
    """
    arguments = {**locals(), **defaults}
    del arguments["defaults"]
    name = _one_of("task", task, _TASKS) if task is not None else None
    if name is None and model is None:
        raise ParameterError("task: expected a task or a model, got neither")
    _one_of("dtype", dtype, _DTYPES)
    _one_of("device", device, ("cpu",))
    _one_of("quality", quality, _QUALITIES)
    options: dict[str, Any] = {"dtype": dtype, "threads": threads, "max_tokens": max_tokens, "quality": quality}
    options |= {"calibration": calibration, "packed_cache": _packed.folder() if packed_cache is True else None}
    if not isinstance(packed_cache, bool):
        raise ParameterError(f"packed_cache: expected True or False, got {packed_cache!r}")
    if encoder_from is not None:
        raise ParameterError("encoder_from: expected None (sharing an encoder is reserved), got a value")
    from candlewick import _checkpoint, hub

    chosen = _TASKS[name] if name is not None else None
    folder = hub.resolve(
        model,
        task=chosen,
        revision=revision,
        token=token,
        cache_dir=cache_dir,
        local_files_only=local_files_only,
    )
    folder = _checkpoint.readable(folder)
    if (chosen or _native.task_of(folder)) == "token-classification":
        tokens = _native.TokenClassifier(folder, **options)
        _judge(tokens.info, arguments)
        return TokenClassificationPipeline(tokens, arguments, defaults)
    texts = _native.TextClassifier(folder, **options)
    _judge(texts.info, arguments)
    return TextClassificationPipeline(texts, arguments, defaults)


def _judge(info: dict[str, Any], arguments: dict[str, Any]) -> None:
    """Warn of an int8 that was asked for and misses the gate."""
    found = info["quality"]
    if arguments["dtype"] == "int8" and found is not None and not found["passes"]:
        message = (
            f"int8 changes {found['flips']} of {found['labels']} labels of the sample and a probability by "
            f'{found["worst_difference"]:.3f}; dtype="auto" would take other numbers for this model'
        )
        warnings.warn(QualityWarning(message), stacklevel=3)


def _one_of(name: str, value: object, allowed: Any) -> str:
    if isinstance(value, str) and value in allowed:
        return value
    raise ParameterError(f"{name}: expected one of {', '.join(allowed)}, got {value!r}")
