"""Models from a Hub: only what is needed, from the cache where it can be, with errors that say what to do.

`huggingface_hub` reads its environment when it is imported, so every case runs in a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hub_server
import pytest
from test_pickled import pickled

HERE = Path(__file__).parent
MODELS = HERE / "golden" / "models"
NOTHING = "http://127.0.0.1:1"

ASK = """
import json, sys
import candlewick
arguments, model = json.loads(sys.argv[1]), sys.argv[2]
try:
    pipe = candlewick.pipeline(model=model, **arguments)
    print(json.dumps({"labels": pipe.labels, "answer": pipe("Sarah lives in London")}))
except candlewick.errors.CandlewickError as error:
    print(json.dumps({"error": type(error).__name__, "message": str(error)}))
"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Any]:
    """A Hub with a tiny model that also has files nobody needs."""
    folder = shutil.copytree(MODELS / "bert-ner", tmp_path / "source")
    for name in ("pytorch_model.bin", "model.onnx", "README.md", "training_args.bin", "tf_model.h5"):
        (folder / name).write_bytes(b"not needed")
    hub = hub_server.Hub()
    hub.add("some/ner", folder)
    hub.add("bare-name", MODELS / "bert-sentiment")
    hub.add("some/sharded", MODELS / "bert-ner-file-says-upper")
    hub.add("some/vocab", MODELS / "roberta-ner-vocab")
    hub.add("some/pieces", MODELS / "deberta-moderation-spm")
    hub.add("some/private", folder, token="hf_secret")
    hub.add("some/gated", folder, token="hf_secret", gated=True)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").unlink()
    hub.add("some/other", folder)
    for name in ("bert-ner-generic", "bert-ner-file-says-upper"):
        hub.add(f"pickled/{name}", pickled(name, tmp_path))
    tagger = tmp_path / "tagger"
    tagger.mkdir()
    shutil.copy(HERE / "golden" / "flair" / "ner" / "pytorch_model.bin", tagger)
    (tagger / "README.md").write_bytes(b"not needed")
    hub.add("some/tagger", tagger)
    converted = shutil.copytree(HERE / "golden" / "flair" / "inside" / "model", tmp_path / "converted")
    (converted / "README.md").write_bytes(b"not needed")
    hub.add("converted/tagger", converted)
    yield hub
    hub.close()


def ask(home: Path, model: str, *, url: str, arguments: dict[str, Any] | None = None, **environment: str) -> Any:
    """What a fresh process says of a model."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGINGFACE", "XDG_"))}
    done = subprocess.run(
        [sys.executable, "-c", ASK, json.dumps(arguments or {}), model],
        env={**kept, "HF_HOME": str(home), "HF_ENDPOINT": url, "HF_HUB_DISABLE_TELEMETRY": "1", **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "hf_secret" not in done.stdout + done.stderr
    return json.loads(done.stdout)


def test_only_what_is_needed_is_downloaded_once(hub: Any, tmp_path: Path) -> None:
    found = ask(tmp_path / "home", "some/ner", url=hub.url)
    assert found["labels"][0] == "O"
    assert hub.downloads() == ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    hub.requests.clear()
    assert ask(tmp_path / "home", "some/ner", url=hub.url) == found
    assert hub.downloads() == []
    for offline in ({"HF_HUB_OFFLINE": "1"}, {}):
        arguments = {} if offline else {"local_files_only": True}
        assert ask(tmp_path / "home", "some/ner", url=NOTHING, arguments=arguments, **offline) == found
    # Without a connection the cache is used as it is.
    assert ask(tmp_path / "home", "some/ner", url=NOTHING) == found


REPORT = """
import json, sys
from candlewick import hub
told = []
hub.resolve(sys.argv[1], task=None, revision=None, token=None, cache_dir=None, local_files_only=False,
            report=lambda *bytes: told.append(bytes))
