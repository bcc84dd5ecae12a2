"""Taggers of flair: the same files out of every layout, and everything that is not supported refused by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from candlewick._checkpoint import flair
from candlewick._checkpoint.convert import convert
from candlewick._checkpoint.flair.tagger import Tagger
from candlewick._checkpoint.objects import StandIn, Tensor
from candlewick._checkpoint.torch_file import TorchFile, open_file
from candlewick.errors import ModelFormatError, UnsupportedModelError

GOLDEN = Path(__file__).parent / "golden" / "flair"
TAGGERS = sorted(folder.name for folder in GOLDEN.iterdir() if folder.is_dir())


def converted(file: Path, to: Path) -> Path:
    """The files that a checkpoint becomes."""
    model = to / file.stem
    model.mkdir(parents=True)
    shutil.copy(file, model / "pytorch_model.bin")
    assert flair.is_tagger(model)
    convert(model, model / "out")
    return model / "out"


def opened(name: str = "ner/pytorch_model.bin") -> TorchFile:
    """A golden's objects, to be broken."""
    return open_file(GOLDEN / name)


def test_there_are_taggers_in_every_layout() -> None:
    assert len(TAGGERS) == 5
    assert len(list((GOLDEN / "ner").glob("*.bin"))) == 6


@pytest.mark.parametrize("name", TAGGERS)
def test_every_layout_becomes_the_same_files(name: str, tmp_path: Path) -> None:
    folders = [converted(file, tmp_path) for file in sorted((GOLDEN / name).glob("*.bin"))]
    files = [{file.name: file.read_bytes() for file in folder.iterdir()} for folder in folders]
    assert all(one == files[0] for one in files)
    assert files[0] == {file.name: file.read_bytes() for file in (GOLDEN / name / "model").iterdir()}
    config = json.loads(files[0]["config.json"])
    assert config["model_type"] == "flair"
    vocabularies = {one["vocabulary"] for one in config["embeddings"] if one["kind"] == "words"}
    assert files[0].keys() == {"config.json", "model.safetensors"} | vocabularies


def test_embeddings_are_in_the_order_of_their_names() -> None:
    file = opened()
    embeddings = file.root["embeddings"]["embeddings"]
    for number, embedding in enumerate(embeddings):
        embedding["name"] = f"{11 - number}-{embedding['name']}"
    kinds = [(one["kind"], one.get("forward")) for one in Tagger(file).config["embeddings"]]
    assert kinds == [
        ("characters", True),
        ("words", None),
        ("characters", False),
    ]


def change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Sets what stands under keys, numbers among them."""

    def apply(root: dict[str, Any]) -> None:
        keys: list[Any] = [int(key) if key.isdigit() else key for key in path.split("/")]
        place: Any = root
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return apply


class Other(StandIn):
    name = "flair.embeddings.transformer.TransformerWordEmbeddings"


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        (change("embeddings/embeddings/0/__cls__", "TransformerWordEmbeddings"), "TransformerWordEmbeddings"),
        (change("embeddings/embeddings/0/__cls__", "PooledFlairEmbeddings"), "PooledFlairEmbeddings"),
        (change("embeddings/embeddings/0/stable", True), "stable"),
        (change("embeddings/embeddings/0/field", "pos"), "field"),
        (change("embeddings/embeddings/1/model_params/nlayers", 2), "nlayers 2"),
        (change("embeddings/embeddings/1/model_params/nout", 5), "nout"),
        (change("embeddings/embeddings/1/model_params/recurrent_type", "GRU"), "recurrent_type GRU"),
        (change("rnn_type", "GRU"), "rnn_type GRU"),
        (change("train_initial_hidden_state", True), "train_initial_hidden_state"),
        (change("tag_dictionary", None), "no SequenceTagger"),
        (lambda root: root.update(embeddings=Other()), "expected an object"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(changed: Callable[[dict[str, Any]], None], part: str) -> None:
    file = opened()
    changed(file.root)
    with pytest.raises((UnsupportedModelError, ModelFormatError), match=part):
        Tagger(file)


def tensor(name: str, *shape: int) -> Callable[[dict[str, Any]], None]:
    """Gives a tensor another shape."""

    def apply(root: dict[str, Any]) -> None:
        root["state_dict"][name] = Tensor(root["state_dict"][name].storage, 0, shape, (1,) * len(shape))

    return apply


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        (tensor("embeddings.list_embedding_1.lm.encoder.weight", 3, 6), "encoder.weight: expected shape"),
        (tensor("embeddings.list_embedding_1.lm.rnn.weight_hh_l0", 80, 21), r"expected shape \[80, 20\]"),
        (tensor("embeddings.list_embedding_0.embedding.weight", 5, 10), "vocab: expected"),
        (tensor("embedding2nn.weight", 4, 4), r"expected shape \[50, 50\]"),
        (tensor("rnn.weight_ih_l0_reverse", 48, 49), r"expected shape \[48, 50\]"),
        (tensor("linear.bias", 19), r"linear.bias: expected shape \[20\], got \[19\]"),
        (tensor("crf.transitions", 20, 19), "crf.transitions"),
        (change("state_dict/crf.other", None), "crf.other: expected none"),
        (lambda root: root["state_dict"].pop("linear.weight"), "linear.weight: expected shape .* got none"),
        (change("hidden_size", 13), r"expected shape \[52, 50\]"),
        (change("hidden_size", "12"), "hidden_size: expected a int"),
        (change("embeddings/embeddings/0/vocab", {"a": 1, "b": 2}), "expected the rows 0 to 1"),
        (change("embeddings/embeddings/1/name", "0-glove"), "different names"),
        (lambda root: root["tag_dictionary"].state["idx2item"].pop(), "inverse"),
        (lambda root: root["tag_dictionary"].state["idx2item"].__setitem__(0, "text"), "items that are bytes"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changed: Callable[[dict[str, Any]], Any], part: str) -> None:
    file = opened()
    changed(file.root)
    with pytest.raises(ModelFormatError, match=part):
        Tagger(file)
