"""Writes safetensors: a header that says where each tensor is, then the tensors, a block at a time."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from candlewick._checkpoint.objects import SIZES, Tensor
from candlewick._checkpoint.torch_file import TorchFile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Bytes that are in memory at once.
_BLOCK = 8 << 20


class Source(NamedTuple):
    """A tensor and the file that has its bytes."""

    tensor: Tensor
    file: TorchFile


def write(file: BinaryIO, tensors: dict[str, Source]) -> None:
    """Write the tensors under their names."""
    # Wide numbers first, so that each tensor is aligned to its own width.
    names = sorted(tensors, key=lambda name: -SIZES[tensors[name].tensor.storage.dtype])
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in names:
        tensor = tensors[name].tensor
        begin, end = end, end + tensor.size
        header[name] = {"dtype": tensor.storage.dtype, "shape": tensor.shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(struct.pack("<Q", len(text)) + text)
    for name in names:
        for block in _blocks(tensors[name]):
            file.write(block)


def _blocks(source: Source) -> Iterator[memoryview]:
    """The tensor's bytes in row-major order."""
    tensor, data = source.tensor, source.file.data(source.tensor.storage)
    width = SIZES[tensor.storage.dtype]
    if tensor.is_contiguous():
        begin = tensor.offset * width
        end = begin + tensor.size
        yield from (data[at : min(at + _BLOCK, end)] for at in range(begin, end, _BLOCK))
        return
    import numpy as np

    # The stride of a single element may be any number.
    strides = tuple(stride * width if size > 1 else 0 for size, stride in zip(tensor.shape, tensor.stride, strict=True))
    yield from _gathered(np.ndarray(tensor.shape, f"u{width}", data, tensor.offset * width, strides))


def _gathered(view: NDArray[np.unsignedinteger]) -> Iterator[memoryview]:
    """The same for elements that lie apart or in another order: as many of the first dimension as make a block."""
    step = len(view) * _BLOCK // view.nbytes
    for at in range(0, len(view), max(1, step)):
        if step == 0:
            yield from _gathered(view[at])
        else:
            yield memoryview(view[at : at + step].tobytes())
