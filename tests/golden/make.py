"""Writes the goldens: tiny seeded checkpoints, and what transformers 4.57.6 makes of texts with them.

Run it in an environment with `requirements.txt`; running it twice gives the same files.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import checkpoints
import long_
import numpy as np
import pickled
import texts
import torch
import transformers

HERE = Path(__file__).parent
#: Smallest distance between the two best labels of any token: nearer ones could flip with the noise of f32.
MARGIN = 1e-4
STRATEGIES = ["none", "simple", "first", "average", "max"]


def main() -> None:
    """Write every checkpoint and its case."""
    transformers.logging.set_verbosity_error()
    warnings.simplefilter("ignore")
    only = sys.argv[1:]
    for seed, row in enumerate(checkpoints.table()):
        if only and row.name not in only:
            continue
        folder = HERE / "models" / row.name
        case = None
        while case is None:
            shutil.rmtree(folder, ignore_errors=True)
            checkpoints.build(row, folder, seed)
            case, seed = (long_.reference if row.long else reference)(row, folder), seed + 1000
        checkpoints.finish(row, folder)
        file = HERE / ("long" if row.long else "cases") / f"{row.name}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(case, ensure_ascii=True, separators=(",", ":")) + "\n", encoding="utf-8")
        print(f"{row.name}: {file.stat().st_size} bytes")
    if not only or "pickled" in only:
        pickled.write()


def reference(row: checkpoints.Checkpoint, folder: Path) -> dict[str, Any] | None:
    """What transformers answers; None when these weights make a golden that could not fail or that noise flips."""
    task = "token-classification" if row.token else "text-classification"
    pipe = transformers.pipeline(task, model=str(folder), dtype=torch.float32, device="cpu")
    assert pipe.tokenizer.is_fast
    inputs = [(text, None) for text in texts.TEXTS]
    inputs += [] if row.token else texts.PAIRS
    encodings = [encoding for pair in inputs if (encoding := encode(pipe, *pair)) is not None]
    if row.token and not varied(encodings):
        return None
    near = {encoding["text"] for encoding in encodings if encoding.pop("near")}
    kept = [text for text in texts.TEXTS if text not in near]
    if len(kept) < len(texts.TEXTS) - 3:
        return None
    calls = token_calls(pipe, kept) if row.token else text_calls(pipe, kept)
    return {
        "model": row.name,
        "task": task,
        "transformers": transformers.__version__,
        "encodings": encodings,
        "calls": calls,
    }


def encode(pipe: Any, text: str, pair: str | None) -> dict[str, Any] | None:
    """Ids, offsets and logits of one input, cut at the limit."""
    tokenizer = pipe.tokenizer
    limit = min(tokenizer.model_max_length, 64)
    encoded = tokenizer(
        text,
        pair or None,
        truncation=True,
        max_length=limit,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
    )
    ids = encoded["input_ids"]
    names = set(tokenizer.model_input_names)
    fed = {name: torch.tensor([encoded[name]]) for name in names & set(encoded)}
    if pipe.model.config.model_type == "distilbert":
        fed.pop("token_type_ids", None)
    with torch.no_grad():
        logits = pipe.model(**fed).logits[0]
    top = torch.softmax(logits, -1).topk(min(2, logits.shape[-1]), dim=-1).values
    near = top.shape[-1] == 2 and bool(((top[..., 0] - top[..., 1]) < MARGIN).any())
    result = {
        "text": text,
        "ids": ids,
        "type_ids": list(encoded.get("token_type_ids", [0] * len(ids))),
        "offsets": [list(offset) for offset in encoded["offset_mapping"]],
        "special_tokens_mask": encoded["special_tokens_mask"],
        "tokens": tokenizer.convert_ids_to_tokens(ids),
        "logits": compact(logits.float().numpy()),
        "near": near,
    }
    if pair is not None:
        result["text_pair"] = pair
    return result


def varied(encodings: list[dict[str, Any]]) -> bool:
    """A golden on which one label wins everywhere could not tell right from wrong."""
    winners = [int(np.argmax(row)) for encoding in encodings for row in encoding["logits"]]
    return max(np.bincount(winners)) / len(winners) < 0.6


def token_calls(pipe: Any, kept: list[str]) -> list[dict[str, Any]]:
    """Calls of the token classification pipeline."""
    calls: list[tuple[Any, dict[str, Any]]] = []
    for strategy in STRATEGIES:
        calls += [(kept, {"aggregation_strategy": strategy})]
        calls += [(kept, {"aggregation_strategy": strategy, "ignore_labels": []})]
    calls += [(kept[0], {}), ([kept[0]], {}), ("", {}), (kept[0], {"ignore_labels": ["PER", "B-PER", "I-PER"]})]
    if pipe.tokenizer.model_max_length <= 48 and pipe.tokenizer.pad_token is not None:
        room = pipe.tokenizer.model_max_length - 2
        for strategy in STRATEGIES[1:]:
            for stride in (0, 3, room // 2, room - 1):
                calls.append((texts.LONG, {"aggregation_strategy": strategy, "stride": stride}))
            calls.append((texts.LONG, {"aggregation_strategy": strategy, "stride": 4, "ignore_labels": []}))
        calls += [(texts.LONG, {"stride": 2}), ([texts.LONG, kept[1]], {"stride": 5, "aggregation_strategy": "first"})]
    if pipe.tokenizer.__class__.__name__ != "RobertaTokenizerFast" or pipe.tokenizer.add_prefix_space:
        for words in texts.WORDS:
            for strategy in STRATEGIES:
                for delimiter in (" ", "", "--"):
                    options = {"is_split_into_words": True, "aggregation_strategy": strategy, "ignore_labels": []}
                    calls.append((words, {**options, "delimiter": delimiter}))
        calls.append((texts.WORDS, {"is_split_into_words": True, "aggregation_strategy": "first"}))
    return [call for inputs, options in calls if (call := answer(pipe, inputs, options)) is not None]


def text_calls(pipe: Any, kept: list[str]) -> list[dict[str, Any]]:
    """Calls of the text classification pipeline, in every shape."""
    pairs = [{"text": text, "text_pair": pair} for text, pair in texts.PAIRS]
    calls: list[tuple[Any, dict[str, Any]]] = []
    for top_k in (None, 1, 2, 100, 0, -1):
        calls += [(kept[0], {"top_k": top_k}), (kept[:3], {"top_k": top_k}), (pairs[0], {"top_k": top_k})]
    for function in ("sigmoid", "softmax", "none", "SoftMax"):
        calls += [
            (kept[:4], {"function_to_apply": function}),
            (kept[0], {"function_to_apply": function, "top_k": None}),
        ]
    calls += [(kept[0], {}), (kept[:5], {}), (pairs[0], {}), (pairs, {}), ("", {}), ([kept[0], pairs[1]], {})]
    calls += [
        ([[["Sarah", "New York"]]], {}),
        ([{"text": "Sarah", "text_pair": None}, {"text": "a", "text_pair": ""}], {}),
    ]
    calls += [(texts.LONG, {"truncation": True, "top_k": None}), (texts.LONG, {"truncation": True, "max_length": 8})]
    long = {"text": texts.LONG, "text_pair": "in London"}
    for strategy in ("longest_first", "only_first"):
        calls.append(([long], {"truncation": strategy, "max_length": 20, "top_k": None}))
    swapped = {"text": "Sarah", "text_pair": texts.LONG}
    calls.append(([swapped], {"truncation": "only_second", "max_length": 20, "top_k": None}))
    return [call for inputs, options in calls if (call := answer(pipe, inputs, options)) is not None]


def answer(pipe: Any, inputs: Any, options: dict[str, Any]) -> dict[str, Any] | None:
    """One call and its answer, unless a label in it is nearly tied."""
    result = pipe(inputs, **options)
    if pipe.task == "token-classification" and unstable(pipe, inputs, options, result):
        return None
    return {"inputs": inputs, "options": options, "result": plain(result)}


def unstable(pipe: Any, inputs: Any, options: dict[str, Any], result: Any) -> bool:
    """Whether noise of the size of f32's on the logits changes a label, a word or a boundary."""

    def shape(value: Any) -> Any:
        if isinstance(value, list):
            return [shape(item) for item in value]
        return {key: item for key, item in value.items() if key != "score"}

    forward = pipe.model.forward
    generator = torch.Generator().manual_seed(0)

    def noisy(*args: Any, **kwargs: Any) -> Any:
        output = forward(*args, **kwargs)
        output.logits = output.logits + (torch.rand(output.logits.shape, generator=generator) - 0.5) * MARGIN
        return output

    pipe.model.forward = noisy
    try:
        return any(shape(pipe(inputs, **options)) != shape(result) for _ in range(2))
    finally:
        pipe.model.forward = forward


def plain(value: Any) -> Any:
    """JSON's types; a float32 score as the double that it is."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return float(value) if isinstance(value, (float, np.floating)) else value


def compact(values: np.ndarray[Any, Any]) -> Any:
    """Nine digits hold a float32."""
    return [compact(item) for item in values] if values.ndim else float(f"{values:.9g}")


if __name__ == "__main__":
    main()
