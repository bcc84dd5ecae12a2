"""Pickles put together opcode by opcode, so that tests need no torch and can say what no pickler would."""

from __future__ import annotations

import struct

STOP = b"."
NONE = b"N"
TRUE = b"\x88"
EMPTY = b")"


def text(value: str) -> bytes:
    """A string."""
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value: int) -> bytes:
    """An integer of any size."""
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def name(module: str, qualified: str) -> bytes:
    """A global."""
    return b"c" + module.encode() + b"\n" + qualified.encode() + b"\n"


def tuple_(*items: bytes) -> bytes:
    """A tuple of any length."""
    return b"(" + b"".join(items) + b"t"


def numbers(*values: int) -> bytes:
    """A tuple of integers."""
    return tuple_(*map(number, values))


def list_(*items: bytes) -> bytes:
    """A list."""
    return b"](" + b"".join(items) + b"e"


def dict_(**items: bytes) -> bytes:
    """A dict of names."""
    return filled(b"}", items)


def filled(mapping: bytes, items: dict[str, bytes]) -> bytes:
    """A mapping with items."""
    return mapping + b"(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def call(function: bytes, *arguments: bytes) -> bytes:
    """What a function returns."""
    return function + tuple_(*arguments) + b"R"


def pickle(root: bytes, protocol: int = 2) -> bytes:
    """The whole pickle."""
    return b"\x80" + bytes([protocol]) + root + STOP


def storage(key: str, length: int, kind: str = "FloatStorage", *view: bytes) -> bytes:
    """A reference to numbers behind the pickle."""
    return tuple_(text("storage"), name("torch", kind), text(key), text("cpu"), number(length), *view) + b"Q"


def tensor(of: bytes, shape: tuple[int, ...], stride: tuple[int, ...] | None = None, offset: int = 0) -> bytes:
    """A view of a storage; contiguous unless strides are given."""
    if stride is None:
        steps = [1]
        for size in reversed(shape[1:]):
            steps.insert(0, steps[0] * size)
        stride = tuple(steps[: len(shape)])
    hooks = call(name("collections", "OrderedDict"))
    rebuild = name("torch._utils", "_rebuild_tensor_v2")
    return call(rebuild, of, number(offset), numbers(*shape), numbers(*stride), b"\x89", hooks)


def ordered(**items: bytes) -> bytes:
    """A state dict as torch has it."""
    return filled(call(name("collections", "OrderedDict")), items)
