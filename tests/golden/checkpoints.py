"""The checkpoints of the goldens: family, head, labels, tokenizer and file layout of each."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sentencepiece_ as spm
import tokenizers_ as tok
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken

IOB2 = ["O", "B-MISC", "I-MISC", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"]
IOB1 = ["B-LOC", "B-MISC", "B-ORG", "I-LOC", "I-MISC", "I-ORG", "I-PER", "O"]
PLAIN = ["O", "PER", "LOC", "work-of-art", "-LRB-"]
BIOES = ["O", "S-PER", "B-PER", "I-PER", "E-PER", "B-O", "I-O"]
XLMR = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
CAMEMBERT = ["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", "<s>", "</s>", "<mask>"]
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 66,
}
DEBERTA_V3 = {
    "relative_attention": True,
    "position_buckets": 16,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": "p2c|c2p",
    "position_biased_input": False,
}
BART = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 52,
    "max_position_embeddings": 64,
}
INPUTS = {"model_input_names": ["input_ids", "attention_mask"]}
MODERN = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    **INPUTS,
    "model_max_length": 48,
    **{f"{name}_token": f"[{name.upper()}]" for name in ("unk", "cls", "sep", "pad", "mask")},
}
DISTIL = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": 64}


@dataclass
class Checkpoint:
    """One row of the table."""

    name: str
    model: str  # the class, without "For…"
    labels: list[str] | int
    tokenizer: Any
    token: bool = True
    config: dict[str, Any] = field(default_factory=dict)
    files: str = "tokenizer.json"
    settings: dict[str, Any] | None = field(default_factory=lambda: {"model_max_length": 48})
    layout: str = "single"  # single, sharded, f16, bf16, gamma, extra, newer
    long: bool = False  # whether its golden is a text that fills its context


def _bert(lower: bool = False, **more: Any) -> dict[str, Any]:
    return {"tokenizer_class": "BertTokenizer", "do_lower_case": lower, "model_max_length": 48, **more}


def _class(name: str) -> dict[str, Any]:
    return {"tokenizer_class": f"{name}Tokenizer", "model_max_length": 48}


def table() -> list[Checkpoint]:
    """Every checkpoint; tokenizers of one kind are shared."""
    cased, uncased, bpe = tok.bert(False), tok.bert(True), tok.byte_level()
    xlmr, camembert = tok.unigram(XLMR), tok.unigram(CAMEMBERT)
    albert, mpnet, deberta, sharing = tok.albert(), tok.mpnet(), tok.deberta(), _class("DebertaV2")
    positions = {"layer_norm_eps": 1e-5}
    with_token = tok.bert(False)
    with_token.add_tokens([AddedToken("Jessica", lstrip=True), AddedToken("New York", single_word=True)])
    ties = tok.bert(True)
    ties.add_tokens([AddedToken("Jessica", lstrip=True), AddedToken("jessica")])
    ties.add_tokens([AddedToken("New York", rstrip=True), AddedToken("Par", single_word=True), AddedToken("par")])
    ties.add_tokens([AddedToken("Sarah", normalized=False), AddedToken("sarah", rstrip=True), AddedToken("Corp.")])
    ties.add_special_tokens([AddedToken(name, lstrip=True, normalized=True) for name in ("NEW YORK", "JESSICA")])
    baked = tok.bert(False)
    baked.enable_truncation(12, direction="left")
    baked.enable_padding(length=20)
    roberta = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
    french = {"pad_token_id": 1, "bos_token_id": 5, "eos_token_id": 6, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
    sequence = {"token": False}
    multi = {"problem_type": "multi_label_classification"}
    small = {"model_max_length": 16}
    modern = tok.modernbert()
    modern_ids = {
        "num_hidden_layers": 4,
        "local_attention": 8,
        "global_rope_theta": 900.0,
        "local_rope_theta": 70.0,
        **{
            f"{name}_token_id": modern.token_to_id(token)
            for name, token in {"pad": "[PAD]", "bos": "[CLS]", "cls": "[CLS]", "eos": "[SEP]", "sep": "[SEP]"}.items()
        },
    }
    map_ = {"unk_token": "[UNK]", "mask_token": {"__type": "AddedToken", "content": "[MASK]", "lstrip": True}}
    return [
        Checkpoint("bert-ner", "Bert", IOB2, cased, settings=_bert()),
        Checkpoint(
            "bert-ner-vocab",
            "Bert",
            IOB1,
            cased,
            files="vocab.txt",
            layout="gamma",
            settings={"do_lower_case": False, "max_len": 48, "init_inputs": []},
            config={"layer_norm_eps": 3e-3},
        ),
        Checkpoint("bert-ner-uncased-vocab", "Bert", PLAIN, uncased, files="vocab.txt", settings=None, layout="extra"),
        Checkpoint(
            "bert-ner-file-says-upper",
            "Bert",
            BIOES,
            tok.bert(True, file_lower=False),
            layout="sharded",
            settings={"tokenizer_class": "BertTokenizerFast", **small},
        ),
        Checkpoint(
            "bert-ner-file-says-lower",
            "Bert",
            IOB2,
            tok.bert(False, file_lower=True),
            layout="f16",
            settings=_bert(strip_accents=False, tokenize_chinese_chars=False, **small),
        ),
        Checkpoint(
            "bert-ner-generic",
            "Bert",
            IOB2,
            tok.bert(False, file_lower=True),
            layout="bf16",
            settings={
                "tokenizer_class": "PreTrainedTokenizerFast",
                "unk_token": "[UNK]",
                "pad_token": "[PAD]",
                "model_max_length": int(1e30),
            },
            config={"hidden_act": "gelu_new"},
        ),
        Checkpoint("bert-ner-added", "Bert", IOB2, with_token, settings=_bert(**map_), config={"hidden_act": "relu"}),
        Checkpoint("bert-ner-baked", "Bert", IOB2, baked, settings=_bert(pad_token="[PAD]", model_max_length=16)),
        Checkpoint("bert-pos", "Bert", 5, cased, settings=_bert(), config={"hidden_act": "silu"}),
        Checkpoint("bert-sentiment", "Bert", ["negative", "neutral", "positive"], cased, **sequence, settings=_bert()),
        Checkpoint("bert-rerank", "Bert", 1, uncased, **sequence, settings=_bert(True)),
        Checkpoint(
            "bert-regression",
            "Bert",
            1,
            uncased,
            **sequence,
            settings=_bert(True),
            config={"problem_type": "regression", "hidden_act": "quick_gelu"},
        ),
        Checkpoint(
            "bert-pair-generic",
            "Bert",
            3,
            cased,
            **sequence,
            settings={
                "tokenizer_class": "PreTrainedTokenizerFast",
                "unk_token": "[UNK]",
                "pad_token": "[PAD]",
                "model_max_length": 24,
            },
            config={"layer_norm_eps": 3e-3},
        ),
        Checkpoint("roberta-ner", "Roberta", IOB2, bpe, config=roberta, settings={"model_max_length": 48}),
        Checkpoint("roberta-ner-vocab", "Roberta", IOB1, bpe, files="vocab.json", settings=None, config=roberta),
        Checkpoint(
            "roberta-ner-prefix",
            "Roberta",
            IOB2,
            bpe,
            config={**roberta, "layer_norm_eps": 3e-3},
            settings={"tokenizer_class": "RobertaTokenizer", "add_prefix_space": True, **small},
        ),
        Checkpoint(
            "roberta-ner-file-prefix",
            "Roberta",
            PLAIN,
            tok.byte_level(True),
            config=roberta,
            settings={"tokenizer_class": "RobertaTokenizer", "trim_offsets": False, "model_max_length": 48},
        ),
        Checkpoint("roberta-emotions", "Roberta", 4, bpe, **sequence, config={**roberta, **multi}),
        Checkpoint("xlm-roberta-ner", "XLMRoberta", IOB1, xlmr, config=roberta),
        Checkpoint(
            "xlm-roberta-ner-left",
            "XLMRoberta",
            IOB2,
            xlmr,
            config=roberta,
            settings={"truncation_side": "left", "tokenizer_class": "XLMRobertaTokenizer", **small},
        ),
        Checkpoint("xlm-roberta-language", "XLMRoberta", 3, xlmr, **sequence, config=roberta, layout="f16"),
        Checkpoint("camembert-ner", "Camembert", IOB2, camembert, config=french),
        Checkpoint("camembert-sentiment", "Camembert", 2, camembert, **sequence, config=french),
        Checkpoint("distilbert-ner", "DistilBert", IOB2, uncased, config=DISTIL, settings={"model_max_length": 16}),
        Checkpoint(
            "distilbert-sentiment",
            "DistilBert",
            ["NEGATIVE", "POSITIVE"],
            uncased,
            **sequence,
            config=DISTIL,
            files="vocab.txt",
            settings={"do_lower_case": True, "model_max_length": 48},
        ),
        Checkpoint("electra-ner", "Electra", IOB2, uncased, config={"embedding_size": 20}, settings=_bert(True)),
        Checkpoint("electra-ner-equal", "Electra", BIOES, cased, config={"embedding_size": 32}, settings=_bert()),
        Checkpoint(
            "electra-moderation",
            "Electra",
            3,
            uncased,
            **sequence,
            settings=_bert(True),
            config={"embedding_size": 20, "hidden_act": "gelu_pytorch_tanh", **multi},
        ),
        Checkpoint(
            "bert-ner-distances",
            "Bert",
            IOB2,
            cased,
            settings=_bert(),
            config={"position_embedding_type": "relative_key_query"},
        ),
        Checkpoint(
            "electra-moderation-distances",
            "Electra",
            3,
            uncased,
            **sequence,
            settings=_bert(True),
            config={"embedding_size": 20, "position_embedding_type": "relative_key", **multi},
        ),
        Checkpoint(
            "albert-ner",
            "Albert",
            IOB2,
            albert,
            settings=_class("Albert"),
            config={"embedding_size": 20, "num_hidden_layers": 5, "num_hidden_groups": 2},
        ),
        Checkpoint(
            "albert-sentiment",
            "Albert",
            3,
            albert,
            **sequence,
            settings=_class("Albert"),
            config={"embedding_size": 32, "num_hidden_layers": 3, "inner_group_num": 2, "hidden_act": "gelu"},
        ),
        Checkpoint("mpnet-ner", "MPNet", IOB1, mpnet, settings=_class("MPNet"), config=positions),
        Checkpoint("mpnet-sentiment", "MPNet", 2, mpnet, **sequence, settings=_class("MPNet"), config=positions),
        Checkpoint("deberta-ner", "DebertaV2", IOB2, deberta, config=DEBERTA_V3, settings=sharing),
        Checkpoint(
            "deberta-ner-queries",
            "DebertaV2",
            IOB1,
            deberta,
            settings=sharing,
            layout="bf16",
            config={**DEBERTA_V3, "position_buckets": -1, "max_relative_positions": 20, "pos_att_type": "p2c"},
        ),
        Checkpoint(
            "deberta-ner-places",
            "DebertaV2",
            PLAIN,
            deberta,
            settings=sharing,
            config={"relative_attention": False, "pos_att_type": ["c2p"], "type_vocab_size": 2},
        ),
        Checkpoint(
            "deberta-rerank", "DebertaV2", 1, deberta, **sequence, config=DEBERTA_V3, layout="f16", settings=sharing
        ),
        Checkpoint(
            "deberta-moderation",
            "DebertaV2",
            3,
            deberta,
            **sequence,
            settings=sharing,
            config={
                **DEBERTA_V3,
                "share_att_key": False,
                "norm_rel_ebd": "none",
                "position_biased_input": True,
                "type_vocab_size": 2,
                "embedding_size": 20,
                "conv_kernel_size": 3,
                "conv_act": "gelu",
                "conv_groups": 2,
                "pooler_hidden_act": "tanh",
                **multi,
            },
        ),
        Checkpoint("xlm-roberta-xl-ner", "XLMRobertaXL", IOB1, xlmr, config=roberta),
        Checkpoint("xlm-roberta-xl-language", "XLMRobertaXL", 3, xlmr, **sequence, config=roberta),
        Checkpoint("modernbert-ner", "ModernBert", IOB2, modern, config=modern_ids, settings=MODERN),
        Checkpoint(
            "modernbert-ner-biases",
            "ModernBert",
            PLAIN,
            modern,
            settings=MODERN,
            layout="bf16",
            config={
                **modern_ids,
                **{f"{part}_bias": True for part in ("attention", "mlp", "norm", "classifier")},
                "intermediate_size": 52,
                "norm_eps": 3e-3,
                "local_rope_theta": None,
                "local_attention": 13,
                "hidden_activation": "silu",
                "classifier_activation": "tanh",
            },
        ),
        Checkpoint(
            "modernbert-ner-newer",
            "ModernBert",
            BIOES,
            modern,
            settings=MODERN,
            layout="newer",
            config={**modern_ids, "global_attn_every_n_layers": 2},
        ),
        Checkpoint("modernbert-sentiment", "ModernBert", 3, modern, **sequence, config=modern_ids, settings=MODERN),
        Checkpoint(
            "modernbert-moderation",
            "ModernBert",
            4,
            modern,
            **sequence,
            settings=MODERN,
            config={
                **modern_ids,
                "classifier_pooling": "mean",
                "num_hidden_layers": 3,
                "intermediate_size": 52,
                **multi,
            },
        ),
        *_sentencepiece(roberta, french),
        Checkpoint("bart-mnli", "Bart", ["contradiction", "neutral", "entailment"], bpe, **sequence, config=BART),
        Checkpoint(
            "bart-scaled",
            "Bart",
            2,
            bpe,
            **sequence,
            files="vocab.json",
            layout="f16",
            config={**BART, "scale_embedding": True, "decoder_layers": 1, "activation_function": "relu"},
        ),
        Checkpoint(
            "bart-moderation",
            "Bart",
            4,
            tok.byte_level(behind="<mask>"),
            **sequence,
            settings={
                **small,
                "model_max_length": 32,
                "tokenizer_class": "PreTrainedTokenizerFast",
                "pad_token": "<pad>",
                **INPUTS,
            },
            config={**BART, **multi},
        ),
        Checkpoint(
            "modernbert-ner-long",
            "ModernBert",
            IOB2,
            modern,
            settings={**MODERN, "model_max_length": 8192},
            long=True,
            config={
                **modern_ids,
                "hidden_size": 16,
                "num_attention_heads": 2,
                "intermediate_size": 32,
                "max_position_embeddings": 8192,
                "local_attention": 128,
                "global_rope_theta": 160_000.0,
                "local_rope_theta": 10_000.0,
            },
        ),
        Checkpoint("bert-ner-ties", "Bert", IOB2, ties, settings=_bert(True)),
    ]


def _sentencepiece(roberta: dict[str, Any], french: dict[str, Any]) -> list[Checkpoint]:
    """Checkpoints without `tokenizer.json`: each class's own file, and every option that it reads."""
    small = {"hidden_size": 16}
    deberta, albert = {**DEBERTA_V3, **small}, {"embedding_size": 20, **small}
    accents = {"do_lower_case": False, "keep_accents": True, "remove_space": False}
    numbered = spm.deberta(more=3)
    at = numbered.tokens - 3
    decoder = {
        str(at): {"content": "[MASK]", "lstrip": True, "normalized": False, "rstrip": False, "single_word": False},
        str(at + 1): {"content": "New York", "lstrip": False, "normalized": True, "rstrip": True, "single_word": True},
        str(at + 2): {"content": "Moscow", "lstrip": False, "normalized": True, "rstrip": False, "single_word": False},
    }
    decoder[str(at)]["special"] = True
    lower = {"do_lower_case": True, "split_by_punct": True, "mask_token": "[MASK]"}
    return [
        Checkpoint("xlm-roberta-ner-spm", "XLMRoberta", IOB1, spm.fairseq(2, nfkc=True), config=roberta),
        Checkpoint(
            "xlm-roberta-language-spm",
            "XLMRoberta",
            3,
            spm.fairseq(2),
            token=False,
            config={**roberta, **small},
            settings={"tokenizer_class": "XLMRobertaTokenizer", "mask_token": "<mask>", "model_max_length": 48},
        ),
        Checkpoint("camembert-sentiment-spm", "Camembert", 2, spm.fairseq(5), token=False, config={**french, **small}),
        Checkpoint(
            "deberta-moderation-spm",
            "DebertaV2",
            3,
            spm.deberta(["[MASK]"]),
            token=False,
            config=deberta,
            settings=_class("DebertaV2"),
        ),
        Checkpoint(
            "deberta-sentiment-spm-lower",
            "DebertaV2",
            3,
            spm.deberta(["[MASK]", "Jessica", "sarah"], more=3),
            token=False,
            config=deberta,
            settings={**_class("DebertaV2"), **lower},
        ),
        Checkpoint(
            "deberta-sentiment-spm-listed",
            "DebertaV2",
            3,
            numbered,
            token=False,
            config=deberta,
            settings={**_class("DebertaV2"), "added_tokens_decoder": decoder, "mask_token": "[MASK]"},
        ),
        Checkpoint(
            "albert-sentiment-spm", "Albert", 3, spm.albert(), token=False, config=albert, settings=_class("Albert")
        ),
        Checkpoint(
            "albert-sentiment-spm-accents",
            "Albert",
            3,
            spm.albert(),
            token=False,
            config=albert,
            settings={**_class("Albert"), **accents, "mask_token": "[MASK]"},
        ),
        Checkpoint("albert-ner-spm", "Albert", IOB2, spm.albert(), config=albert, settings=None),
    ]


