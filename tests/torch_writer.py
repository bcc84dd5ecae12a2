"""Writes files as `torch.save` does, in both containers, without torch."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pickle_assembler as p

MAGIC = p.pickle(b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19")
VERSION = p.pickle(p.number(1001))
SIZES = p.dict_(short=p.number(2), int=p.number(4), long=p.number(4))
SYSTEM = p.pickle(p.dict_(protocol_version=p.number(1001), little_endian=p.TRUE, type_sizes=SIZES))


def write_zip(file: Path, root: bytes, storages: dict[str, bytes], **more: bytes) -> Path:
    """The container since torch 1.6; `more` are entries by name."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", root)
        archive.writestr("archive/byteorder", more.pop("byteorder", b"little"))
        for key, data in storages.items():
            archive.writestr(f"archive/data/{key}", data)
        archive.writestr("archive/version", b"3\n")
        for name, data in more.items():
            archive.writestr(f"archive/{name}", data)
    return file


def write_stream(file: Path, root: bytes, storages: dict[str, tuple[int, bytes]], system: bytes = SYSTEM) -> Path:
    """The one before it; storages are numbers of elements and bytes."""
    keys = p.pickle(p.list_(*map(p.text, storages)))
    data = b"".join(struct.pack("<q", length) + data for length, data in storages.values())
    file.write_bytes(MAGIC + VERSION + system + root + keys + data)
    return file