print(json.dumps(told))
"""


def test_bytes_are_reported_while_they_come(hub: Any, tmp_path: Path) -> None:
    def told() -> Any:
        environment = {"HF_HOME": str(tmp_path), "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_TELEMETRY": "1"}
        command = [sys.executable, "-c", REPORT, "some/ner"]
        done = subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=100, check=True
        )
        return json.loads(done.stdout)

    names = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    total = sum((MODELS / "bert-ner" / name).stat().st_size for name in names)
    (first, *more) = told()
    assert first == [total, 0] and more[-1] == [total, total]
    assert more == sorted(more)
    # What is in the cache is neither downloaded nor reported as if it were.
    assert told() == [[0, 0]]


def test_shards_vocabularies_and_bare_names(hub: Any, tmp_path: Path) -> None:
    assert "error" not in ask(tmp_path, "some/sharded", url=hub.url)
    assert sum(name.endswith(".safetensors") for name in hub.downloads()) > 1
    hub.requests.clear()
    assert "error" not in ask(tmp_path, "some/vocab", url=hub.url)
    assert {"vocab.json", "merges.txt"} <= set(hub.downloads())
    hub.requests.clear()
    assert "error" not in ask(tmp_path, "some/pieces", url=hub.url)
    assert {"spm.model", "added_tokens.json"} <= set(hub.downloads())
    assert "error" not in ask(tmp_path, "some/pieces", url=NOTHING, HF_HUB_OFFLINE="1")
    assert ask(tmp_path, "bare-name", url=hub.url)["labels"] == ["negative", "neutral", "positive"]
    assert "error" not in ask(tmp_path, "some/sharded", url=NOTHING, HF_HUB_OFFLINE="1")


def test_revisions(hub: Any, tmp_path: Path) -> None:
    for revision in ("v1", hub_server.OLD):
        assert "error" not in ask(tmp_path, "some/ner", url=hub.url, arguments={"revision": revision})
    assert (tmp_path / "hub" / "models--some--ner" / "snapshots" / hub_server.OLD).is_dir()
    # A commit that is in the cache never changes, so nobody is asked.
    hub.requests.clear()
    assert "error" not in ask(tmp_path, "some/ner", url=hub.url, arguments={"revision": hub_server.OLD})
    assert hub.requests == []
    wrong = ask(tmp_path, "some/ner", url=hub.url, arguments={"revision": "v9"})
    assert wrong["error"] == "ModelNotFoundError" and "v9" in wrong["message"] and "revision" in wrong["message"]


def test_tokens(hub: Any, tmp_path: Path) -> None:
    for model, part in (("some/private", "token"), ("some/gated", "gated"), ("some/absent", "no such model")):
        failed = ask(tmp_path, model, url=hub.url)
        assert failed["error"] == "ModelNotFoundError" and part in failed["message"], failed
    assert "error" not in ask(tmp_path, "some/private", url=hub.url, HF_TOKEN="hf_secret")
    assert "error" not in ask(tmp_path / "2", "some/gated", url=hub.url, arguments={"token": "hf_secret"})
    assert any(token == "Bearer hf_secret" for _, _, token in hub.requests)
    hub.requests.clear()
    ask(tmp_path / "3", "some/ner", url=hub.url, arguments={"token": False}, HF_TOKEN="hf_secret")
    assert all(token is None for _, _, token in hub.requests)


def test_a_cache_of_ones_own(hub: Any, tmp_path: Path) -> None:
    own = tmp_path / "own"
    assert "error" not in ask(tmp_path / "home", "some/ner", url=hub.url, arguments={"cache_dir": str(own)})
    assert (own / "models--some--ner").is_dir() and not (tmp_path / "home" / "hub" / "models--some--ner").exists()
    environment = {"HF_HUB_CACHE": str(own)}
    assert "error" not in ask(tmp_path / "home", "some/ner", url=NOTHING, HF_HUB_OFFLINE="1", **environment)


def test_a_cache_made_by_transformers(tmp_path: Path) -> None:
    """Its layout: blobs by hash, snapshots of links, refs; and more files than we need."""
    repository = tmp_path / "hub" / "models--some--ner"
    snapshot = repository / "snapshots" / hub_server.COMMIT
    for folder in (repository / "blobs", repository / "refs", snapshot):
        folder.mkdir(parents=True)
    (repository / "refs" / "main").write_text(hub_server.COMMIT, encoding="utf-8")
    for number, file in enumerate(sorted((MODELS / "bert-ner").iterdir())):
        shutil.copy(file, repository / "blobs" / f"blob{number}")
        (snapshot / file.name).symlink_to(f"../../blobs/blob{number}")
    assert "error" not in ask(tmp_path, "some/ner", url=NOTHING, HF_HUB_OFFLINE="1")
    (snapshot / "model.safetensors").unlink()
    incomplete = ask(tmp_path, "some/ner", url=NOTHING, HF_HUB_OFFLINE="1")
    assert incomplete["error"] == "ModelNotFoundError" and "not complete" in incomplete["message"]


def test_other_formats_of_weights_are_named(hub: Any, tmp_path: Path) -> None:
    failed = ask(tmp_path, "some/other", url=hub.url)
    assert failed["error"] == "UnsupportedModelError"
    for part in ("tf_model.h5", "model.onnx", "model.safetensors", "pytorch_model.bin.index.json", "docs/MODELS.md"):
        assert part in failed["message"]


@pytest.mark.parametrize("name", ["bert-ner-generic", "bert-ner-file-says-upper"])
def test_pickled_weights_are_downloaded_where_there_are_no_others(name: str, hub: Any, tmp_path: Path) -> None:
    cache = {"CANDLEWICK_CACHE": str(tmp_path / "cache")}
    found = ask(tmp_path, f"pickled/{name}", url=hub.url, **cache)
    assert found == ask(tmp_path, str(MODELS / name), url=NOTHING, **cache)
    assert sum(file.startswith("pytorch_model") for file in hub.downloads()) == (1 if name == "bert-ner-generic" else 5)
    (made,) = (tmp_path / "cache" / "converted").iterdir()
    assert made.name.startswith(f"pickled--{name}-")
    # A Hub's file is known by the name of its content: neither its time nor that of the snapshot counts.
    assert ask(tmp_path, f"pickled/{name}", url=NOTHING, HF_HUB_OFFLINE="1", **cache) == found
    assert list((tmp_path / "cache" / "converted").iterdir()) == [made]


def test_a_tagger_of_flair_is_one_file(hub: Any, tmp_path: Path) -> None:
    first = ask(tmp_path, "some/tagger", url=hub.url)
    assert first["labels"][:2] == ["<unk>", "O"]
    assert hub.downloads() == ["pytorch_model.bin"]
    assert ask(tmp_path, "some/tagger", url=NOTHING, HF_HUB_OFFLINE="1") == first


def test_a_converted_tagger_comes_with_its_vocabularies(hub: Any, tmp_path: Path) -> None:
    first = ask(tmp_path, "converted/tagger", url=hub.url)
    assert first["labels"][:2] == ["<unk>", "O"]
    (snapshot,) = (tmp_path / "hub" / "models--converted--tagger" / "snapshots").iterdir()
    files = ["config.json", "model.safetensors", "words-2.json", "words-3.json"]
    assert sorted(file.name for file in snapshot.iterdir()) == files
    assert ask(tmp_path, "converted/tagger", url=NOTHING, HF_HUB_OFFLINE="1") == first
    (snapshot / "words-3.json").unlink()
    incomplete = ask(tmp_path, "converted/tagger", url=NOTHING, HF_HUB_OFFLINE="1")
    assert incomplete["error"] == "ModelNotFoundError" and "not complete" in incomplete["message"]
    assert ask(tmp_path, "converted/tagger", url=hub.url) == first
    assert ask(tmp_path, "converted/tagger", url=NOTHING, HF_HUB_OFFLINE="1") == first


def test_no_hub_and_no_cache(tmp_path: Path) -> None:
    for environment, part in (({}, "asking the Hub failed"), ({"HF_HUB_OFFLINE": "1"}, "offline")):
        failed = ask(tmp_path, "some/ner", url=NOTHING, **environment)
        assert failed["error"] == "ModelNotFoundError" and part in failed["message"], failed


@pytest.mark.parametrize("name", ["a/b/c", "../etc", "a b", "", "a/../b", "https://example.org/a"])
def test_names_that_are_no_ids(name: str, tmp_path: Path) -> None:
    failed = ask(tmp_path, name, url=NOTHING)
    assert failed["error"] == "ModelNotFoundError"
