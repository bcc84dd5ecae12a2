"""Pickled checkpoints: read as torch wrote them, loaded as if they were safetensors."""

from __future__ import annotations

import json
import os
import re
import shutil
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pickle_assembler as p
import pytest
import torch_writer
from safetensors_file import read_weights
from test_golden import assert_same

import candlewick
from candlewick._checkpoint import zip_directory
from candlewick._checkpoint.convert import convert
from candlewick._checkpoint.objects import StandIn, Tensor
from candlewick._checkpoint.torch_file import open_file
from candlewick.errors import ModelFormatError, ModelNotFoundError, ParameterError

GOLDEN = Path(__file__).parent / "golden"
PICKLED = sorted(folder.name for folder in (GOLDEN / "pickled").iterdir() if folder.is_dir())
VIEWS = sorted((GOLDEN / "pickled").glob("views*.bin"))
OLD = sorted((GOLDEN / "pickled").glob("torch-*.bin"))
WEIGHTS = "model.safetensors"


def pickled(name: str, to: Path) -> Path:
    """A golden model with its pickled weights instead of its safetensors."""
    folder = Path(shutil.copytree(GOLDEN / "models" / name, to / name, ignore=shutil.ignore_patterns("model*")))
    return Path(shutil.copytree(GOLDEN / "pickled" / name, folder, dirs_exist_ok=True))


def raw(folder: Path) -> dict[str, tuple[str, list[int], bytes]]:
    """Type, shape and bytes of every tensor in the safetensors of a folder."""
    tensors = {}
    for file in folder.glob("*.safetensors"):
        header, data = read_weights(file)
        header.pop("__metadata__", None)
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            tensors[name] = (entry["dtype"], entry["shape"], data[begin:end])
    return tensors


def folder_of(file: Path, to: Path) -> Path:
    """A folder with one file as its weights."""
    to.mkdir(exist_ok=True)
    shutil.copy(file, to / "pytorch_model.bin")
    return to


def test_there_are_goldens() -> None:
    assert (len(PICKLED), len(VIEWS), len(OLD)) == (3, 4, 2)


@pytest.mark.filterwarnings("ignore::candlewick.TruncationWarning")
@pytest.mark.parametrize("name", PICKLED)
def test_a_pickled_model_is_the_same_model(name: str, tmp_path: Path) -> None:
    folder = pickled(name, tmp_path)
    convert(folder, tmp_path / "out")
    assert raw(tmp_path / "out") == raw(GOLDEN / "models" / name)
    case = json.loads((GOLDEN / "cases" / f"{name}.json").read_text(encoding="utf-8"))
    pipe = candlewick.pipeline(model=folder)
    for number, call in enumerate(case["calls"][:12]):
        assert_same(pipe(call["inputs"], **call["options"]), call["result"], f"call {number}")
    # To the last bit what safetensors give.
    golden = candlewick.pipeline(model=GOLDEN / "models" / name)
    for encoding in case["encodings"][:12]:
        ours, theirs = pipe.logits(encoding["text"]), golden.logits(encoding["text"])
        assert ours.values.tolist() == theirs.values.tolist()


@pytest.mark.parametrize("file", [*VIEWS, *OLD], ids=lambda file: file.stem)
def test_views_of_every_kind_and_numbers_of_every_type(file: Path, tmp_path: Path) -> None:
    convert(folder_of(file, tmp_path / "in"), tmp_path / "out")
    description = file.with_suffix(".json") if file in OLD else GOLDEN / "pickled" / "views.json"
    expected = json.loads(description.read_text(encoding="utf-8"))
    got = raw(tmp_path / "out")
    assert {name: (dtype, shape, data.hex()) for name, (dtype, shape, data) in got.items()} == {
        name: (entry["dtype"], entry["shape"], entry["data"]) for name, entry in expected.items()
    }
    # Wide numbers come first, so each tensor is aligned.
    header, _ = read_weights(tmp_path / "out" / WEIGHTS)
    width = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2}
    for name, entry in header.items():
        assert name == "__metadata__" or entry["data_offsets"][0] % width.get(entry["dtype"], 1) == 0


