"""The tensors of a model's pickled checkpoint, one file or shards, under their names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from candlewick import _files
from candlewick._checkpoint.objects import Tensor, shown
from candlewick._checkpoint.safetensors_file import Source
from candlewick._checkpoint.torch_file import TorchFile, about, open_file
from candlewick.errors import ModelFormatError, ModelNotFoundError, ParameterError

#: Weights that transformers ties to others and leaves out of safetensors: those of language models' heads, and what
#: BART's halves call their common table.
_TIED = re.compile(
    r"(^|\.)(cls|lm_head|generator_lm_head|vocab_projector|predictions|(encoder|decoder)\.embed_tokens)\."
)
#: Tensors may overlap, so there can be more to write than to read: this much more, lest a small file fill a disk.
_MOST_TIMES, _MOST_MORE = 4, 1 << 20


def read(folder: Path) -> dict[str, Source]:
    """The tensors of the checkpoint in a model's folder; nothing but their descriptions is in memory.

    Raises:
        ModelNotFoundError: There are no weights, or a shard is missing.
        ModelFormatError: A file is damaged, claims what it does not have, or holds something else than tensors.
        UnsupportedModelError: A file is of another format, or names a class that is not known here.
        ParameterError: The weights are safetensors already.
    """
    name = _files.weights(lambda name: (folder / name).is_file())
    if name is None:
        raise ModelNotFoundError(f"{folder}: no weights here: looked for {', '.join(_files.WEIGHTS)}")
    if name in (_files.SAFETENSORS, _files.SAFETENSORS_INDEX):
        raise ParameterError(f"model: expected one with {_files.PICKLE}, got {folder}, which has {name} already")
    file = folder / name
    sources = _untied(_tensors(open_file(file))) if name == _files.PICKLE else _sharded(file, _files.shards(file))
    _bound(file, sources.values())
    return sources


def _sharded(index: Path, names: dict[str, str]) -> dict[str, Source]:
    """Of each shard the tensors that it is in the index for."""
    sources: dict[str, Source] = {}
    for shard in sorted(set(names.values())):
        file = index.with_name(shard)
        if not file.is_file():
            raise ModelNotFoundError(f"{index.parent / shown(shard)}: no such file, expected by {index.name}")
        tensors = _tensors(open_file(file))
        missing = next((name for name in names if names[name] == shard and name not in tensors), None)
        if missing is not None:
            raise ModelFormatError(f"{file}: tensor {shown(missing)}: expected here by {index.name}, got none")
        sources |= _untied({name: source for name, source in tensors.items() if names.get(name) == shard})
    return sources


def _tensors(file: TorchFile) -> dict[str, Source]:
    with about(file.path):
        if not isinstance(file.root, dict):
            raise ModelFormatError(f"expected a dict of names to tensors, got a {_kind(file.root)}")
        for name, tensor in file.root.items():
            if not isinstance(name, str) or name == "__metadata__" or not name.isprintable():
                raise ModelFormatError(f"expected names of tensors, got {shown(str(name))}")
            if not isinstance(tensor, Tensor):
                raise ModelFormatError(f"{shown(name)}: expected a tensor, got a {_kind(tensor)}")
    return {name: Source(tensor, file) for name, tensor in file.root.items()}


def _untied(sources: dict[str, Source]) -> dict[str, Source]:
    """Without the second names of tied tensors; other names of the same numbers get numbers of their own."""
    # As text, whose hash nobody can make collide as that of a tuple of numbers.
    views = {name: repr(source.tensor) for name, source in sources.items()}
    owned = {view for name, view in views.items() if not _TIED.search(name)}
    return {name: source for name, source in sources.items() if not _TIED.search(name) or views[name] not in owned}


def _bound(file: Path, sources: Iterable[Source]) -> None:
    sources = list(sources)
    most = _MOST_TIMES * sum({source.file.path: source.file.size for source in sources}.values()) + _MOST_MORE
    claimed = sum(source.tensor.size for source in sources)
    if claimed > most:
        raise ModelFormatError(f"{file}: expected tensors of at most {most} bytes together, got {claimed}")


def _kind(value: object) -> str:
    return shown(getattr(value, "name", type(value).__name__))
