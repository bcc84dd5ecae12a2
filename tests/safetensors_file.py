"""Reads and writes safetensors files of float32, for tests that change weights."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tensors = dict[str, NDArray[np.float32]]
_TYPES = {"F32": np.float32, "F16": np.float16}


def read_weights(file: Path) -> tuple[dict[str, Any], bytes]:
    """What a file says of itself, and the data behind it."""
    data = file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def write_weights(file: Path, header: dict[str, Any], data: bytes) -> None:
    """The file anew, whether the two fit or not."""
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + data)


def read(file: Path) -> Tensors:
    """All tensors by name, as copies."""
    header, data = read_weights(file)
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            values = np.frombuffer(data[begin:end], _TYPES[entry["dtype"]])
            tensors[name] = values.reshape(entry["shape"]).astype(np.float32)
    return tensors


def write(file: Path, tensors: Tensors) -> None:
    """The file anew."""
    header, blocks, end = {}, [], 0
    for name, values in tensors.items():
        block = np.ascontiguousarray(values, np.float32).tobytes()
        header[name] = {"dtype": "F32", "shape": values.shape, "data_offsets": [end, end + len(block)]}
        blocks.append(block)
        end += len(block)
    write_weights(file, header, b"".join(blocks))