def test_second_names_of_tied_tensors_are_left_out_where_transformers_does(tmp_path: Path) -> None:
    tied = ["model.shared.weight", "model.encoder.embed_tokens.weight", "cls.predictions.decoder.weight", "a", "b"]
    views = dict.fromkeys(tied, p.tensor(p.storage("0", 6), (2, 3)))
    views["lm_head.weight"] = views["lm_head.decoder.weight"] = p.tensor(p.storage("1", 6), (2, 3))
    views["cls.predictions.bias"] = p.tensor(p.storage("0", 6), (3, 2))
    (tmp_path / "in").mkdir()
    storages = {"0": bytes(range(24)), "1": bytes(24)}
    torch_writer.write_zip(tmp_path / "in" / "pytorch_model.bin", p.pickle(p.ordered(**views)), storages)
    convert(tmp_path / "in", tmp_path / "out")
    got = raw(tmp_path / "out")
    assert set(views) - set(got) == {"model.encoder.embed_tokens.weight", "cls.predictions.decoder.weight"}
    assert {data for name, (_, _, data) in got.items() if "lm_head" not in name} == {storages["0"]}


def test_a_storage_is_checked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else many views of a large one would take for ever."""
    views = {str(index): p.tensor(p.storage("0", 100), (1,), offset=index) for index in range(100)}
    torch_writer.write_zip(tmp_path / "pytorch_model.bin", p.pickle(p.ordered(**views)), {"0": bytes(400)})
    checked = []
    monkeypatch.setattr(zip_directory, "crc32", lambda data: checked.append(len(data)) or zlib.crc32(data))
    convert(tmp_path, tmp_path / "out")
    assert checked.count(400) == 1


def test_what_the_first_releases_wrote(tmp_path: Path) -> None:
    """Python 2's pickles with an OrderedDict of pairs and byte strings, and storages that are parts of others."""
    part = p.storage("0", 6, "FloatStorage", p.tuple_(p.text("1"), p.number(2), p.number(4)))
    tensor = p.call(p.name("torch._utils", "_rebuild_tensor"), part, p.number(0), p.numbers(2, 2), p.numbers(2, 1))
    pairs = p.list_(p.list_(b"U\x01a", tensor), p.list_(b"U\x01b", tensor))
    root = p.pickle(p.call(p.name("collections", "OrderedDict"), pairs))
    (tmp_path / "in").mkdir()
    torch_writer.write_stream(tmp_path / "in" / "pytorch_model.bin", root, {"0": (6, bytes(range(24)))})
    convert(tmp_path / "in", tmp_path / "out")
    assert raw(tmp_path / "out") == dict.fromkeys("ab", ("F32", [2, 2], bytes(range(8, 24))))


def test_safetensors_win(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(GOLDEN / "models" / "bert-ner", tmp_path / "bert-ner"))
    (folder / "pytorch_model.bin").write_bytes(b"never looked at")
    assert candlewick.pipeline(model=folder).labels[0] == "O"
    with pytest.raises(ParameterError, match=r"model\.safetensors already"):
        convert(folder, tmp_path / "out")


