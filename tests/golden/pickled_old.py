"""Writes `pickled/torch-VERSION.bin` and what is in it, with a torch of years ago: 1.4.0 and 1.7.1 under Python 3.8.

Written for those versions, so it shares nothing with `pickled.py`.
"""

import json
import struct
from collections import OrderedDict
from pathlib import Path

import torch

NAMES = {
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float64: "F64",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def main() -> None:
    """Write both files."""
    torch.manual_seed(0)
    base = torch.randn(4, 6)
    tensors = OrderedDict(base=base, alias=base, transposed=base.t(), rows=base[1:3], columns=base[:, 2:4])
    tensors.update(steps=base[::2, ::3], element=base[3, 5], expanded=base[0].expand(3, 6), empty=torch.zeros(0, 3))
    tensors.update(scalar=torch.tensor(3), parameter=torch.nn.Parameter(torch.randn(3)))
    for dtype, name in NAMES.items():
        tensors[name] = (torch.randn(7) * 50).to(dtype)
    linear = torch.nn.Linear(3, 2).state_dict()
    tensors.update(linear)
    tensors._metadata = linear._metadata
    out = Path(__file__).parent / "pickled" / f"torch-{torch.__version__}.bin"
    torch.save(tensors, str(out))
    described = {name: describe(tensor) for name, tensor in tensors.items()}
    out.with_suffix(".json").write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")


def describe(tensor: torch.Tensor) -> "dict[str, object]":
    """What safetensors has of it."""
    flat = tensor.detach().contiguous().reshape(-1)
    if flat.dtype == torch.bfloat16:  # numpy has none: the upper halves of float32
        data = b"".join(struct.pack("<f", value)[2:] for value in flat.tolist())
    else:
        data = flat.numpy().tobytes()
    return {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data": data.hex()}


if __name__ == "__main__":
    main()
