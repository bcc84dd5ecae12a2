"""A checkpoint as the peers want it: made once, each by the way that its makers recommend."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from subjects import Subject
from texts import Texts
from tokenizers import Tokenizer


def graph(subject: Subject, kind: str) -> Path:
    """The file of a kind: float32, int8 (of ONNX Runtime), nncf (of OpenVINO) or ctranslate2."""
    name, make = {
        "float32": ("model.onnx", export),
        "int8": ("int8.onnx", dynamic_int8),
        "nncf": ("nncf.xml", static_int8),
        "ctranslate2": ("ctranslate2", convert),
    }[kind]
    file = subject.folder / name
    if not file.exists():
        make(subject, file)
    return file


def export(subject: Subject, file: Path, attention: str | None = None) -> None:
    """Write the ONNX graph with free batch and length, in a process of its own.

    Functions that torch compiles become branches of a graph, which OpenVINO and NNCF can't read: they are off
    there, and on here, where torch is timed.
    """
    command = [sys.executable, Path(__file__).parent / "export.py", subject.name, file, attention or ""]
    subprocess.run([str(part) for part in command], env={**os.environ, "PYTORCH_JIT": "0"}, check=True)


def dynamic_int8(subject: Subject, file: Path) -> None:
    """ONNX Runtime's dynamic int8: exported with eager attention, as it fuses nothing otherwise, fused, quantized.

    A family that its optimizer does not know is quantized as it was exported; the runtime's own fusions are left to it.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer

    types = {"DefaultTensorType": onnx.TensorProto.FLOAT}
    if subject.fusion is None:
        quantize_dynamic(graph(subject, "float32"), file, weight_type=QuantType.QInt8, extra_options=types)
        return
    eager, fused = subject.folder / "eager.onnx", subject.folder / "fused.onnx"
    export(subject, eager, "eager")
    kind, attentions = subject.fusion
    config = subject.network.config_class.from_pretrained(subject.folder)
    heads, hidden = config.num_attention_heads, config.hidden_size
    optimized = optimizer.optimize_model(str(eager), model_type=kind, num_heads=heads, hidden_size=hidden)
    assert optimized.get_fused_operator_statistics()["Attention"] >= attentions
    optimized.save_model_to_file(str(fused))
    quantize_dynamic(fused, file, weight_type=QuantType.QInt8, extra_options=types)
    eager.unlink()
    fused.unlink()


def static_int8(subject: Subject, file: Path) -> None:
    """OpenVINO's int8: quantized by NNCF with texts of the kind that are timed."""
    import nncf
    import openvino

    texts, tokenizer = Texts(), Tokenizer.from_file(str(subject.folder / "tokenizer.json"))
    samples = []
    for index in range(32):
        ids = np.array([tokenizer.encode(texts.of(16 << index % 4, 37 * index)).ids])
        arrays = (ids, np.ones_like(ids), np.zeros_like(ids))
        samples.append(dict(zip(subject.inputs, arrays, strict=False)))
    model = openvino.Core().read_model(graph(subject, "float32"))
    kind = nncf.ModelType.TRANSFORMER
    openvino.save_model(nncf.quantize(model, nncf.Dataset(samples), model_type=kind, subset_size=len(samples)), file)


def convert(subject: Subject, file: Path) -> None:
    """CTranslate2's form, which has no head: that stays beside it."""
    import ctranslate2

    ctranslate2.converters.TransformersConverter(str(subject.folder)).convert(str(file), quantization="int8")
    head = subject.network.from_pretrained(subject.folder).classifier
    np.savez(file / "head.npz", weight=head.weight.detach().numpy(), bias=head.bias.detach().numpy())
