"""The engines that are compared, and how each of them is asked.

candlewick is asked as a user would: text in, entities out. The others are asked for their bare graphs: ids in, logits
out, without tokenizer and post-processing, which is the least that any program around them takes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import onnxruntime
import openvino
import torch
import transformers
from graphs import graph
from subjects import Subject

#: Ids of some texts, padded to one length, and their mask; to logits, `[texts, tokens, labels]`.
Graph = Callable[[np.ndarray, np.ndarray], np.ndarray]


def peers(subject: Subject, threads: int, dtype: str) -> dict[str, Graph]:
    """Every peer that computes in `dtype` ("float32", "bfloat16" or "int8"), by its name."""
    torch.set_num_threads(threads)
    transformers.logging.set_verbosity(50)
    openvino_name = f"OpenVINO {openvino.__version__.partition('-')[0]}"
    onnxruntime_name = f"ONNX Runtime {onnxruntime.__version__}"
    inputs = subject.inputs
    if dtype == "int8":
        found = {
            onnxruntime_name: _onnxruntime(graph(subject, "int8"), inputs, threads),
            openvino_name: _openvino(graph(subject, "nncf"), inputs, threads, "f32"),
        }
        if subject.ctranslate2:
            name = f"CTranslate2 {ctranslate2.__version__}"
            found[name] = _ctranslate2(graph(subject, "ctranslate2"), threads)
        return found
    found = {f"torch {torch.__version__.partition('+')[0]}": _torch(subject, dtype)}
    if dtype == "float32":
        found[onnxruntime_name] = _onnxruntime(graph(subject, "float32"), inputs, threads)
    precision = {"float32": "f32", "bfloat16": "bf16"}[dtype]
    found[openvino_name] = _openvino(graph(subject, "float32"), inputs, threads, precision)
    return found


def _torch(subject: Subject, dtype: str) -> Graph:
    model = subject.network.from_pretrained(subject.folder, dtype=getattr(torch, dtype)).eval()

    def run(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            logits = model(torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits
        return np.asarray(logits.float())

    return run


def _arrays(inputs: tuple[str, ...], ids: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(inputs, (ids, mask, np.zeros_like(ids)), strict=False))


def _onnxruntime(file: Path, inputs: tuple[str, ...], threads: int) -> Graph:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    wanted = [value.name for value in session.get_inputs()]

    def run(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        arrays = _arrays(inputs, ids, mask)
        return np.asarray(session.run(["logits"], {name: arrays[name] for name in wanted})[0])

    return run


def _openvino(file: Path, inputs: tuple[str, ...], threads: int, precision: str) -> Graph:
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": precision,
    }
    compiled = openvino.Core().compile_model(file, "CPU", settings)

    def run(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return np.asarray(compiled(_arrays(inputs, ids, mask))["logits"])

    return run


def _ctranslate2(folder: Path, threads: int) -> Graph:
    """Its encoder, which has no head: one product in numpy."""
    encoder = ctranslate2.Encoder(str(folder), device="cpu", compute_type="int8", intra_threads=threads)
    head = np.load(folder / "head.npz")
    weight, bias = head["weight"].T, head["bias"]

    def run(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        rows = [row[: int(length)].tolist() for row, length in zip(ids, mask.sum(axis=1), strict=True)]
        return np.asarray(np.array(encoder.forward_batch(rows).last_hidden_state) @ weight + bias)

    return run


def transformers_pipeline(subject: Subject, threads: int, **options: Any) -> Callable[[list[Any], int], Any]:
    """The reference as its users have it: inputs and a batch size, to answers."""
    torch.set_num_threads(threads)
    pipe = transformers.pipeline(
        subject.task,
        model=str(subject.folder),
        tokenizer=transformers.AutoTokenizer.from_pretrained(subject.folder),
        device="cpu",
        dtype=torch.float32,
        **options,
    )
    return lambda inputs, size: pipe(inputs, batch_size=size)
