"""A checkpoint with the shapes of XLM-RoBERTa large and its vocabulary, to see what loading takes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from subjects import LABELS
from texts import DEMO


def make_large(folder: Path) -> Path:
    """Write a checkpoint with the shapes of XLM-RoBERTa large in float16, unless it is there; one layer, many times."""
    if (folder / "config.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    hidden, inner, layers, vocabulary = 1024, 4096, 24, 250_002
    source = np.random.default_rng(0)

    def values(*shape: int) -> np.ndarray:
        return source.standard_normal(shape, np.float32).astype(np.float16) * np.float16(0.02)

    block = {f"attention.self.{part}": (hidden, hidden) for part in ("query", "key", "value")}
    block |= {"attention.output.dense": (hidden, hidden)}
    block |= {"intermediate.dense": (inner, hidden), "output.dense": (hidden, inner)}
    dense = {name: (values(*shape), values(shape[0])) for name, shape in block.items()}
    norm = (np.ones(hidden, np.float16), np.zeros(hidden, np.float16))
    dense |= {"attention.output.LayerNorm": norm, "output.LayerNorm": norm}
    table = np.tile(values(10_000, hidden), (vocabulary // 10_000 + 1, 1))[:vocabulary]
    parts = {f"encoder.layer.{layer}.{name}": pair for layer in range(layers) for name, pair in dense.items()}
    parts["embeddings.LayerNorm"] = norm
    tensors = {f"roberta.{name}.weight": pair[0] for name, pair in parts.items()}
    tensors |= {f"roberta.{name}.bias": pair[1] for name, pair in parts.items()}
    tensors["roberta.embeddings.word_embeddings.weight"] = table
    tensors["roberta.embeddings.position_embeddings.weight"] = values(514, hidden)
    tensors["roberta.embeddings.token_type_embeddings.weight"] = values(1, hidden)
    tensors |= {"classifier.weight": values(len(LABELS), hidden), "classifier.bias": values(len(LABELS))}
    save_file(tensors, folder / "model.safetensors")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(DEMO / name, folder)
    config = {
        "model_type": "xlm-roberta",
        "architectures": ["XLMRobertaForTokenClassification"],
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": 16,
        "max_position_embeddings": 514,
        "type_vocab_size": 1,
        "pad_token_id": 1,
        "id2label": dict(enumerate(LABELS)),
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder
