"""The reference that transformers computes, always in float32: since its release 5, the default is the checkpoint's."""

from __future__ import annotations

import importlib.util
import inspect
from pathlib import Path
from typing import Any

from candlewick._verify import STRATEGIES, Reference, Result, Text
from candlewick._verify.library import failing_as, short

NAME = "transformers"
#: The first release in which a model's type of numbers is asked for as `dtype`.
_DTYPE = (4, 56)


def obstacle(folder: Path) -> str | None:
    """Why no reference can be computed here."""
    lacking = [name for name in (NAME, "torch") if importlib.util.find_spec(name) is None]
    return f"{' and '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not installed here" if lacking else None


def remedy(model: str, folder: Path) -> str:
    """Where a reference comes from."""
    return f"pip install transformers torch, or run `candlewick verify {model} --save` where they are"


def reference(folder: Path, task: str, texts: list[Text], max_tokens: int) -> Reference:
    """What transformers makes of texts, each cut at a number of tokens."""
    with failing_as(folder, NAME):
        return _reference(folder, task, texts, max_tokens)


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
    return Result(tokens, offsets, short(logits), {name: _plain(answer) for name, answer in answers.items()})


def _plain(answer: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**entry, "score": float(entry["score"])} for entry in answer]
