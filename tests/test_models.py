"""Models that are damaged, inconsistent or not supported: each is an error that names file, expected and got."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors_file import read_weights, write_weights

import candlewick
from candlewick.errors import ModelFormatError, ModelNotFoundError, ParameterError, UnsupportedModelError

Copy = Callable[[str], Path]
Edit = Callable[[dict[str, Any]], Any]
WEIGHTS = "model.safetensors"


def load(folder: Path) -> Any:
    return candlewick.pipeline(model=folder)


def edit(file: Path, change: Edit) -> None:
    """Change a JSON file."""
    content = json.loads(file.read_text(encoding="utf-8"))
    change(content)
    file.write_text(json.dumps(content), encoding="utf-8")


def edit_header(file: Path, change: Edit) -> None:
    """Change what a safetensors file says of itself."""
    header, data = read_weights(file)
    change(header)
    write_weights(file, header, data)


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        (lambda data: b"", "model.safetensors"),
        (lambda data: data[:5], "model.safetensors"),
        (lambda data: data[:100], "model.safetensors"),
        (lambda data: data[:-1], "model.safetensors"),
        (lambda data: data + b"x", "model.safetensors"),
        (lambda data: struct.pack("<Q", 1 << 62) + data[8:], "model.safetensors"),
        (lambda data: struct.pack("<Q", len(data)) + data[8:], "model.safetensors"),
        (lambda data: data[:8] + b"[" + data[9:], "model.safetensors"),
        (lambda data: data[:8] + b"\xff\xfe" + data[10:], "model.safetensors"),
    ],
    ids=["empty", "5-bytes", "100-bytes", "one-short", "one-long", "huge-header", "header-of-all", "json", "utf-8"],
)
def test_a_damaged_safetensors_file(copy: Copy, damage: Callable[[bytes], bytes], part: str) -> None:
    file = copy("bert-ner") / WEIGHTS
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ModelFormatError, match=part):
        load(file.parent)


def offsets(name: str, change: Callable[[list[int]], list[int]]) -> Edit:
    def apply(header: dict[str, Any]) -> None:
        header[name]["data_offsets"] = change(header[name]["data_offsets"])

    return apply


NORM = "bert.embeddings.LayerNorm.weight"


@pytest.mark.parametrize(
    "lie",
    [
        offsets(NORM, lambda at: [at[0] + (1 << 40), at[1] + (1 << 40)]),
        offsets(NORM, lambda at: [at[1], at[0]]),
        offsets(NORM, lambda at: [at[0] - 4, at[1] - 4]),
        offsets(NORM, lambda at: [-1, at[1]]),
        offsets(NORM, lambda at: [at[0]]),
        lambda header: header[NORM].update(shape=[1 << 40]),
        lambda header: header[NORM].update(shape=[1 << 33, 1 << 33]),
        lambda header: header[NORM].update(dtype="F13"),
    ],
    ids=["outside", "backwards", "overlapping", "negative", "one-offset", "too-large", "overflow", "dtype"],
)
def test_a_lying_safetensors_header(copy: Copy, lie: Edit) -> None:
    folder = copy("bert-ner")
    edit_header(folder / WEIGHTS, lie)
    with pytest.raises(ModelFormatError, match=WEIGHTS):
        load(folder)


def rename(old: str, new: str) -> Edit:
    def apply(header: dict[str, Any]) -> None:
        header[new] = header.pop(old)

    return apply


QUERY = "bert.encoder.layer.1.attention.self.query.weight"


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda header: header.update({"bert.extra": header.pop("bert.embeddings.LayerNorm.bias")}), ["bert"]),
        (rename(QUERY, "cls.predictions.bias"), [QUERY, "got none"]),
        (lambda header: header[QUERY].update(shape=[16, 64]), [QUERY, r"\[32, 32\]", r"\[16, 64\]"]),
        (lambda header: header[QUERY].update(dtype="I32"), [QUERY, "F32", "I32"]),
    ],
    ids=["unexpected", "missing", "shape", "dtype"],
)
def test_a_tensor_that_does_not_fit_is_named(copy: Copy, change: Edit, parts: list[str]) -> None:
    folder = copy("bert-ner")
    edit_header(folder / WEIGHTS, change)
    with pytest.raises(ModelFormatError) as failed:
        load(folder)
    for part in [WEIGHTS, *parts]:
        failed.match(part)


def test_a_bare_encoder_is_an_error(copy: Copy) -> None:
    folder = copy("bert-ner")
    edit_header(folder / WEIGHTS, rename("classifier.weight", "cls.predictions.bias"))
    with pytest.raises(ModelFormatError, match=r"no token-classification head: expected classifier"):
        load(folder)
    edit(folder / "config.json", lambda config: config.update(architectures=["BertModel"]))
    with pytest.raises(candlewick.errors.CandlewickError, match="BertModel"):
        load(folder)


def poison(file: Path, name: str, row: int, value: float) -> None:
    """Put one bad value into a row of a tensor."""
    header, data = read_weights(file)
    start, _ = header[name]["data_offsets"]
    width = header[name]["shape"][-1]
    at = start + row * width * 4
    write_weights(file, header, data[:at] + np.float32(value).tobytes() + data[at + 4 :])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_bad_numbers_in_linear_weights_are_refused_at_load(copy: Copy, value: float) -> None:
    folder = copy("bert-ner")
    poison(folder / WEIGHTS, QUERY, 3, value)
    with pytest.raises(ModelFormatError, match=f"{QUERY}.*finite"):
        load(folder)


def test_bad_numbers_in_an_embedding_row_are_refused_when_it_is_met(copy: Copy) -> None:
    folder = copy("bert-ner")
    pipe = load(folder)
    bad = pipe.logits("Sarah").tokens[1]
    vocabulary = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    poison(folder / WEIGHTS, "bert.embeddings.word_embeddings.weight", vocabulary[bad], float("nan"))
    pipe = load(folder)
    assert isinstance(pipe("London"), list)
    with pytest.raises(ModelFormatError, match=f"row {vocabulary[bad]}"):
        pipe("Sarah")
    assert isinstance(pipe("London"), list)


@pytest.mark.parametrize(
    ("change", "error", "part"),
    [
        (lambda c: c["id2label"].pop("3"), ModelFormatError, "id2label"),
        (lambda c: c["id2label"].update({"99": "X"}), ModelFormatError, "id2label"),
        (lambda c: c["id2label"].update({"one": "X"}), ModelFormatError, "id2label"),
        (lambda c: c["id2label"].update({"3": 3}), ModelFormatError, "id2label"),
        (lambda c: c.update(num_hidden_layers=-1), ModelFormatError, "num_hidden_layers"),
        (lambda c: c.update(num_hidden_layers="two"), ModelFormatError, "num_hidden_layers"),
        (lambda c: c.update(num_attention_heads=5), ModelFormatError, "multiple of 5 heads, got 32"),
        (lambda c: c.update(num_attention_heads=0), ModelFormatError, "heads: expected at least 1, got 0"),
        (lambda c: c.update(hidden_size=64), ModelFormatError, r"\[544, 64\]"),
        (lambda c: c.update(vocab_size=10), ModelFormatError, "word_embeddings"),
        (lambda c: c.update(hidden_act="swish9"), UnsupportedModelError, "swish9.*gelu"),
        (lambda c: c.update(model_type="gpt2"), UnsupportedModelError, "gpt2.*bert.*docs/MODELS.md"),
        (lambda c: c.update(position_embedding_type="rotary"), UnsupportedModelError, "rotary"),
        (lambda c: c.pop("model_type"), ModelFormatError, "model_type"),
        (lambda c: c.pop("architectures"), ParameterError, "task"),
    ],
)
def test_a_configuration_that_does_not_fit(copy: Copy, change: Edit, error: type[Exception], part: str) -> None:
    folder = copy("bert-ner")
    edit(folder / "config.json", change)
    with pytest.raises(error, match=part):
        load(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"text"', b"\xff\xfe\x00", b"[" * 100_000], ids=range(6))
def test_broken_json(copy: Copy, name: str, content: bytes) -> None:
    folder = copy("bert-ner")
    (folder / name).write_bytes(content)
    with pytest.raises(ModelFormatError, match=name):
        load(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda tokenizer: tokenizer.update(decoder={"type": "Nonsense"}),
        lambda tokenizer: tokenizer.update(decoder=5),
        lambda tokenizer: tokenizer.update(model={"type": "WordPiece"}),
        lambda tokenizer: tokenizer["model"]["vocab"].update({"x": -1}),
        lambda tokenizer: tokenizer.update(pre_tokenizer={"type": "Split", "pattern": {"Regex": "("}}),
        lambda tokenizer: tokenizer.update(post_processor={"type": "TemplateProcessing", "single": []}),
        lambda tokenizer: tokenizer["added_tokens"].append({"id": 1 << 40, "content": "x"}),
    ],
    ids=range(7),
)
def test_a_tokenizer_that_does_not_fit(copy: Copy, change: Edit) -> None:
    folder = copy("bert-ner")
    edit(folder / "tokenizer.json", change)
    with pytest.raises(ModelFormatError, match=r"tokenizer\.json: not a tokenizer"):
        load(folder)


def test_a_vocabulary_larger_than_the_table_is_an_error_of_the_text(copy: Copy) -> None:
    folder = copy("bert-ner")

    def add(tokenizer: dict[str, Any]) -> None:
        token = {"id": 544, "content": "wyvern", "single_word": False, "lstrip": False, "rstrip": False}
        tokenizer["added_tokens"].append({**token, "normalized": False, "special": False})

    edit(folder / "tokenizer.json", add)
    pipe = load(folder)
    assert isinstance(pipe("Sarah"), list)
    with pytest.raises(candlewick.errors.InputError, match=r"input 1.*wyvern.*544.*543"):
        pipe(["Sarah", "a wyvern"])


def test_files_that_are_missing(tmp_path: Path, copy: Copy) -> None:
    with pytest.raises(ModelNotFoundError, match="no-such"):
        candlewick.pipeline("ner", tmp_path / "no-such" / "folder" / "at-all")
    with pytest.raises(ModelNotFoundError, match=r"config\.json"):
        candlewick.pipeline("ner", tmp_path)
    folder = copy("bert-ner")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelNotFoundError, match=r"tokenizer\.json, vocab\.txt"):
        load(folder)
    folder = copy("bert-pos")
    (folder / WEIGHTS).unlink()
    with pytest.raises(ModelNotFoundError, match=WEIGHTS):
        load(folder)


def test_a_shard_that_is_missing_or_lies(copy: Copy) -> None:
    folder = copy("bert-ner-file-says-upper")
    index = folder / "model.safetensors.index.json"
    shards = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    assert len(shards) > 1
    edit(index, lambda content: content["weight_map"].update({QUERY: "../../etc/passwd"}))
    with pytest.raises(ModelFormatError, match="passwd"):
        load(folder)
    edit(index, lambda content: content["weight_map"].update({QUERY: shards[0]}))
    edit(index, lambda content: content["weight_map"].update({NORM: shards[1]}))
    with pytest.raises(ModelFormatError):
        load(folder)
    (folder / shards[0]).unlink()
    with pytest.raises((ModelNotFoundError, ModelFormatError), match=shards[0]):
        load(folder)


def test_a_model_of_the_other_task(tmp_path: Path) -> None:
    models = Path(__file__).parent / "golden" / "models"
    with pytest.raises(ParameterError, match="task: expected text-classification"):
        candlewick.pipeline("ner", models / "bert-sentiment")
    assert candlewick.pipeline(model=models / "bert-sentiment").task == "text-classification"


def test_a_damaged_model_leaves_no_map_behind(copy: Copy) -> None:
    folder = copy("bert-ner")
    edit_header(folder / WEIGHTS, lambda header: header[QUERY].update(dtype="I32"))
    for _ in range(20):
        with pytest.raises(ModelFormatError):
            load(folder)
    assert str(folder) not in Path("/proc/self/maps").read_text(encoding="utf-8")
