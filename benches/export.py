"""Writes the ONNX graph of a subject: `export.py NAME FILE ATTENTION`, the last one being empty for the default."""

from __future__ import annotations

import sys

import torch
from subjects import Subject, named


def export(subject: Subject, file: str, attention: str | None) -> None:
    """With free batch and length."""
    model = subject.network.from_pretrained(subject.folder, attn_implementation=attention).eval()
    axes = {name: {0: "batch", 1: "tokens"} for name in subject.inputs}
    axes["logits"] = {0: "batch"} | ({1: "tokens"} if subject.task == "token-classification" else {})
    ids = torch.ones(2, 16, dtype=torch.long)
    if model.config.eos_token_id is not None:
        ids[:, -1] = model.config.eos_token_id  # where BART reads
    example = (ids, *(torch.ones_like(ids) for _ in subject.inputs[1:]))
    model.config.return_dict, model.config.use_cache = False, False
    torch.onnx.export(
        model,
        example,
        file,
        input_names=list(subject.inputs),
        output_names=["logits"],
        dynamic_axes=axes,
        opset_version=17,
        dynamo=False,
    )


if __name__ == "__main__":
    export(named(sys.argv[1]), sys.argv[2], sys.argv[3] or None)
