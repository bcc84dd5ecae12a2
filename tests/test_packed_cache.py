"""Packed weights on disk: the second process maps what the first one packed, and nothing wrong is ever mapped."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors_file import read, write

import candlewick

TEXT = "Sarah lives in London and works for Google."
WEIGHTS = "model.safetensors"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, not made yet."""
    folder = tmp_path / "some" / "cache"
    monkeypatch.setenv("CANDLEWICK_CACHE", str(folder))
    return folder


def load(folder: Path, **options: Any) -> tuple[str, Any]:
    """What became of the cache, and the answer."""
    pipe = candlewick.pipeline("ner", folder, **options)
    return pipe.info["packed_cache"], pipe.logits(TEXT).values.tolist()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8", "auto"])
def test_the_second_load_maps_what_the_first_packed(copy: Callable[[str], Path], cache: Path, dtype: str) -> None:
    folder = copy("bert-ner")
    off, expected = load(folder, dtype=dtype, packed_cache=False, quality="skip")
    assert off == "off" and not cache.exists()
    first, answer = load(folder, dtype=dtype, quality="skip")
    assert first == "written" and answer == expected
    assert load(folder, dtype=dtype, quality="skip") == ("read", expected)
    assert cache.stat().st_mode & 0o777 == 0o700
    assert [file.stat().st_mode & 0o777 for file in cache.iterdir()] == [0o600]


@pytest.mark.filterwarnings("ignore::candlewick.QualityWarning")
def test_the_gate_is_asked_once(copy: Callable[[str], Path], cache: Path) -> None:
    folder = copy("bert-ner")
    first, second = (candlewick.pipeline("ner", folder, dtype="int8").info for _ in range(2))
    assert (first.pop("packed_cache"), second.pop("packed_cache")) == ("written", "read")
    assert first == second and first["quality"]["labels"] > 0
    other = candlewick.pipeline("ner", folder, dtype="int8", calibration=[TEXT]).info
    assert other["packed_cache"] == "written" and other["quality"]["labels"] < first["quality"]["labels"]
    if not first["quality"]["passes"]:
        for _ in range(2):
            with pytest.raises(candlewick.errors.ParameterError, match="which changes"):
                candlewick.pipeline("ner", folder, dtype="int8", quality="strict")


def test_other_weights_are_never_taken_for_these(copy: Callable[[str], Path], cache: Path) -> None:
    folder = copy("bert-ner")
    file = folder / WEIGHTS
    tensors = read(file)
    write(file, tensors)
    before = file.stat()
    _, answer = load(folder)
    # As images and archives have it: the same size, the same time.
    tensors["bert.encoder.layer.0.output.dense.weight"] *= 1.5
    write(file, tensors)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    state, other = load(folder)
    assert state == "written" and other != answer
    assert load(folder) == ("read", other)


def test_a_damaged_file_is_made_anew(copy: Callable[[str], Path], cache: Path) -> None:
    folder = copy("bert-ner")
    _, answer = load(folder)
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    # The largest layer ends near the end of the file; the last page may be padding.
    for damaged in (b"", whole[:100], whole[:-4096], whole.replace(b"candlewick", b"CANDLEWICK", 1), bytes(len(whole))):
        file.write_bytes(damaged)
        assert load(folder) == ("written", answer)
    assert load(folder) == ("read", answer)


def test_a_folder_that_can_not_be_used_is_no_cache(
    copy: Callable[[str], Path], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy("bert-ner")
    _, answer = load(folder, packed_cache=False)
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    assert load(folder) == ("unusable: other users may write to the folder", answer)
    monkeypatch.setenv("CANDLEWICK_CACHE", str(folder / WEIGHTS))
    state, got = load(folder)
    assert state.startswith("unusable: ") and got == answer


def test_a_full_disk_leaves_nothing(copy: Callable[[str], Path], cache: Path) -> None:
    folder = copy("bert-ner")
    script = f"""
import resource, candlewick
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
pipe = candlewick.pipeline("ner", {str(folder)!r})
print(pipe.info["packed_cache"], len(pipe({TEXT!r})))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("unusable: ") and done.stdout.split()[-1].isdigit()
    assert list(cache.iterdir()) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE) != (10_000, 10_000)


def test_processes_that_come_together(copy: Callable[[str], Path], cache: Path) -> None:
    folder = copy("bert-ner")
    _, answer = load(folder, packed_cache=False)
    script = f"import candlewick\nprint(candlewick.pipeline('ner', {str(folder)!r}).logits({TEXT!r}).values.tolist())"
    both = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate()[0].strip() for process in both] == [str(answer)] * 4
    assert len(list(cache.iterdir())) == 1
    assert load(folder) == ("read", answer)


def test_the_command_line_lists_and_clears(copy: Callable[[str], Path], cache: Path) -> None:
    def run(command: str) -> list[str]:
        arguments = [sys.executable, "-m", "candlewick", "cache", command]
        done = subprocess.run(arguments, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    assert run("list") == [f"{cache}: 0 models, 0.0 MiB"]
    assert run("clear") == ["0 models removed, 0.0 MiB"]
    folder = copy("bert-ner")
    load(folder)
    load(folder, dtype="bfloat16")
    lines = run("list")
    assert lines[0].startswith(f"{cache}: 2 models, ")
    assert [line.split()[-2:] for line in lines[1:]] == [["bfloat16", str(folder)], ["float32", str(folder)]]
    assert run("clear")[0].startswith("2 models removed, ")
    assert list(cache.iterdir()) == []
