"""Files of `torch.save`: the zip container since torch 1.6, and the stream of pickles and storages before it."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from candlewick._checkpoint import unpickler, zip_directory
from candlewick._checkpoint.objects import SIZES, Storage, shown
from candlewick._checkpoint.scan import Limits
from candlewick.errors import ModelFormatError, UnsupportedModelError, unsupported

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
#: A magic number, a version, what the machine was: each a pickle of its own. The number has ten bytes.
_SMALL = Limits(size=4096, memory=1 << 16, depth=4, integer=10)
_ZIP = b"PK\3\4"


class TorchFile(NamedTuple):
    """An opened file: the objects in it, and the bytes behind them."""

    path: Path
    #: Bytes of the whole file.
    size: int
    #: What was saved: containers, tensors, stand-ins.
    root: Any
    #: The bytes stored under a key.
    find: Callable[[str], memoryview]

    def data(self, storage: Storage) -> memoryview:
        """The bytes of a storage, out of the mapped file."""
        width = SIZES[storage.dtype]
        with about(self.path):
            return self.find(storage.key)[storage.start * width : (storage.start + storage.length) * width]


def open_file(path: Path, limits: Limits | None = None) -> TorchFile:
    """Read what a file holds; its tensors' bytes stay in the file until they are asked for.

    Raises:
        ModelFormatError: The file is damaged, truncated, or claims what it does not have.
        UnsupportedModelError: It is of another format, or names classes that are not known here.
    """
    with about(path):
        data = _mapped(path)
        head = bytes(data[:512])
        if head.startswith(_ZIP):
            root, find = _zip(data, limits or Limits())
        elif head.startswith(b"\x80"):
            root, find = _stream(data, limits or Limits())
        else:
            raise _foreign(head)
        return TorchFile(path, len(data), root, find)


@contextmanager
def about(path: Path) -> Iterator[None]:
    """Puts a file's name before what is said of it."""
    try:
        yield
    except (ModelFormatError, UnsupportedModelError) as error:
        raise type(error)(f"{path}: {error}") from error.__cause__


def _mapped(path: Path) -> memoryview:
    try:
        with path.open("rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except ValueError:  # nothing can be mapped of an empty file
        raise ModelFormatError("expected a checkpoint, got an empty file") from None
    except OSError as error:
        raise ModelFormatError(error.strerror or str(error)) from None


def _zip(data: memoryview, limits: Limits) -> tuple[Any, Callable[[str], memoryview]]:
    entries = zip_directory.read(data)

    @cache  # so that a storage is checked once, however many tensors view it
    def content(name: str) -> memoryview:
        if name not in entries:
            raise ModelFormatError(f"expected {shown(name)} in the zip file, got none")
        return zip_directory.content(data, name, entries[name])

    roots = [name.removesuffix("/data.pkl") for name in entries if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(roots) != 1:
        raise unsupported(f"expected a zip file of torch.save with one data.pkl, got {len(roots)}")
    if f"{roots[0]}/constants.pkl" in entries:
        raise unsupported("TorchScript archive; expected a state dict of torch.save")
    if f"{roots[0]}/byteorder" in entries and bytes(content(f"{roots[0]}/byteorder")[:8]) != b"little":
        raise unsupported("checkpoint of a big endian machine; expected little endian")
    pickle = unpickler.load(content(f"{roots[0]}/data.pkl"), 0, limits)
    for key, (dtype, length) in pickle.storages.items():
        name = f"{roots[0]}/data/{key}"
        if name not in entries or entries[name].size != length * SIZES[dtype]:
            got = f"{entries[name].size}" if name in entries else "none"
            raise ModelFormatError(f"storage {shown(key)}: expected {length * SIZES[dtype]} bytes, got {got}")
    return pickle.root, lambda key: content(f"{roots[0]}/data/{key}")


def _stream(data: memoryview, limits: Limits) -> tuple[Any, Callable[[str], memoryview]]:
    magic = unpickler.load(data, 0, _SMALL)
    if magic.root != _MAGIC:
        raise unsupported("a pickle, but not one of torch.save")
    version = unpickler.load(data, magic.end, _SMALL)
    system = unpickler.load(data, version.end, _SMALL)
    if version.root != _PROTOCOL:
        raise unsupported(f"expected version {_PROTOCOL} of the format of torch.save, got another")
    if type(system.root) is not dict or system.root.get("little_endian") is not True:
        raise unsupported("checkpoint of a big endian machine; expected little endian")
    pickle = unpickler.load(data, system.end, limits)
    keys = unpickler.load(data, pickle.end, limits)
    if type(keys.root) is not list or not all(type(key) is str for key in keys.root):
        raise ModelFormatError("broken pickle: expected a list of storages' keys")
    found: dict[str, memoryview] = {}
    at = keys.end
    for key in keys.root:
        if key not in pickle.storages or key in found:
            raise ModelFormatError(f"storage {shown(key)}: expected it to be described and stored once")
        dtype, length = pickle.storages[key]
        size = length * SIZES[dtype]
        claimed = int.from_bytes(data[at : at + 8], "little")
        if claimed != length or size > len(data) - at - 8:
            raise ModelFormatError(f"storage {shown(key)}: expected {length} x {dtype}, got {claimed} or a cut file")
        found[key] = data[at + 8 : at + 8 + size]
        at += 8 + size
    if found.keys() != pickle.storages.keys() or at != len(data):
        raise ModelFormatError(f"expected {len(pickle.storages)} storages and nothing behind, got {len(found)}")
    return pickle.root, found.__getitem__


def _foreign(head: bytes) -> ModelFormatError | UnsupportedModelError:
    """What a file is that `torch.save` did not write, or not for years."""
    if head[257:262] == b"ustar":
        return unsupported("tar container of torch before 0.1.11; torch.load and torch.save make a new one")
    if head.startswith(b"version https://git-lfs"):
        return ModelFormatError("a pointer of Git LFS instead of the file itself; `git lfs pull` fetches it")
    return ModelFormatError("expected a file of torch.save, got something else")
