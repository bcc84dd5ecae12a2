"""A BERT-base for token classification with random weights, as every engine reads it, and texts of a given length."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import BertConfig, BertForTokenClassification

ROOT = Path(__file__).parent.parent
DEMO = ROOT / "python" / "candlewick" / "demo" / "ner"
LABELS = ["O", *(f"{place}-{kind}" for kind in ("PER", "ORG", "LOC", "MISC") for place in "BI")]
LIMIT = 512


def make(folder: Path) -> Path:
    """Write the checkpoint and its ONNX graph, unless they are there."""
    tokenizer = DEMO / "tokenizer.json"
    if (folder / "model.onnx").exists() and (folder / tokenizer.name).read_bytes() == tokenizer.read_bytes():
        return folder
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
    export(model, folder / "model.onnx")
    return folder


def export(model: BertForTokenClassification, file: Path) -> None:
    """Write the graph with free batch and length."""
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
        """Texts of log-normal length (median 30 tokens), none longer than the model reads."""
        source = random.Random(0)
        lengths = [min(LIMIT, max(4, round(source.lognormvariate(3.4, 0.9)))) for _ in range(count)]
        room = len(self._offsets) - LIMIT - 8
        return [self.of(length, source.randrange(room)) for length in lengths]
