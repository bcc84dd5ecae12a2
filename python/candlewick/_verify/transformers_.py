"""The reference that transformers computes, always in float32: since its release 5, the default is the checkpoint's."""

from __future__ import annotations

import importlib.util
import inspect
import warnings
from pathlib import Path
from typing import Any

from candlewick._verify import STRATEGIES, Reference, Result, Text, VerificationError

#: The first release in which a model's type of numbers is asked for as `dtype`.
_DTYPE = (4, 56)


def installed() -> bool:
    """Whether a reference can be computed here."""
    return all(importlib.util.find_spec(name) is not None for name in ("transformers", "torch"))


def reference(folder: Path, task: str, texts: list[Text], max_tokens: int) -> Reference:
    """What transformers makes of texts, each cut at a number of tokens."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _reference(folder, task, texts, max_tokens)
    except Exception as error:  # whatever it is that this release of transformers can't do
        said = str(error).strip().partition("\n")[0]
        raise VerificationError(f"{folder}: transformers failed: {type(error).__name__}: {said}") from error


def _reference(folder: Path, task: str, texts: list[Text], max_tokens: int) -> Reference:
    import torch
    import transformers

    transformers.utils.logging.set_verbosity_error()
    release = tuple(int(part) for part in transformers.__version__.split(".")[:2])
    numbers = {"dtype" if release >= _DTYPE else "torch_dtype": torch.float32}
    pipe = transformers.pipeline(task, model=str(folder), device="cpu", **numbers)
    tokenizer = pipe.tokenizer
    tokenizer.model_max_length = min(tokenizer.model_max_length, max_tokens)
    with torch.no_grad():
        results = [_result(pipe, task, text) for text in texts]
    return Reference(f"transformers {transformers.__version__}, torch {torch.__version__}", task, texts, results)


def _result(pipe: Any, task: str, text: Text) -> Result:
    first, second = text if isinstance(text, tuple) else (text, None)
    encoded = pipe.tokenizer(first, second, truncation=True, return_offsets_mapping=True, return_tensors="pt")
    offsets = encoded.pop("offset_mapping")[0].tolist()
    known = inspect.signature(pipe.model.forward).parameters
    logits = pipe.model(**{key: value for key, value in encoded.items() if key in known}).logits[0].tolist()
    tokens = pipe.tokenizer.convert_ids_to_tokens(encoded["input_ids"][0].tolist())
    if task == "token-classification":
        answers = {
            strategy: pipe(text, aggregation_strategy=strategy, ignore_labels=[]) if first else []
            for strategy in STRATEGIES
        }
    else:
        asked = {"text": first, "text_pair": second} if second is not None else first
        labels = pipe(asked, top_k=None, truncation=True)
        # One list deeper for a lone string, in some releases.
        answers = {"labels": labels[0] if isinstance(labels[0], list) else labels}
        logits = [logits]
    return Result(tokens, offsets, _short(logits), {name: _plain(answer) for name, answer in answers.items()})


def _short(logits: list[list[float]]) -> list[list[float]]:
    """Nine digits hold a float32."""
    return [[float(f"{value:.9g}") for value in row] for row in logits]


def _plain(answer: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**entry, "score": float(entry["score"])} for entry in answer]
