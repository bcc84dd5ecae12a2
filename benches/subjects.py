"""The networks that are measured: shapes of models that people use, with random weights, as every engine reads them."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from texts import DEMO
from tokenizers import Tokenizer

CHECKPOINTS = Path(__file__).parent.parent / ".bench"
LABELS = ("O", *(f"{place}-{kind}" for kind in ("PER", "ORG", "LOC", "MISC") for place in "BI"))
_IDS = Tokenizer.from_file(str(DEMO / "tokenizer.json"))
_PAD, _CLS, _SEP = (_IDS.token_to_id(token) for token in ("[PAD]", "[CLS]", "[SEP]"))


@dataclass(frozen=True)
class Subject:
    """A network; texts are read by the demo model's tokenizer, whichever family it is of."""

    #: Of its folder.
    name: str
    title: str
    #: Of its classes in transformers, and of its configuration.
    family: str
    options: dict[str, Any] = field(default_factory=dict)
    task: str = "token-classification"
    labels: tuple[str, ...] = LABELS
    #: Longest text that it reads.
    limit: int = 512
    inputs: tuple[str, ...] = ("input_ids", "attention_mask", "token_type_ids")
    #: The model type by which ONNX Runtime's optimizer knows it, and how many attentions it fuses.
    fusion: tuple[str, int] | None = None
    #: What CTranslate2 has an encoder for.
    ctranslate2: bool = False

    @property
    def folder(self) -> Path:
        """Where it is kept."""
        return CHECKPOINTS / self.name

    @property
    def network(self) -> Any:
        """Its class in transformers."""
        head = "TokenClassification" if self.task == "token-classification" else "SequenceClassification"
        return getattr(transformers, f"{self.family}For{head}")

    def make(self) -> Path:
        """Write the checkpoint, unless it is there."""
        tokenizer = DEMO / "tokenizer.json"
        folder = self.folder
        if (folder / "config.json").exists() and (folder / tokenizer.name).read_bytes() == tokenizer.read_bytes():
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(0)
        config = getattr(transformers, f"{self.family}Config")(
            vocab_size=_IDS.get_vocab_size(),
            id2label=dict(enumerate(self.labels)),
            label2id={label: index for index, label in enumerate(self.labels)},
            architectures=[self.network.__name__],
            **{"pad_token_id": _PAD, **self.options},
        )
        model = self.network(config).eval()
        # As large as a trained head's: with the small one of a new model every label would be as likely as any other,
        # and an engine's noise would decide.
        head = getattr(model, "classifier", None) or model.classification_head.out_proj
        torch.nn.init.normal_(head.weight, std=0.1)
        model.save_pretrained(folder, safe_serialization=True)
        shutil.copy(tokenizer, folder)
        settings = json.loads((DEMO / "tokenizer_config.json").read_text(encoding="utf-8"))
        settings["model_max_length"] = self.limit
        if self.family != "Bert":
            settings |= {"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": self.inputs}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
        return folder


BERT = Subject("bert-base", "BERT-base", "Bert", fusion=("bert", 12), ctranslate2=True)
DEBERTA = Subject(
    "deberta-v3-base",
    "DeBERTa-v3-base",
    "DebertaV2",
    {
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "relative_attention": True,
        "position_buckets": 256,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "type_vocab_size": 0,
        "layer_norm_eps": 1e-7,
    },
    inputs=("input_ids", "attention_mask"),
)
RERANKER = Subject(
    "deberta-v3-base-reranker",
    "DeBERTa-v3-base, one label",
    "DebertaV2",
    DEBERTA.options,
    task="text-classification",
    labels=("LABEL_0",),
    inputs=("input_ids", "attention_mask"),
)
XLM_ROBERTA_LARGE = Subject(
    "xlm-roberta-large-shapes",
    "XLM-RoBERTa large",
    "XLMRoberta",
    {
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
        "max_position_embeddings": 514,
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
    },
    inputs=("input_ids", "attention_mask"),
    fusion=("bert", 24),
)
BART_LARGE = Subject(
    "bart-large",
    "BART large",
    "Bart",
    {"bos_token_id": _CLS, "eos_token_id": _SEP, "decoder_start_token_id": _SEP},
    task="text-classification",
    inputs=("input_ids", "attention_mask"),
)
MODERNBERT = Subject(
    "modernbert-base",
    "ModernBERT-base",
    "ModernBert",
    {
        "cls_token_id": _CLS,
        "sep_token_id": _SEP,
        "bos_token_id": _CLS,
        "eos_token_id": _SEP,
        "reference_compile": False,
    },
    limit=8192,
    inputs=("input_ids", "attention_mask"),
)


def named(name: str) -> Subject:
    """The one whose folder has this name."""
    every = (BERT, DEBERTA, RERANKER, XLM_ROBERTA_LARGE, BART_LARGE, MODERNBERT)
    return next(subject for subject in every if subject.name == name)
