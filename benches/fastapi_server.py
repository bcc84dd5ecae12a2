"""The server that people write: FastAPI before a transformers pipeline, one text per call.

`fastapi_server.py torch|onnxruntime THREADS PORT`: BERT-base; with `onnxruntime`, as its dynamic int8 graph.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
import transformers
import uvicorn
from fastapi import FastAPI
from graphs import graph
from pydantic import BaseModel
from subjects import BERT

Pipeline = transformers.TokenClassificationPipeline


class Body(BaseModel):
    """A request."""

    inputs: str


class Graph:
    """A graph of ONNX Runtime in the place of a torch network."""

    def __init__(self, file: Path, threads: int, config: transformers.PretrainedConfig) -> None:
        """Load the graph."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.config = config
        self._session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        self._wanted = [value.name for value in self._session.get_inputs()]

    def __call__(self, **inputs: torch.Tensor) -> tuple[torch.Tensor]:
        """Tokens to logits."""
        (logits,) = self._session.run(["logits"], {name: inputs[name].numpy() for name in self._wanted})
        return (torch.from_numpy(logits),)


def pipeline(engine: str, threads: int) -> Pipeline:
    """The pipeline, with its network replaced where another engine computes."""
    torch.set_num_threads(threads)
    transformers.logging.set_verbosity(50)
    tokenizer = transformers.AutoTokenizer.from_pretrained(BERT.folder)
    pipe = transformers.pipeline(
        "token-classification",
        model=str(BERT.folder),
        tokenizer=tokenizer,
        aggregation_strategy="simple",
        device="cpu",
        dtype=torch.float32,
    )
    if engine == "onnxruntime":
        pipe.model = Graph(graph(BERT, "int8"), threads, pipe.model.config)
    return pipe


def service(pipe: Pipeline) -> FastAPI:
    """One text per call, and one call at a time: torch's threads for each of many would only wait for each other."""
    app = FastAPI()

    @app.post("/")
    async def answer(body: Body) -> list[dict[str, Any]]:
        # numpy's numbers are no JSON.
        return [{**entity, "score": float(entity["score"])} for entity in pipe(body.inputs)]

    return app


if __name__ == "__main__":
    engine, threads, port = sys.argv[1:]
    pipe = pipeline(engine, int(threads))
    uvicorn.run(service(pipe), host="127.0.0.1", port=int(port), log_level="error")
