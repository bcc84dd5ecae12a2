"""From a folder with a pickled checkpoint to one with safetensors: the same model otherwise."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from candlewick import _files
from candlewick._checkpoint import flair, safetensors_file, state_dict
from candlewick.errors import ParameterError


def convert(model: Path, out: Path, *, overwrite: bool = False, mode: int = 0o666) -> list[Path]:
    """Write the weights as safetensors into a folder, and beside them what else the model is made of.

    Everything is read and checked before anything is written, and each file appears when it is complete. `out` may be
    the model's own folder. A tagger of flair has its settings in its pickle; they become files, too.

    Args:
        model: The folder of a model with `pytorch_model.bin` or its shards.
        out: The folder to write to, made if it is not there.
        overwrite: Whether files that are there may be replaced.
        mode: Permissions of new files, less the umask.

    Returns:
        The files that were written, weights first.

    Raises:
        ModelNotFoundError: There are no weights, or a shard is missing.
        ModelFormatError: A file is damaged, claims what it does not have, or holds something else than tensors.
        UnsupportedModelError: A file is of another format, or names a class that is not known here.
        ParameterError: The weights are safetensors already, or a file is in the way.
    """
    made: dict[str, bytes] = {}
    if flair.is_tagger(model):
        tensors, made = flair.read(model)
    else:
        tensors = state_dict.read(model)
    inside = out.is_dir() and out.samefile(model)
    settings = [] if inside else [name for name in _files.settings_of(model) if name not in made]
    names = [_files.SAFETENSORS, *made, *settings]
    there = [name for name in names if (out / name).exists()]
    if there and not overwrite:
        raise ParameterError(f"overwrite: expected True, since {out} has {', '.join(there)} already, got False")
    out.mkdir(parents=True, exist_ok=True)
    for name in settings:
        with (model / name).open("rb") as source, _complete(out / name, mode) as file:
            shutil.copyfileobj(source, file)
    for name, content in made.items():
        with _complete(out / name, mode) as file:
            file.write(content)
    with _complete(out / _files.SAFETENSORS, mode) as file:
        safetensors_file.write(file, tensors)
    return [out / name for name in names]


@contextmanager
def _complete(path: Path, mode: int) -> Iterator[BinaryIO]:
    """A file that is there when it is whole and on the disk, or not at all."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with open(partial, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
