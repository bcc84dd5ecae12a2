"""Which files a model is made of, and in which order its weights are looked for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
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
#: The vocabularies of a converted tagger of flair, which its configuration names.
_WORDS = re.compile(r"words-\d+\.json")
SAFETENSORS = "model.safetensors"
SAFETENSORS_INDEX = "model.safetensors.index.json"
PICKLE = "pytorch_model.bin"
PICKLE_INDEX = "pytorch_model.bin.index.json"
#: The first that is there is the one that is read, as in transformers.
WEIGHTS = (SAFETENSORS, SAFETENSORS_INDEX, PICKLE, PICKLE_INDEX)
#: Bytes of an index: some hundred thousand tensors. Configurations are smaller.
_MOST_INDEX = 32 << 20


def settings(files: Iterable[str]) -> list[str]:
    """Of the names of files, those of what there is besides weights, in one order."""
    there = set(files)
    return [*(name for name in SETTINGS if name in there), *sorted(filter(_WORDS.fullmatch, there))]


def settings_of(model: Path) -> list[str]:
    """What there is in a folder besides weights."""
    return settings(file.name for file in model.iterdir() if file.is_file())


def reads_text(model: Path) -> bool:
    """Whether a folder has a tokenizer, or all the vocabularies that a tagger's configuration names."""
    words = _words(model / SETTINGS[0])
    if words is None:
        return any((model / name).is_file() for name in VOCABULARIES)
    return all((model / name).is_file() for name in words)


def _words(config: Path) -> list[str] | None:
    """The vocabularies of a tagger; `None` for other models, and where the configuration is too damaged to tell."""
    try:
        if config.stat().st_size > _MOST_INDEX:
            return None
        values = json.loads(config.read_text(encoding="utf-8"))
        if values["model_type"] != "flair":
            return None
        return [str(one["vocabulary"]) for one in values["embeddings"] if "vocabulary" in one]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


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
