"""A BERT-base for token classification with random weights, as every engine reads it, and texts of a given length."""

from __future__ import annotations

import json
import math
import random
import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from transformers import BertConfig, BertForTokenClassification

ROOT = Path(__file__).parent.parent
DEMO = ROOT / "python" / "candlewick" / "demo" / "ner"
LABELS = ["O", *(f"{place}-{kind}" for kind in ("PER", "ORG", "LOC", "MISC") for place in "BI")]
LIMIT = 512


def make(folder: Path) -> Path:
    """Write the checkpoint, unless it is there."""
    tokenizer = DEMO / "tokenizer.json"
    if (folder / "config.json").exists() and (folder / tokenizer.name).read_bytes() == tokenizer.read_bytes():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=Tokenizer.from_file(str(DEMO / "tokenizer.json")).get_vocab_size(),
        id2label=dict(enumerate(LABELS)),
        label2id={label: index for index, label in enumerate(LABELS)},
        architectures=["BertForTokenClassification"],
    )
    model = BertForTokenClassification(config).eval()
    # As large as a trained head's: with the small one of a new model every label would be as likely as any other, and
    # an engine's noise would decide.
    torch.nn.init.normal_(model.classifier.weight, std=0.1)
    model.save_pretrained(folder, safe_serialization=True)
    shutil.copy(tokenizer, folder)
    settings = json.loads((DEMO / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings["model_max_length"] = LIMIT
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


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


def graphs(folder: Path) -> dict[str, Path]:
    """The checkpoint as the peers want it: made once, each by the way that its makers recommend."""
    files = {
        "float32": folder / "model.onnx",
        "int8": folder / "int8.onnx",
        "nncf": folder / "nncf.xml",
        "ctranslate2": folder / "ctranslate2",
    }
    make_ = {"float32": export, "int8": dynamic_int8, "nncf": static_int8, "ctranslate2": convert}
    for name, file in files.items():
        if not file.exists():
            make_[name](folder, file)
    return files


def export(folder: Path, file: Path, attention: str = "sdpa") -> None:
    """Write the ONNX graph with free batch and length."""
    model = BertForTokenClassification.from_pretrained(folder, attn_implementation=attention).eval()
    names = ["input_ids", "attention_mask", "token_type_ids"]
    axes = {name: {0: "batch", 1: "tokens"} for name in [*names, "logits"]}
    example = tuple(torch.ones(2, 16, dtype=torch.long) for _ in names)
    model.config.return_dict = False
    torch.onnx.export(
        model,
        example,
        str(file),
        input_names=names,
        output_names=["logits"],
        dynamic_axes=axes,
        opset_version=17,
        dynamo=False,
    )


def dynamic_int8(folder: Path, file: Path) -> None:
    """ONNX Runtime's dynamic int8: exported with eager attention, as it fuses nothing otherwise, fused, quantized."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer

    eager, fused = folder / "eager.onnx", folder / "fused.onnx"
    export(folder, eager, "eager")
    optimized = optimizer.optimize_model(str(eager), model_type="bert", num_heads=12, hidden_size=768)
    assert optimized.get_fused_operator_statistics()["Attention"] == 12
    optimized.save_model_to_file(str(fused))
    kind = {"DefaultTensorType": onnx.TensorProto.FLOAT}
    quantize_dynamic(fused, file, weight_type=QuantType.QInt8, extra_options=kind)
    eager.unlink()
    fused.unlink()


def static_int8(folder: Path, file: Path) -> None:
    """OpenVINO's int8: quantized by NNCF with texts of the kind that are timed."""
    import nncf
    import openvino

    texts, tokenizer = Texts(), Tokenizer.from_file(str(folder / "tokenizer.json"))
    samples = []
    for index in range(32):
        ids = np.array([tokenizer.encode(texts.of(16 << index % 4, 37 * index)).ids])
        samples.append({"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)})
    model = openvino.Core().read_model(folder / "model.onnx")
    kind = nncf.ModelType.TRANSFORMER
    openvino.save_model(nncf.quantize(model, nncf.Dataset(samples), model_type=kind, subset_size=len(samples)), file)


def convert(folder: Path, file: Path) -> None:
    """CTranslate2's form, which has no head: that stays beside it."""
    import ctranslate2

    ctranslate2.converters.TransformersConverter(str(folder)).convert(str(file), quantization="int8")
    head = BertForTokenClassification.from_pretrained(folder).classifier
    np.savez(file / "head.npz", weight=head.weight.detach().numpy(), bias=head.bias.detach().numpy())


class Texts:
    """English sentences, cut to a number of tokens."""

    def __init__(self) -> None:
        """Read the sentences that the demo models are judged by."""
        rows = (ROOT / "demo" / "data" / "handwritten_ner.jsonl").read_text(encoding="utf-8").splitlines()
        self._text = " ".join(json.loads(row)["text"] for row in rows)
        self._tokenizer = Tokenizer.from_file(str(DEMO / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._offsets = self._tokenizer.encode(self._text, add_special_tokens=False).offsets

    def of(self, tokens: int, first: int = 0) -> str:
        """A text of so many tokens, special ones included, from the `first` one on."""
        start, last = self._offsets[first][0], first + tokens - 3
        while True:
            text = self._text[start : self._offsets[last][1]]
            missing = tokens - len(self._tokenizer.encode(text).ids)
            if missing == 0:
                return text
            last += missing

    def mixed(self, count: int) -> list[str]:
        """Texts of log-normal length (median 37 tokens), none longer than the model reads."""
        source = random.Random(0)
        lengths = [min(LIMIT, max(4, round(source.lognormvariate(math.log(37), 0.8)))) for _ in range(count)]
        room = len(self._offsets) - LIMIT - 8
        return [self.of(length, source.randrange(room)) for length in lengths]
