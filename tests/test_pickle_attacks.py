"""Hostile files: refused by name, before anything happens, in bounded memory and time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pickle_assembler as p
import pytest
import torch_writer
from pickle_attacks import ATTACKS, NAMES

from candlewick._checkpoint.convert import convert

DATA = bytes(16)


def refused(folder: Path, error: type[Exception], part: str) -> None:
    with pytest.raises(error, match=part) as failed:
        convert(folder, folder / "out")
    message = str(failed.value)
    assert str(folder / "pytorch_model.bin") in message and len(message) < 600 and message.isprintable()
    assert not (folder / "out").exists()


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("container", ["zip", "stream"])
def test_an_attack_is_refused(container: str, name: str, tmp_path: Path) -> None:
    attack = ATTACKS[name]
    if container == "zip":
        torch_writer.write_zip(tmp_path / "pytorch_model.bin", p.pickle(attack.root, 4), {"0": DATA})
    else:
        storages = {"0": (4, DATA)} if b"storage" in attack.root else {}
        torch_writer.write_stream(tmp_path / "pytorch_model.bin", p.pickle(attack.root, 4), storages)
    refused(tmp_path, attack.error, attack.part)


HARMLESS = """
import json, resource, sys
from pathlib import Path
from candlewick._checkpoint import cache
from candlewick._checkpoint.convert import convert
from candlewick.errors import ModelFormatError, UnsupportedModelError
folders = [Path(folder) for folder in json.loads(sys.argv[1])]
before = set(sys.modules)
events = set()
watched = ("import", "compile", "exec", "os.", "subprocess.", "socket.", "shutil.", "ctypes.", "open", "builtins.input")
def watch(event, arguments):
    if event.startswith(watched) and not (event == "open" and str(arguments[0]).endswith("pytorch_model.bin")):
        events.add(f"{event} {arguments}")
sys.addaudithook(watch)
start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for folder in folders:
    try:
        convert(folder, folder / "out")
    except (ModelFormatError, UnsupportedModelError):
        continue
    raise AssertionError(folder)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start
print(json.dumps([sorted(events), sorted(set(sys.modules) - before), grown >> 10]))
"""


def test_nothing_happens_on_the_way(tmp_path: Path) -> None:
    """Told by the interpreter's own audit: no import, no file but the checkpoint, no process, no connection."""
    folders = []
    for number, attack in enumerate(ATTACKS.values()):
        folders.append(str(tmp_path / str(number)))
        Path(folders[-1]).mkdir()
        torch_writer.write_zip(Path(folders[-1], "pytorch_model.bin"), p.pickle(attack.root, 4), {"0": DATA})
    work = tmp_path / "work"
    work.mkdir()
    arguments = [sys.executable, "-c", HARMLESS, json.dumps(folders)]
    done = subprocess.run(arguments, cwd=work, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    events, modules, mebibytes = json.loads(done.stdout)
    assert (events, modules) == ([], []) and list(work.iterdir()) == []
    # The objects' limit twice, since the scan has a stack and a memo as well, and the largest pickle.
    assert mebibytes < 2 * 64 + 16


def test_the_names_are_really_called_by_an_ordinary_unpickler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the tests above would prove nothing."""
    import pickle

    monkeypatch.chdir(tmp_path)
    pickle.loads(p.pickle(NAMES["os.system"].root))
    assert (tmp_path / "HARM").exists()
