"""Writes `pickled/`: checkpoints of `models/` as `torch.save` has them, and a state dict of views of every kind."""

from __future__ import annotations

import json
import shutil
from collections import OrderedDict
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file

HERE = Path(__file__).parent
MODELS = HERE / "models"
OUT = HERE / "pickled"
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


def write() -> None:
    """Write every file; storages' keys in the older container are addresses, and differ from run to run."""
    half = state_dict("bert-ner-file-says-lower")
    half["cls.predictions.decoder.weight"] = half["bert.embeddings.word_embeddings.weight"]
    save(half, "bert-ner-file-says-lower/pytorch_model.bin")
    save(state_dict("bert-ner-generic"), "bert-ner-generic/pytorch_model.bin", stream=True)
    sharded = OUT / "bert-ner-file-says-upper"
    shutil.rmtree(sharded, ignore_errors=True)
    model = transformers.AutoModelForTokenClassification.from_pretrained(MODELS / sharded.name)
    model.save_pretrained(sharded, safe_serialization=False, max_shard_size="40KB")
    (sharded / "config.json").unlink()
    for shard in sorted(sharded.glob("*.bin"))[::2]:
        save(torch.load(shard), f"{sharded.name}/{shard.name}", stream=True)
    tensors = views()
    save(tensors, "views.bin")
    save(tensors, "views-stream.bin", stream=True)
    save(tensors, "views-stream-protocol-4.bin", stream=True, protocol=4)
    torch.serialization.set_crc32_options(False)
    save(tensors, "views-unchecked.bin")
    torch.serialization.set_crc32_options(True)
    described = {name: describe(tensor) for name, tensor in tensors.items()}
    (OUT / "views.json").write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    print(f"pickled: {len(list(OUT.rglob('*.bin')))} files, {len(tensors)} views")


def save(tensors: OrderedDict[str, torch.Tensor], name: str, *, stream: bool = False, protocol: int = 2) -> None:
    """Write a state dict in the container since torch 1.6, or as the stream that was before it."""
    file = OUT / name
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(tensors, file, pickle_protocol=protocol, _use_new_zipfile_serialization=not stream)


def state_dict(name: str) -> OrderedDict[str, torch.Tensor]:
    """A checkpoint's tensors, with the attribute that torch's state dicts carry."""
    tensors = OrderedDict(load_file(MODELS / name / "model.safetensors"))
    tensors._metadata = OrderedDict({"": {"version": 1}})  # type: ignore[attr-defined]
    return tensors


def views() -> OrderedDict[str, torch.Tensor]:
    """Small tensors of every type, and views of one storage in every way."""
    torch.manual_seed(0)
    base = torch.randn(4, 6)
    tensors = OrderedDict(base=base, alias=base, transposed=base.t(), rows=base[1:3], columns=base[:, 2:4])
    tensors |= {"steps": base[::2, ::3], "element": base[3, 5], "expanded": base[0].expand(3, 6)}
    tensors |= {"channels_last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)}
    tensors |= {"empty": torch.zeros(0, 3), "empty_part": base[4:], "scalar": torch.tensor(3)}
    tensors |= {"parameter": torch.nn.Parameter(torch.randn(3)), "buffer": torch.nn.Buffer(torch.randn(2))}
    for dtype, name in NAMES.items():
        tensors[name] = (torch.randn(7) * 50).to(dtype)
    return tensors


def describe(tensor: torch.Tensor) -> dict[str, object]:
    """What safetensors has of it."""
    data = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""
    return {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data": data.hex()}
