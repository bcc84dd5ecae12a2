"""Conversions on disk: made once, known by their source, never taken when they are damaged; and made by hand."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from test_pickled import pickled, raw

import candlewick
from candlewick.errors import ParameterError

NAME = "bert-ner-generic"
TEXT = "Sarah lives in London and works for Google."
WEIGHTS = "model.safetensors"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, not made yet."""
    folder = tmp_path / "some" / "cache"
    monkeypatch.setenv("CANDLEWICK_CACHE", str(folder))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A pickled model."""
    return pickled(NAME, tmp_path)


def load(folder: Path) -> list[Any]:
    with candlewick.pipeline(model=folder, packed_cache=False) as pipe:
        return list(pipe.logits(TEXT).values.tolist())


def converted(cache: Path) -> list[Path]:
    return sorted((cache / "converted").iterdir())


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "candlewick", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_a_model_is_converted_once(folder: Path, cache: Path) -> None:
    answer = load(folder)
    (made,) = converted(cache)
    before = (made / WEIGHTS).stat()
    assert load(folder) == answer
    assert (made / WEIGHTS).stat().st_ino == before.st_ino and converted(cache) == [made]
    assert made.name.startswith(NAME) and not (folder / WEIGHTS).exists()
    for path in (cache, cache / "converted", made):
        assert path.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in made.iterdir()} == {0o600}


def test_other_weights_or_settings_are_never_taken_for_these(folder: Path, cache: Path) -> None:
    answer = load(folder)
    file = folder / "pytorch_model.bin"
    before, data = file.stat(), bytearray(file.read_bytes())
    data[-1] ^= 0x80  # the sign of the last number, in a container without checksums
    file.write_bytes(data)
    # As images and archives have it: the same size, the same time.
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert load(folder) != answer and len(converted(cache)) == 2
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["id2label"]["0"] = "nothing"
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert candlewick.pipeline(model=folder).labels[0] == "nothing"


@pytest.mark.parametrize("name", [WEIGHTS, "config.json", "conversion.json"])
@pytest.mark.parametrize(
    "damage", [lambda data: b"", lambda data: data[:-1], lambda data: data[:-1] + b"x"], ids=range(3)
)
def test_a_damaged_conversion_is_made_anew(folder: Path, cache: Path, name: str, damage: Any) -> None:
    answer = load(folder)
    (made,) = converted(cache)
    whole = raw(made)
    (made / name).write_bytes(damage((made / name).read_bytes()))
    assert load(folder) == answer
    assert converted(cache) == [made] and raw(made) == whole


def test_a_conversion_that_was_copied_is_read_and_taken(folder: Path, cache: Path) -> None:
    load(folder)
    (made,) = converted(cache)
    before = (made / WEIGHTS).stat()
    os.utime(made / WEIGHTS, ns=(0, 0))
    load(folder)
    after = (made / WEIGHTS).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_what_is_too_much_or_was_left_behind_goes(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from candlewick._checkpoint import cache as module

    old = cache / "converted" / "x.partial"
    old.mkdir(parents=True, mode=0o700)
    cache.chmod(0o700)
    (cache / "converted").chmod(0o700)
    os.utime(old, (0, 0))
    load(folder)
    (first,) = converted(cache)
    monkeypatch.setattr(module, "_LIMIT", 100_000)
    load(pickled("bert-ner-file-says-lower", tmp_path))
    (second,) = converted(cache)
    assert second != first


def test_a_folder_that_can_not_be_used_is_named(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    with pytest.raises(ParameterError, match=r"CANDLEWICK_CACHE: expected a folder .* other users may write"):
        load(folder)
    monkeypatch.setenv("CANDLEWICK_CACHE", str(folder / "config.json"))
    with pytest.raises(ParameterError, match="CANDLEWICK_CACHE: expected a folder"):
        load(folder)


def test_a_full_disk_leaves_nothing(folder: Path, cache: Path) -> None:
    script = f"""
import resource, candlewick
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    candlewick.pipeline(model={str(folder)!r})
except candlewick.errors.BackendError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "File too large" in done.stdout and "CANDLEWICK_CACHE" in done.stdout
    assert converted(cache) == []


def test_processes_that_come_together(folder: Path, cache: Path) -> None:
    script = f"import candlewick\nprint(candlewick.pipeline(model={str(folder)!r}).logits({TEXT!r}).values.tolist())"
    both = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    answers = {process.communicate()[0].strip() for process in both}
    assert answers == {str(load(folder))} and len(converted(cache)) == 1


def test_a_server_converts_too(folder: Path, cache: Path) -> None:
    with candlewick.serve(folder) as url:
        body = json.dumps({"inputs": TEXT}).encode()
        until = time.monotonic() + 60
        while True:
            try:
                answer = json.load(urllib.request.urlopen(f"{url}/models/{NAME}", body))
                break
            except urllib.error.HTTPError:
                assert time.monotonic() < until
    assert answer == candlewick.pipeline(model=folder).query({"inputs": TEXT})


def test_the_command_line_lists_and_clears(folder: Path, cache: Path) -> None:
    candlewick.pipeline(model=folder)
    lines = run("cache", "list").stdout.splitlines()
    assert lines[0].startswith(f"{cache}: 2 models, ")
    assert {tuple(line.split()[-2:]) for line in lines[1:]} == {("converted", str(folder)), ("float32", str(folder))}
    assert run("cache", "clear").stdout.startswith("2 models removed, ")
    assert converted(cache) == []


def test_convert_writes_a_whole_model(folder: Path, cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    done = run("convert", folder, out)
    assert (done.returncode, done.stderr) == (0, "")
    names = sorted(file.name for file in out.iterdir())
    assert names == ["config.json", WEIGHTS, "tokenizer.json", "tokenizer_config.json"]
    assert sorted(line.split()[-1] for line in done.stdout.splitlines()) == [str(out / name) for name in names]
    assert load(out) == load(folder)
    before = (out / WEIGHTS).stat().st_ino
    done = run("convert", folder, out)
    assert done.returncode == 2 and f"{WEIGHTS}, config.json" in done.stderr and done.stderr.count("\n") == 1
    assert (out / WEIGHTS).stat().st_ino == before
    assert run("convert", folder, out, "--overwrite").returncode == 0
    assert sorted(file.name for file in out.iterdir()) == names


def test_convert_in_place_or_into_the_cache(folder: Path, cache: Path) -> None:
    done = run("convert", folder)
    (made,) = converted(cache)
    assert done.returncode == 0 and str(made / WEIGHTS) in done.stdout
    done = run("convert", folder, folder)
    assert done.returncode == 0 and done.stdout.split()[1:] == [str(folder / WEIGHTS)]
    done = run("convert", folder, folder)
    assert done.returncode == 2 and f"has {WEIGHTS} already" in done.stderr


def test_convert_says_what_is_wrong(folder: Path, cache: Path, tmp_path: Path) -> None:
    assert run("convert").returncode == 2
    assert run("convert", tmp_path / "absent" / "model" / "x", tmp_path / "out").returncode == 1
    (tmp_path / "empty").mkdir()
    done = run("convert", tmp_path / "empty", tmp_path / "out")
    assert done.returncode == 1 and "looked for model.safetensors, " in done.stderr
    file = folder / "pytorch_model.bin"
    file.write_bytes(file.read_bytes()[:-1])
    done = run("convert", folder, tmp_path / "out")
    assert done.returncode == 1 and str(file) in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
    shutil.copy(folder / "config.json", tmp_path / "out")
    assert run("convert", pickled("bert-ner-file-says-lower", tmp_path), tmp_path / "out").returncode == 1
