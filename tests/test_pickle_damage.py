"""Damaged checkpoints and lying containers: an error that names the file, or the tensors as they were; never less."""

from __future__ import annotations

import random
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pickle_assembler as p
import pytest
import torch_writer
from test_pickled import VIEWS, raw

from candlewick._checkpoint import state_dict
from candlewick._checkpoint.convert import convert
from candlewick._checkpoint.scan import Limits, _Scanner
from candlewick._checkpoint.unpickler import load
from candlewick.errors import ModelFormatError, UnsupportedModelError

Tensors = dict[str, tuple[str, tuple[int, ...], bytes]]
DATA = struct.pack("<4f", 1, 2, 3, 4)
ROOT = p.pickle(p.ordered(a=p.tensor(p.storage("0", 4), (2, 2)), b=p.tensor(p.storage("1", 2), (2,))))
ZIP_FILE, STREAM_FILE = "zip", "stream"


def small(kind: str, file: Path) -> Path:
    """A checkpoint of two tensors."""
    if kind == ZIP_FILE:
        return torch_writer.write_zip(file, ROOT, {"0": DATA, "1": DATA[:8]})
    return torch_writer.write_stream(file, ROOT, {"0": (4, DATA), "1": (2, DATA[:8])})


def read(folder: Path) -> Tensors | None:
    """Every tensor of a folder; nothing if it is refused in the way that is promised."""
    try:
        sources = state_dict.read(folder)
        return {
            name: (source.tensor.storage.dtype, source.tensor.shape, bytes(source.file.data(source.tensor.storage)))
            for name, source in sources.items()
        }
    except (ModelFormatError, UnsupportedModelError) as error:
        message = str(error)
        assert message.startswith(f"{folder / 'pytorch_model.bin'}: ") and len(message) < 600, message
        return None


@pytest.mark.parametrize("kind", [ZIP_FILE, STREAM_FILE])
def test_a_file_cut_anywhere_is_refused(kind: str, tmp_path: Path) -> None:
    file = small(kind, tmp_path / "pytorch_model.bin")
    whole = file.read_bytes()
    assert read(tmp_path) is not None
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        assert read(tmp_path) is None, length
    for more in (b"\0", b"more", whole):
        file.write_bytes(whole + more)
        assert read(tmp_path) is None


@pytest.mark.parametrize("flip", [0x01, 0x10, 0x80, 0xFF])
def test_a_zip_file_with_any_byte_flipped_is_refused_or_the_same(flip: int, tmp_path: Path) -> None:
    file = small(ZIP_FILE, tmp_path / "pytorch_model.bin")
    whole, expected = file.read_bytes(), read(tmp_path)
    refused = 0
    for at in range(len(whole)):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :])
        found = read(tmp_path)
        assert found is None or found == expected, at
        refused += found is None
    # What is left are fields that say nothing of tensors: times, versions, the local copies of names.
    assert refused > len(whole) / 2


@pytest.mark.parametrize("flip", [0x01, 0x10, 0x80, 0xFF])
def test_a_stream_with_any_byte_flipped_is_refused_or_of_that_shape(flip: int, tmp_path: Path) -> None:
    """It has no checksums: names and numbers may be others, as for torch, but everything fits together."""
    file = small(STREAM_FILE, tmp_path / "pytorch_model.bin")
    whole = file.read_bytes()
    first_number = whole.index(DATA)
    for at in range(len(whole)):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :])
        found = read(tmp_path)
        assert found is None or all(len(data) in (8, 16) for _, _, data in found.values()), at
        assert at < first_number or found is None or len(found) == 2


def mutations(whole: bytes, count: int) -> Iterator[bytes]:
    """Files that are almost right, the same ones every time."""
    chance = random.Random(0)
    interesting = [b"\xff" * 4, b"\0" * 4, b"\x7f", b"R", b"b", b"Q", b"(", b"t", b"\x94", b"PK\1\2", b"\xff" * 8]
    for _ in range(count):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            at, to = sorted(chance.randrange(len(data) + 1) for _ in range(2))
            to = min(to, at + chance.choice((1, 4, 40)))
            kind = chance.randrange(5)
            if kind == 0:
                data[at:to] = chance.randbytes(to - at)
            elif kind == 1:
                del data[at:to]
            elif kind == 2:
                data[at:at] = data[at:to]
            elif kind == 3:
                data[at:to] = chance.choice(interesting)
            else:
                other = chance.randrange(len(data) + 1)
                data[at:to] = data[other : other + to - at]
        yield bytes(data)