def test_shards_and_their_index(tmp_path: Path) -> None:
    def index(folder: Path, change: Any) -> None:
        file = folder / "pytorch_model.bin.index.json"
        content = json.loads(file.read_text(encoding="utf-8"))
        change(content["weight_map"])
        file.write_text(json.dumps(content), encoding="utf-8")

    name = "bert-ner-file-says-upper"
    last = "pytorch_model-00004-of-00004.bin"
    folder = pickled(name, tmp_path)
    index(folder, lambda names: names.update(extra=last))
    with pytest.raises(ModelFormatError, match=f"{last}: tensor extra: expected here by pytorch_model.bin.index.json"):
        candlewick.pipeline(model=folder)
    for wrong in ("../elsewhere.bin", "/etc/passwd", "", "."):
        index(folder, lambda names, wrong=wrong: names.update(extra=wrong))
        with pytest.raises(ModelFormatError, match="weight_map: expected file names without folders"):
            candlewick.pipeline(model=folder)
    for absent in ("absent.bin", "..", "a\0b"):
        index(folder, lambda names, absent=absent: names.update(extra=absent))
        with pytest.raises(ModelNotFoundError, match=f"{re.escape(ascii(absent)[1:-1])}: no such file"):
            candlewick.pipeline(model=folder)
    maps = [b'{"weight_map": {"a": ["b"]}}', b'{"weight_map": {"a": 1, "b": "c"}}', b'{"weight_map": 1}']
    for content in (b"[" * 100_000, b"{}", b"\xff", *maps):
        (folder / "pytorch_model.bin.index.json").write_bytes(content)
        with pytest.raises(ModelFormatError, match="weight_map"):
            candlewick.pipeline(model=folder)
    os.truncate(folder / "pytorch_model.bin.index.json", 1 << 40)
    with pytest.raises(ModelFormatError, match=r"index\.json: expected at most \d+ bytes, got 1099511627776"):
        candlewick.pipeline(model=folder)


def test_objects_of_unknown_classes_are_stand_ins(tmp_path: Path) -> None:
    """What a reader of flair's taggers walks."""
    dictionary = p.name("flair.data", "Dictionary") + p.EMPTY + b"\x81" + p.dict_(idx2item=p.list_(b"C\x01a")) + b"b"
    module = p.tuple_(p.text("module"), p.name("torch.nn.modules.rnn", "LSTM"), p.text("rnn.py"), p.text("source"))
    rebuild = p.name("numpy.core.multiarray", "_reconstruct")
    vectors = p.call(rebuild, p.name("numpy", "ndarray"), p.numbers(0), b"C\x01b")
    counts = p.filled(p.call(p.name("collections", "defaultdict"), p.name("builtins", "int")), {"x": p.number(1)})
    root = p.pickle(
        p.dict_(
            state_dict=p.ordered(w=p.tensor(p.storage("0", 2), (2,))),
            tag_dictionary=dictionary,
            rnn=module + b"Q" + p.EMPTY + b"\x81",
            vectors=vectors + p.tuple_(p.number(1), p.numbers(2), p.NONE, b"\x89", b"C\x02ab") + b"b",
            counts=counts,
            words=b"\x8f(" + p.text("a") + p.text("b") + b"\x90",
            old=b"}" + p.call(p.name("_codecs", "encode"), p.text("é"), p.text("latin1")) + p.number(1) + b"s",
        ),
        4,
    )
    file = open_file(torch_writer.write_stream(tmp_path / "tagger.bin", root, {"0": (2, bytes(8))}))
    tagger = file.root
    assert isinstance(tagger["state_dict"]["w"], Tensor)
    assert bytes(file.data(tagger["state_dict"]["w"].storage)) == bytes(8)
    assert isinstance(tagger["tag_dictionary"], StandIn) and tagger["tag_dictionary"].name == "flair.data.Dictionary"
    assert tagger["tag_dictionary"].state == {"idx2item": [b"a"]}
    assert tagger["rnn"].name == "torch.nn.modules.rnn.LSTM" and tagger["rnn"].args == ()
    assert tagger["vectors"].args[0].name == "numpy.ndarray" and tagger["vectors"].state[4] == b"ab"
    assert (tagger["counts"], tagger["words"], tagger["old"]) == ({"x": 1}, {"a", "b"}, {b"\xe9": 1})


@pytest.mark.parametrize("stride", [(4096, 1), (1, 4096)], ids=["as-it-lies", "transposed"])
def test_a_large_file_takes_little_memory(stride: tuple[int, int], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    root = p.pickle(p.ordered(w=p.tensor(p.storage("0", 1 << 24), (4096, 4096), stride)))
    torch_writer.write_zip(tmp_path / "in" / "pytorch_model.bin", root, {"0": bytes(1 << 26)})
    convert(tmp_path / "in", tmp_path / "warm")  # numpy is imported
    tracemalloc.start()
    convert(tmp_path / "in", tmp_path / "out")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / "out" / WEIGHTS).stat().st_size > 1 << 26
    assert peak < 20 << 20
