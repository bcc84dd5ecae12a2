"""The directory of a zip file, as far as torch writes one: entries that are stored as they are.

The standard library's reader is not used: it holds a directory of any size in memory, does not say where in the file an
entry's bytes are, and refuses entries without a checksum, which torch leaves out on request.
"""

from __future__ import annotations

import struct
from typing import NamedTuple
from zlib import crc32

from candlewick._checkpoint.objects import shown
from candlewick.errors import ModelFormatError, unsupported

#: Of the directory, in bytes: some fifty thousand entries.
_MOST = 4 << 20
_END = struct.Struct("<4s4H2IH")
_LOCATOR = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQ2H2I4Q")
_ENTRY = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")
#: A comment may follow the end, so it is looked for this far back.
_COMMENT = 1 << 16
#: What stands in a field whose value is among the extra fields.
_ELSEWHERE = 0xFFFFFFFF


class Entry(NamedTuple):
    """Where an entry's bytes are."""

    start: int
    size: int
    #: Of its bytes; 0 where the writer left it out.
    crc: int


def read(data: memoryview) -> dict[str, Entry]:
    """The entries by name.

    Raises:
        ModelFormatError: The directory is damaged or lies outside of the file.
        UnsupportedModelError: Entries are compressed or encrypted.
    """
    at, end, count = _directory(data)
    entries: dict[str, Entry] = {}
    for _ in range(count):
        fields = _unpack(_ENTRY, data, at, b"PK\1\2")
        flags, method, crc = fields[3], fields[4], fields[7]
        size, packed, offset = fields[9], fields[8], fields[16]
        name_size, extra_size, comment_size = fields[10:13]
        name = bytes(data[at + _ENTRY.size : at + _ENTRY.size + name_size])
        at += _ENTRY.size + name_size
        size, packed, offset = _wide(bytes(data[at : at + extra_size]), size, packed, offset)
        at += extra_size + comment_size
        try:
            text = name.decode()
        except UnicodeDecodeError:
            raise ModelFormatError("damaged zip file: expected names in UTF-8") from None
        if method != 0 or flags & 1 or size != packed:
            raise unsupported(f"zip file with compressed or encrypted {shown(text)}; torch.save stores")
        if text in entries:
            raise ModelFormatError(f"damaged zip file: expected one {shown(text)}, got two")
        start = _data(data, offset, end)
        if size > end - start:
            raise ModelFormatError(f"damaged zip file: {shown(text)}: expected {size} bytes, got {end - start}")
        entries[text] = Entry(start, size, crc)
    if at != end:
        raise ModelFormatError(f"damaged zip file: expected a directory that ends at byte {end}, got {at}")
    return entries


def content(data: memoryview, name: str, entry: Entry) -> memoryview:
    """The bytes of an entry, if they are those that were written."""
    found = data[entry.start : entry.start + entry.size]
    if entry.crc and crc32(found) != entry.crc:
        raise ModelFormatError(f"damaged zip file: {shown(name)}: checksum does not fit")
    return found


def _directory(data: memoryview) -> tuple[int, int, int]:
    """Where the directory begins and ends, and how many entries it has."""
    tail = max(0, len(data) - _COMMENT - _END.size)
    found = bytes(data[tail:]).rfind(b"PK\5\6")
    if found < 0:
        raise ModelFormatError("damaged or truncated zip file: expected a directory at its end, got none")
    end = tail + found
    _, disk, first, here, count, size, at, comment = _unpack(_END, data, end, b"PK\5\6")
    if end + _END.size + comment != len(data):
        raise ModelFormatError("damaged zip file: expected it to end with its directory")
    locator = end - _LOCATOR.size
    if locator >= 0 and bytes(data[locator : locator + 4]) == b"PK\6\7":
        _, disk, end, _ = _unpack(_LOCATOR, data, locator, b"PK\6\7")
        _, _, _, _, disk, first, here, count, size, at = _unpack(_END64, data, end, b"PK\6\6")
    if disk or first or here != count or at + size != end or size > _MOST or count > size // _ENTRY.size:
        raise ModelFormatError(f"damaged zip file: expected a directory of at most {_MOST} bytes before its end")
    return at, end, count


def _wide(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Sizes and offset, those that 32 bits can't hold from the extra field for them."""
    values = [size, packed, offset]
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        field = extra[at + 4 : at + 4 + length]
        wanted = [index for index, value in enumerate(values) if value == _ELSEWHERE]
        if kind == 1 and len(field) == length >= 8 * len(wanted):
            for place, index in enumerate(wanted):
                (values[index],) = struct.unpack_from("<Q", field, 8 * place)
        at += 4 + length
    return values[0], values[1], values[2]


def _data(data: memoryview, offset: int, end: int) -> int:
    """Where the bytes behind a local header begin."""
    fields = _unpack(_LOCAL, data, offset, b"PK\3\4")
    start = offset + _LOCAL.size + fields[9] + fields[10]
    if start > end:
        raise ModelFormatError("damaged zip file: expected entries before the directory")
    return int(start)


def _unpack(form: struct.Struct, data: memoryview, at: int, signature: bytes) -> tuple[int, ...]:
    if at > len(data) - form.size:
        raise ModelFormatError("damaged or truncated zip file: expected a header, got the end of the file")
    fields: tuple[int, ...] = form.unpack_from(data, at)
    if bytes(data[at : at + 4]) != signature:
        raise ModelFormatError(f"damaged zip file: expected a header at byte {at}, got something else")
    return fields
