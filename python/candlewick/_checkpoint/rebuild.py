"""What the functions that a pickle names do here: check what they are given and describe it, at a bounded cost.

A pickle may call one of them any number of times with the same large argument, so none of them copies what it is given
without counting, nor takes any number of arguments.
"""

from __future__ import annotations

from typing import Any

from candlewick._checkpoint.objects import Dict, Storage, Tensor, shown
from candlewick.errors import ModelFormatError, unsupported

#: As many as numpy 1 allows.
_MOST_DIMENSIONS = 32
_KEYS = (str, bytes, int)


def tensor(
    storage: Any, offset: Any, shape: Any, stride: Any, gradient: Any = None, hooks: Any = None, metadata: Any = None
) -> Tensor:
    """`torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`."""
    if not isinstance(storage, Storage) or type(offset) is not int or offset < 0:
        raise ModelFormatError("broken pickle: expected a tensor of a storage and an offset")
    for sizes in (shape, stride):
        if type(sizes) is not tuple or len(sizes) > _MOST_DIMENSIONS or len(sizes) != len(shape):
            raise ModelFormatError(f"broken pickle: expected a tensor of at most {_MOST_DIMENSIONS} dimensions")
        if not all(type(size) is int and size >= 0 for size in sizes):
            raise ModelFormatError("broken pickle: expected a tensor with whole numbers as shape and stride")
    found = Tensor(storage, offset, shape, stride)
    last = offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
    if found.elements and last >= storage.length:
        view = f"shape {list(shape)} and stride {list(stride)} from element {offset} on"
        raise ModelFormatError(f"storage {shown(storage.key)}: expected at most {storage.length} elements, got {view}")
    return found


def parameter(data: Any, gradient: Any = None, hooks: Any = None, state: Any = None) -> Tensor:
    """`torch._utils._rebuild_parameter` and `_rebuild_parameter_with_state`."""
    if not isinstance(data, Tensor):
        raise ModelFormatError("broken pickle: expected a parameter of a tensor")
    return data


def of_type(function: Any, kind: Any, arguments: Any, state: Any) -> Tensor:
    """`torch._tensor._rebuild_from_type_v2`: a tensor of a subclass, or with attributes."""
    if function is not tensor or type(arguments) is not tuple:
        raise ModelFormatError("broken pickle: expected a tensor's arguments")
    found: Tensor = function(*arguments)
    return found


def size(sizes: Any = ()) -> tuple[Any, ...]:
    """`torch.Size`."""
    if type(sizes) is not tuple:
        raise ModelFormatError("broken pickle: expected a torch.Size of a tuple")
    return sizes


def default_dict(factory: Any = None) -> Dict:
    """`collections.defaultdict`, whose factory is of no use here."""
    return Dict()


class Copies:
    """Functions that copy their argument, and how much all calls of one pickle may copy."""

    def __init__(self, most: int) -> None:
        """An honest pickle of `most` bytes has one for each item at least; a bomb has the same ones copied again."""
        self._left = most

    def ordered_dict(self, pairs: Any = ()) -> Dict:
        """`collections.OrderedDict`: Python 3 fills it afterwards, Python 2 gave a list of pairs."""
        pairs = self._counted(pairs, list, tuple)
        if not all(type(pair) in (list, tuple) and len(pair) == 2 and type(pair[0]) is str for pair in pairs):
            raise ModelFormatError("broken pickle: expected an OrderedDict of pairs with names")
        return Dict(pairs)

    def set(self, items: Any = ()) -> set[Any]:
        """`set` under protocol 2."""
        items = self._counted(items, list, tuple)
        if not all(type(item) in _KEYS for item in items):
            raise ModelFormatError("broken pickle: expected a set of strings, bytes or integers")
        return {*items}

    def encode(self, text: Any, encoding: Any) -> bytes:
        """`_codecs.encode`: bytes under protocol 2."""
        if encoding != "latin1":
            raise unsupported("pickle with _codecs.encode to something other than latin1")
        return bytes(self._counted(text, str).encode("latin-1"))

    def _counted(self, items: Any, *kinds: type) -> Any:
        if type(items) not in kinds:
            raise ModelFormatError(f"broken pickle: expected a {kinds[0].__name__}, got a {type(items).__name__}")
        self._left -= len(items)
        if self._left < 0:
            raise ModelFormatError("broken pickle: expected it to copy no more than it has")
        return items
