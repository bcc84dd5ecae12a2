"""Whatever is not supported is refused with the name of the page that lists what is."""

from __future__ import annotations

import ast
import json
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pickle_assembler as p
import pytest
import torch_writer
from test_flair import GOLDEN as TAGGERS

import candlewick
from candlewick._checkpoint.flair.tagger import Tagger
from candlewick._checkpoint.torch_file import open_file
from candlewick.errors import UnsupportedModelError

ROOT = Path(__file__).parent.parent
MODEL = Path(__file__).parent / "golden" / "models" / "bert-ner"
ENDS = r"; docs/MODELS\.md lists what is tested$"
DATA = {"0": struct.pack("<4f", 1, 2, 3, 4)}
WEIGHTS = p.pickle(p.ordered(a=p.tensor(p.storage("0", 4), (2, 2))))


def configured(**changes: object) -> Callable[[Path], object]:
    """Changes the configuration of a model."""

    def change(folder: Path) -> None:
        file = folder / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), **changes}))

    return change


def pickled(root: bytes, **more: bytes) -> Callable[[Path], object]:
    """Gives a model other weights, by torch's container."""
    return lambda folder: torch_writer.write_zip(folder / "pytorch_model.bin", p.pickle(root, 4), DATA, **more)


def compressed(folder: Path) -> None:
    with zipfile.ZipFile(folder / "pytorch_model.bin", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", WEIGHTS * 9)


WAYS = {
    "architecture": (configured(model_type="gpt2"), "gpt2"),
    "activation": (configured(hidden_act="swish9"), "swish9"),
    "name in a pickle": (pickled(p.call(p.name("os", "system"), p.text("true"))), r"os\.system"),
    "opcode": (pickled(b"\x82\x01"), "EXT1"),
    "encoding": (pickled(p.call(p.name("_codecs", "encode"), p.text("a"), p.text("utf-7"))), "latin1"),
    "compressed": (compressed, "compressed"),
    "TorchScript": (pickled(p.dict_(), **{"constants.pkl": b""}), "TorchScript"),
    "big endian": (pickled(p.dict_(), byteorder=b"big"), "big endian"),
    "tar": (lambda folder: (folder / "pytorch_model.bin").write_bytes(b"\0" * 257 + b"ustar" + b"\0" * 300), "tar"),
    "another pickle": (lambda folder: (folder / "pytorch_model.bin").write_bytes(WEIGHTS), "not one of torch.save"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_folder_that_is_not_supported(way: str, tmp_path: Path) -> None:
    change, part = WAYS[way]
    folder = Path(shutil.copytree(MODEL, tmp_path / "model"))
    change(folder)
    if (folder / "pytorch_model.bin").exists():
        (folder / "model.safetensors").unlink()
    with pytest.raises(UnsupportedModelError, match=f"{part}.*{ENDS}"):
        candlewick.pipeline("ner", model=folder)


@pytest.mark.parametrize(
    ("key", "value"), [("rnn_type", "GRU"), ("train_initial_hidden_state", True), ("state_dict", None)]
)
def test_a_tagger_that_is_not_supported(key: str, value: object) -> None:
    file = open_file(TAGGERS / "ner" / "pytorch_model.bin")
    file.root[key] = value
    with pytest.raises(UnsupportedModelError, match=f"(?i)tagger.*{ENDS}"):
        Tagger(file)


def test_embeddings_that_are_not_supported() -> None:
    file = open_file(TAGGERS / "ner" / "pytorch_model.bin")
    file.root["embeddings"]["embeddings"][0]["__cls__"] = "TransformerWordEmbeddings"
    with pytest.raises(UnsupportedModelError, match=f"TransformerWordEmbeddings.*supported: WordEmbeddings.*{ENDS}"):
        Tagger(file)


def test_there_is_one_way_to_say_it_and_the_page_is_there() -> None:
    package = Path(candlewick.__file__).parent
    made = [
        file.relative_to(package).as_posix()
        for file in package.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "UnsupportedModelError"
    ]
    assert made == ["errors.py"]
    assert (ROOT / "docs" / "MODELS.md").is_file()