def build(row: Checkpoint, folder: Path, seed: int) -> None:
    """Write one checkpoint: random weights that are large enough for every part to matter."""
    torch.manual_seed(seed)
    tok.save(row.tokenizer, folder, row.files, row.settings)
    labels = row.labels if isinstance(row.labels, list) else [f"LABEL_{index}" for index in range(row.labels)]
    head = "ForTokenClassification" if row.token else "ForSequenceClassification"
    sizes = {} if row.model in ("DistilBert", "Bart") else SIZES
    config = getattr(transformers, f"{row.model}Config")(
        vocab_size=row.tokenizer.get_vocab_size(), num_labels=len(labels), **{**sizes, **row.config}
    )
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}
    model = getattr(transformers, f"{row.model}{head}")(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            scale = 0.18 if parameter.dim() > 1 else 0.15
            scale = 1.0 if "embeddings.weight" in name or "shared" in name or "embed_positions" in name else scale
            if name.startswith("classifi") and parameter.dim() > 1:
                # What is normalized in front of it is larger, and the noise of float32 as well.
                scale = 0.25 if row.model == "ModernBert" else 0.5
            if row.long and "Wqkv" in name:
                scale = 0.25  # of thousands of tokens each is to look at a few, so that it matters where they stand
            norm = "norm.weight" in name.lower() or "layernorm_embedding.weight" in name
            parameter.copy_(torch.randn_like(parameter) * scale + float(norm))
    if row.layout in ("f16", "bf16"):
        model = model.to(torch.float16 if row.layout == "f16" else torch.bfloat16)
    model.save_pretrained(folder, max_shard_size="40KB" if row.layout == "sharded" else "1GB")
    _relayout(row.layout, folder)
    if row.labels == 5:  # a configuration without names
        _edit(
            folder / "config.json",
            lambda values: [values.pop(key, None) for key in ("id2label", "label2id")],
            num_labels=5,
        )


def finish(row: Checkpoint, folder: Path) -> None:
    """What the reference of these goldens can not read, but its successors write."""
    if row.layout != "newer":
        return

    def newer(values: dict[str, Any]) -> None:
        every = values.pop("global_attn_every_n_layers")
        kinds = [("full_attention", "global_rope_theta"), ("sliding_attention", "local_rope_theta")]
        values["rope_parameters"] = {
            kind: {"rope_theta": values.pop(key), "rope_type": "default"} for kind, key in kinds
        }
        layers = range(values["num_hidden_layers"])
        values["layer_types"] = [kinds[layer % every != 0][0] for layer in layers]

    _edit(folder / "config.json", newer)


def _relayout(layout: str, folder: Path) -> None:
    file = folder / "model.safetensors"
    if layout == "gamma":
        renames = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
        tensors = {}
        for name, tensor in load_file(file).items():
            for old, new in renames.items():
                name = name.replace(old, new)
            tensors[name] = tensor
        save_file(tensors, file, metadata={"format": "pt"})
    elif layout == "extra":
        tensors = load_file(file)
        tensors["bert.embeddings.position_ids"] = torch.arange(66).unsqueeze(0)
        tensors["bert.pooler.dense.weight"] = torch.zeros(32, 32)
        tensors["cls.predictions.bias"] = torch.zeros(7)
        save_file(tensors, file, metadata={"format": "pt"})


def _edit(file: Path, change: Any, **more: Any) -> None:
    values = json.loads(file.read_text(encoding="utf-8"))
    change(values)
    values.update(more)
    file.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
