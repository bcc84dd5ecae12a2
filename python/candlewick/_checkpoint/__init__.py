"""Pickled checkpoints: read without torch, and without doing anything that is in them.

`scan` follows a pickle within limits, `unpickler` builds descriptions by an allow-list, `torch_file` finds storages in
both containers, `convert` writes safetensors, and `cache` keeps them. Whoever wants all that a file holds takes
`torch_file.open_file`: objects of classes that are not here are stand-ins with name, arguments and state.
"""

from __future__ import annotations

from pathlib import Path

from candlewick import _files


def readable(folder: str) -> str:
    """A folder whose weights are safetensors: the given one, or the conversion of what it has.

    Raises:
        ModelNotFoundError: A shard is missing.
        ModelFormatError: A file is damaged, claims what it does not have, or holds something else than tensors.
        UnsupportedModelError: A file is of another format, or names a class that is not known here.
        ParameterError: The cache is a folder that can't be used.
        BackendError: The cache can't be written, or is full.
    """
    weights = _files.weights(lambda name: Path(folder, name).is_file())
    if weights not in (_files.PICKLE, _files.PICKLE_INDEX):
        return folder
    from candlewick._checkpoint.cache import converted

    return str(converted(Path(folder)))
