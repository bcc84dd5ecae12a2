"""Which files a model is made of, and in which order its weights are looked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from candlewick.errors import ModelFormatError

#: Each is enough for a tokenizer, `vocab.json` with `merges.txt`.
VOCABULARIES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "sentencepiece.bpe.model",
    "spm.model",
    "spiece.model",
)
#: What there is besides weights; a model has some of them.
SETTINGS = (
    "config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    *VOCABULARIES,
    "merges.txt",
)
SAFETENSORS = "model.safetensors"
SAFETENSORS_INDEX = "model.safetensors.index.json"
PICKLE = "pytorch_model.bin"
PICKLE_INDEX = "pytorch_model.bin.index.json"
#: The first that is there is the one that is read, as in transformers.
WEIGHTS = (SAFETENSORS, SAFETENSORS_INDEX, PICKLE, PICKLE_INDEX)
#: Bytes of an index: some hundred thousand tensors.
_MOST_INDEX = 32 << 20


def weights(there: Callable[[str], bool]) -> str | None:
    """The file of weights, or the index of several, that is read of those that are there."""
    return next(filter(there, WEIGHTS), None)


def is_bare(there: Callable[[str], bool]) -> bool:
    """Whether a pickle stands alone, as those of flair do, which say themselves what they are."""
    return weights(there) == PICKLE and not there(SETTINGS[0])


def shards(index: Path) -> dict[str, str]:
    """The file of each tensor, from an index of several files."""
    if index.stat().st_size > _MOST_INDEX:
        raise ModelFormatError(f"{index}: expected at most {_MOST_INDEX} bytes, got {index.stat().st_size}")
    try:
        names = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        files = set(names.values())
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise ModelFormatError(f"{index}: weight_map: expected an object of tensor name to file name") from None
    if not all(isinstance(file, str) and file and Path(file).name == file for file in files):
        got = sorted(map(str, files))
        raise ModelFormatError(f"{index}: weight_map: expected file names without folders, got {got}")
    return dict(names)
