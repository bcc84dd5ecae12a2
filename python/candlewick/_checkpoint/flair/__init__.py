"""Taggers of flair: one pickle with weights, tags, vocabularies and settings becomes safetensors and `config.json`.

Releases wrote three layouts. The first (to 0.8.0) pickles the objects themselves, word vectors as gensim's; the second
(to 0.11) pickles a language model as its arguments and weights; since then everything is a dictionary. All of them
become the same files:

    config.json       tags, and what each embedding reads, in the order in which they are concatenated
    words-N.json      the vocabulary of the N-th embedding, by row
    model.safetensors flair's names, but `embeddings.N.` for `embeddings.list_embedding_M.lm.` and the like
"""

from __future__ import annotations

import json
import mmap
from pathlib import Path

from candlewick import _files
from candlewick._checkpoint.flair.tagger import Tagger
from candlewick._checkpoint.safetensors_file import Source
from candlewick._checkpoint.scan import Limits
from candlewick._checkpoint.torch_file import about, open_file

#: A pickle may have word vectors in it, and an object for each of a million words: ten opcodes in forty bytes.
_LIMITS = Limits(size=2 << 30, memory_per_byte=48)
#: The module of the dictionaries that every layout has.
_MODULE = b"flair.data"


def is_tagger(model: Path) -> bool:
    """Whether a folder has a pickle that speaks of flair, and nothing that says what else it is."""
    file = model / _files.PICKLE
    if not _files.is_bare(lambda name: (model / name).is_file()) or file.stat().st_size == 0:
        return False
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.find(_MODULE) >= 0


def read(model: Path) -> tuple[dict[str, Source], dict[str, bytes]]:
    """The tensors of a tagger by name, and the contents of the files beside them.

    Raises:
        ModelFormatError: The file is damaged, or its parts do not fit each other.
        UnsupportedModelError: It has embeddings or settings that are not supported.
    """
    file = open_file(model / _files.PICKLE, _LIMITS)
    with about(file.path):
        tagger = Tagger(file)
        vocabularies = {name: _json(words) for name, words in tagger.vocabularies.items()}
        return tagger.tensors, {"config.json": _json(tagger.config, indent=1), **vocabularies}


def _json(value: object, indent: int | None = None) -> bytes:
    return json.dumps(value, indent=indent, ensure_ascii=False).encode() + b"\n"
