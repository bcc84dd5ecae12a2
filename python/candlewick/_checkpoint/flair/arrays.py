"""Numpy's arrays as a pickle has them, described as tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from candlewick._checkpoint.objects import StandIn, Storage, Tensor
from candlewick._checkpoint.safetensors_file import Source
from candlewick._checkpoint.torch_file import TorchFile
from candlewick.errors import ModelFormatError, unsupported

#: Numbers that become float32, as flair makes them.
_KINDS = ("f4", "f8")


def with_zero_row(array: Any, path: Path, name: str) -> Source:
    """A matrix and a row of zeros below it: what flair gives words that it does not know."""
    import numpy as np

    try:
        _, shape, dtype, by_columns, data = array.state
        (rows, width), kind = shape, dtype.args[0]
        if not (isinstance(array, StandIn) and isinstance(data, bytes) and min(rows, width) > 0):
            raise TypeError
        if kind not in _KINDS or dtype.state[1] == ">":
            raise unsupported(f"{name}: expected an array of {' or '.join(_KINDS)}, got another")
        values = np.frombuffer(data, f"<{kind}").reshape((rows, width), order="F" if by_columns else "C")
    except (AttributeError, TypeError, ValueError, IndexError):
        raise ModelFormatError(f"{name}: expected a pickled array of two dimensions") from None
    content = np.concatenate([values.astype("<f4"), np.zeros((1, width), "<f4")]).tobytes()
    tensor = Tensor(Storage(name, "F32", 0, len(content) // 4), 0, (rows + 1, width), (width, 1))
    return Source(tensor, TorchFile(path, len(content), None, lambda key: memoryview(content)))
