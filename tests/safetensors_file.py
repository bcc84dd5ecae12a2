"""Reads and writes safetensors files of float32, for tests that change weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Tensors = dict[str, NDArray[np.float32]]
_TYPES = {"F32": np.float32, "F16": np.float16}


def read(file: Path) -> Tensors:
    """All tensors by name, as copies."""
    data = file.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(data[8:start]).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            values = np.frombuffer(data[start + begin : start + end], _TYPES[entry["dtype"]])
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
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blocks))