@pytest.mark.parametrize("file", VIEWS, ids=lambda file: file.stem)
def test_files_of_torch_with_random_damage(file: Path, tmp_path: Path) -> None:
    """Whatever passes is written, and reads as safetensors."""
    target = tmp_path / "pytorch_model.bin"
    passed = 0
    tracemalloc.start()
    for number, data in enumerate(mutations(file.read_bytes(), 500)):
        target.write_bytes(data)
        if read(tmp_path) is not None:
            passed += 1
            if passed < 20:
                convert(tmp_path, tmp_path / f"out{number}")
                assert raw(tmp_path / f"out{number}")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert passed > 5 and peak < 32 << 20, passed


def entry(name: str, data: bytes, method: int = zipfile.ZIP_STORED) -> Callable[[Path], object]:
    """Adds to a zip file."""

    def write(file: Path) -> None:
        with zipfile.ZipFile(file, "a", method) as archive:
            archive.writestr(name, data)

    return write


def patch(old: bytes, new: bytes, last: bool = True) -> Callable[[Path], object]:
    """Changes bytes of the directory, or of the first place."""

    def write(file: Path) -> None:
        data = file.read_bytes()
        at = data.rindex(old) if last else data.index(old)
        file.write_bytes(data[:at] + new + data[at + len(old) :])

    return write


