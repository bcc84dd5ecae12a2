"""The engines that are compared: text in, entities out, each with the same tokenizer files and the same answer.

ONNX Runtime and OpenVINO compute the graph inside of the transformers pipeline, which is how they are used for this
task (Optimum does the same).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import openvino
import torch
import transformers
from transformers import BertConfig, PreTrainedModel
from transformers.modeling_outputs import TokenClassifierOutput

import candlewick

#: Texts to lists of entities.
Engine = Callable[[list[str]], Any]
#: Texts that the peers pad to one length; candlewick chooses for itself.
BATCH = 8


class Graph(PreTrainedModel):
    """A function from token ids to logits, dressed as a model that the transformers pipeline takes."""

    config_class = BertConfig

    def __init__(self, config: BertConfig, run: Callable[[dict[str, np.ndarray]], np.ndarray]) -> None:
        """Wrap the function; the parameter only tells the pipeline that we compute on the CPU."""
        super().__init__(config)
        self._run = run
        self.anchor = torch.nn.Parameter(torch.zeros(1))

    def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any, **_: Any) -> TokenClassifierOutput:
        """Compute the logits."""
        arrays = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
        logits = self._run({name: tensor.numpy() for name, tensor in arrays.items()})
        return TokenClassifierOutput(logits=torch.from_numpy(logits))


def engines(folder: Path, threads: int, dtype: str) -> dict[str, Engine]:
    """Every engine that computes in `dtype` ("float32" or "bfloat16") by its name, candlewick first."""
    torch.set_num_threads(threads)
    transformers.logging.set_verbosity(50)  # not even that a graph is no model of its own
    found = {
        f"candlewick {candlewick.__version__}": candlewick.pipeline(
            "ner", folder, threads=threads, aggregation_strategy="simple", dtype=dtype
        ),
        f"transformers {transformers.__version__} (torch {torch.__version__.partition('+')[0]})": _pipeline(
            folder, dtype=getattr(torch, dtype)
        ),
    }
    if dtype == "float32":
        found[f"ONNX Runtime {onnxruntime.__version__}"] = _pipeline(folder, _onnxruntime(folder, threads))
    found[f"OpenVINO {openvino.__version__.partition('-')[0]}"] = _pipeline(folder, _openvino(folder, threads, dtype))
    return found


def _pipeline(folder: Path, run: Any = None, dtype: torch.dtype = torch.float32) -> Engine:
    model = str(folder) if run is None else Graph(BertConfig.from_pretrained(folder), run).eval()
    pipe = transformers.pipeline(
        "token-classification",
        model=model,
        tokenizer=transformers.AutoTokenizer.from_pretrained(folder),
        aggregation_strategy="simple",
        device="cpu",
        dtype=dtype,
    )
    return lambda texts: pipe(texts, batch_size=min(len(texts), BATCH))


def _onnxruntime(folder: Path, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    return lambda arrays: session.run(["logits"], arrays)[0]


def _openvino(folder: Path, threads: int, dtype: str) -> Any:
    precision = {"float32": "f32", "bfloat16": "bf16"}[dtype]
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": precision,
    }
    compiled = openvino.Core().compile_model(folder / "model.onnx", "CPU", settings)
    return lambda arrays: np.asarray(compiled(arrays)["logits"])