END = struct.pack("<2H", 5, 5)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (entry("archive/big", bytes(1 << 24), zipfile.ZIP_DEFLATED), "compressed or encrypted archive/big"),
        (entry("other/data.pkl", b""), "one data.pkl, got 2"),
        (entry("archive/constants.pkl", b""), "TorchScript"),
        (patch(END, struct.pack("<2H", 4, 4)), "expected a directory that ends|checksum|expected"),
        (patch(END, struct.pack("<2H", 6, 6)), "expected a directory|a header"),
        (patch(END, struct.pack("<2H", 5, 6)), "a directory of at most"),
        (patch(END, struct.pack("<2H", 0xFFFF, 0xFFFF)), "a directory of at most"),
        (patch(b"archive/data/1", b"archive/data/0"), "expected one archive/data/0, got two"),
        (patch(b"archive/data/1", b"archive/data/\xff"), "names in UTF-8"),
        (patch(b"archive/data/1", b"archive/data/2"), "storage 1: expected 8 bytes, got none"),
        (patch(b"archive/data.pkl", b"archive/data.pkx"), "one data.pkl, got 0"),
        (patch(DATA, DATA[::-1], last=False), "archive/data/0: checksum"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_zip_file_that_lies(change: Callable[[Path], object], part: str, tmp_path: Path) -> None:
    file = small(ZIP_FILE, tmp_path / "pytorch_model.bin")
    change(file)
    with pytest.raises((ModelFormatError, UnsupportedModelError), match=part):
        convert(tmp_path, tmp_path / "out")


def test_a_zip_file_with_wide_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those beyond 4 GiB have them."""
    small(ZIP_FILE, tmp_path / "pytorch_model.bin")
    expected = read(tmp_path)
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 4)
    file = small(ZIP_FILE, tmp_path / "pytorch_model.bin")
    assert b"PK\6\6" in file.read_bytes() and b"\xff" * 8 in file.read_bytes()
    assert read(tmp_path) == expected is not None
    file.write_bytes(file.read_bytes().replace(struct.pack("<Q", 16), struct.pack("<Q", 1 << 62)))
    assert read(tmp_path) is None


def test_big_endian_machines_are_named(tmp_path: Path) -> None:
    torch_writer.write_zip(tmp_path / "pytorch_model.bin", ROOT, {"0": DATA, "1": DATA[:8]}, byteorder=b"big")
    with pytest.raises(UnsupportedModelError, match="big endian"):
        state_dict.read(tmp_path)
    system = torch_writer.SYSTEM.replace(p.TRUE, b"\x89")
    torch_writer.write_stream(tmp_path / "pytorch_model.bin", ROOT, {"0": (4, DATA), "1": (2, DATA[:8])}, system)
    with pytest.raises(UnsupportedModelError, match="big endian"):
        state_dict.read(tmp_path)


@pytest.mark.parametrize(
    ("storages", "part"),
    [
        ({"0": (5, DATA), "1": (2, DATA[:8])}, "storage 0: expected 4 x F32, got 5"),
        ({"0": (1 << 62, DATA), "1": (2, DATA[:8])}, "storage 0: expected 4 x F32"),
        ({"0": (4, DATA)}, "expected 2 storages"),
        ({"0": (4, DATA), "1": (2, DATA[:8]), "2": (0, b"")}, "storage 2: expected it to be described"),
        ({"0": (4, DATA), "1": (2, DATA)}, "expected 2 storages and nothing behind"),
        ({"0": (4, DATA), "1": (2, b"")}, "storage 1: expected 2 x F32, got 2 or a cut file"),
    ],
)
def test_a_stream_that_lies(storages: dict[str, tuple[int, bytes]], part: str, tmp_path: Path) -> None:
    torch_writer.write_stream(tmp_path / "pytorch_model.bin", ROOT, storages)
    with pytest.raises(ModelFormatError, match=part):
        state_dict.read(tmp_path)


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"", "an empty file"),
        (b"\0", "expected a file of torch.save, got something else"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
        (b"sys_info".ljust(257, b"\0") + b"ustar".ljust(300, b"\0"), "tar container of torch before 0.1.11"),
        (p.pickle(p.dict_(a=p.NONE)), "a pickle, but not one of torch.save"),
        (torch_writer.MAGIC + p.pickle(p.number(1000)) + torch_writer.SYSTEM, "version 1001"),
        (b"PK\3\4", "damaged or truncated zip file"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_files_are_named(data: bytes, part: str, tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(data)
    with pytest.raises((ModelFormatError, UnsupportedModelError), match=part):
        state_dict.read(tmp_path)


UNITS = {
    "list": b"]",
    "dict": b"}",
    "set": b"\x8f",
    "tuple": b"(NNNNt",
    "dict of one": b"}K\x01Ns",
    "set of one": b"\x8f(K\x01\x90",
    "list of one": b"]Na",
    "memo": b"\x94",
    "float": b"G" + bytes(7) + b"\1",
    "string": b"\x8c\x02ab",
    "wide": b"\x8c\x04\xf0\x9f\x98\x80",
    "bytes": b"C\x02ab",
    "number": b"J\0\0\1\0",
    "stand-in": b"h\0)R",
    "with state": b"h\0)R}b",
    "OrderedDict": b"h\1)RK\1Ns",
    "storage": b"h\2Q",
    "sixteen": b"h\0h\3R",
    "a set's": b"h\4)R",
    "tensor": b"h\5(h\6K\0))tR",
}


@pytest.mark.parametrize("name", UNITS)
def test_the_scan_never_estimates_too_low(name: str) -> None:
    classes = p.name("flair", "A") + b"q\x000" + p.name("collections", "OrderedDict") + b"q\x010"
    storage = p.storage("0", 4)
    classes += storage[:-1] + b"q\x020" + p.tuple_(*[p.NONE] * 16) + b"q\x030" + p.name("builtins", "set") + b"q\x040"
    classes += p.name("torch._utils", "_rebuild_tensor_v2") + b"q\x050" + storage + b"q\x060"
    data = p.pickle(classes + b"(N" + UNITS[name] * 5000 + b"t", 4)
    scanner = _Scanner(data, 0, Limits())
    while scanner.step() != "STOP":
        pass
    tracemalloc.start()
    found = load(data, 0, Limits())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.root) > 5000 or name == "memo"
    assert peak < scanner.memory + (64 << 10)
