"""`candlewick verify`: against saved references, against a stand-in for transformers, and with neither."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from test_cli import run

from candlewick._verify import Reference, VerificationError, saved

HERE = Path(__file__).parent
MODELS = HERE / "golden" / "models"
NER, SENTIMENT = MODELS / "bert-ner", MODELS / "bert-sentiment"
SAVED = HERE / "golden" / "references"


def file_of(model: Path) -> Path:
    place = saved.place(model, saved.files_of(model))
    assert place is not None
    return place


def change(model: Path, edit: Any) -> None:
    """Save another reference for a model, as if another library had made it."""
    files = saved.files_of(model)
    reference = saved.read(file_of(model), files)
    edit(reference)
    saved.write(model, files, reference)


def cells(stdout: str, row: str, column: int) -> list[str]:
    """A column of the rows whose name begins so."""
    return [line.split()[column] for line in stdout.splitlines() if line.startswith(f"  {row}")]


def tie(reference: Reference) -> None:
    """Make the first text's best labels equal, and its answer another one."""
    row = reference.results[0].logits[0]
    row[:2] = [max(row) + 9, max(row) + 9]
    reference.results[0].answers["simple"].clear()


def test_answers_are_those_of_the_saved_reference(references: Path) -> None:
    done = run("verify", NER, SENTIMENT, "--saved")
    assert (done.returncode, done.stderr) == (0, "")
    for part in (
        "transformers 4.57.6",
        "compared",
        "tokens",
        "logits",
        "simple",
        "average",
        "positive",
        "ok: 0 differ",
    ):
        assert part in done.stdout
    assert done.stdout.count("ok: 0 differ") == 2


def test_a_score_beyond_the_tolerance_fails(references: Path) -> None:
    def move(reference: Reference) -> None:
        reference.results[3].answers["first"][0]["score"] -= 1e-3

    change(NER, move)
    done = run("verify", NER, "--saved")
    assert done.returncode == 1 and "not ok: 0 differ, scores differ by at most 1.0e-03" in done.stdout
    assert cells(done.stdout, "first", 3) == ["1.0e-03"]
    assert run("verify", NER, "--saved", "--tolerance", "0.01").returncode == 0


@pytest.mark.parametrize("what", ["label", "missing", "tokens", "logits"])
def test_another_label_or_token_fails_within_any_tolerance(what: str, references: Path) -> None:
    def differ(reference: Reference) -> None:
        result = reference.results[0]
        if what == "label":
            result.answers["max"][0]["entity_group"] = "NONE"
        elif what == "missing":
            del result.answers["max"][0]
        elif what == "tokens":
            result.offsets[1][1] += 1
        else:
            result.logits[1].reverse()

    change(NER, differ)
    done = run("verify", NER, "--saved", "--tolerance", "1")
    row = {"label": "max", "missing": "max"}.get(what, what)
    assert done.returncode == 1 and "not ok: 1 differ" in done.stdout
    assert cells(done.stdout, row, 2) == ["1"]


def test_labels_of_a_text_are_compared_one_by_one(references: Path) -> None:
    def swap(reference: Reference) -> None:
        first, second, *_ = reference.results[0].answers["labels"]
        first["score"], second["score"] = second["score"], first["score"]
        reference.results[0].answers["labels"][:2] = [second, first]

    change(SENTIMENT, swap)
    done = run("verify", SENTIMENT, "--saved", "--tolerance", "1")
    assert done.returncode == 1 and "not ok: 2 differ" in done.stdout


def test_labels_are_not_compared_where_the_reference_is_tied(references: Path) -> None:
    change(NER, tie)
    done = run("verify", NER, "--saved")
    assert done.returncode == 0 and "nearly equal: 1\n" in done.stdout


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        (lambda text: text[: len(text) // 2], "does not add up"),
        (lambda text: text.replace("0.9", "0.8", 1), "does not add up"),
        (lambda text: text.replace('"format": 1', '"format": 99'), "expected format 1, got 99"),
        (lambda text: "", "not a saved reference"),
        (lambda text: "[1]\n[2]\n", "not a saved reference"),
        (lambda text: "[" * 100_000, "not a saved reference"),
        (lambda text: "\ufeff" + text, "not a saved reference"),
    ],
    ids=["half", "digit", "format", "empty", "list", "deep", "mark"],
)
def test_a_damaged_reference_is_named(damage: Any, part: str, references: Path) -> None:
    file = file_of(NER)
    file.write_text(damage(file.read_text(encoding="utf-8")), encoding="utf-8")
    done = run("verify", NER, "--saved")
    assert done.returncode == 1 and done.stdout == ""
    assert part in done.stderr and str(file) in done.stderr and "Traceback" not in done.stderr


def test_what_adds_up_but_lacks_a_part_is_no_reference(references: Path) -> None:
    files = saved.files_of(NER)
    reference = saved.read(file_of(NER), files)
    saved.write(NER, files, reference._replace(results=[]))
    assert saved.read(file_of(NER), files).results == []
    content = file_of(NER).read_text(encoding="utf-8").partition("\n")[2]
    file_of(NER).write_text(content, encoding="utf-8")
    with pytest.raises(VerificationError, match="not a saved reference"):
        saved.read(file_of(NER), files)


def test_the_reference_of_another_model_is_refused(references: Path) -> None:
    shutil.copy(file_of(SENTIMENT), file_of(NER))
    done = run("verify", NER, "--saved")
    assert done.returncode == 1 and "a reference of other files: config.json, model.safetensors" in done.stderr


def test_other_weights_have_no_reference(references: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(NER, tmp_path / "bert-ner")
    assert run("verify", copy, "--saved").returncode == 0
    file = copy / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x3f")
    done = run("verify", copy, "--saved")
    assert done.returncode == 1
    for part in ("no reference", "pip install transformers torch", "--save", str(references / "bert-ner-")):
        assert part in done.stderr


def test_texts_that_the_reference_lacks_are_counted(references: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("Sarah lives in Rome.\n", encoding="utf-8")
    done = run("verify", NER, "--saved", "--file", texts)
    assert done.returncode == 1 and "lacks 1 of the 1 texts" in done.stderr


@pytest.mark.parametrize(
    "arguments", [(), (NER, "--tolerance", "x"), (NER, "--tolerance", "-1"), (NER, "--save", "--saved")]
)
def test_wrong_usage(arguments: tuple[str | Path, ...], references: Path) -> None:
    assert run("verify", *arguments).returncode == 2


def fake(reference: Path, **more: str) -> dict[str, str]:
    path = os.pathsep.join([str(HERE / "fake_transformers"), os.environ.get("PYTHONPATH", "")])
    return {"PYTHONPATH": path, "FAKE_REFERENCE": str(reference), **more}


@pytest.mark.parametrize("version", ["4.40.2", "4.56.0", "5.0.1"])
@pytest.mark.parametrize("model", [NER, SENTIMENT], ids=["tokens", "texts"])
def test_a_reference_is_computed_in_float32_and_kept(version: str, model: Path, references: Path) -> None:
    expected = saved.read(file_of(model), saved.files_of(model))
    file_of(model).unlink()
    source = next(SAVED.glob(f"{model.name}-*.json"))
    done = run("verify", model, "--save", **fake(source, FAKE_VERSION=version))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"against transformers {version}" in done.stdout and str(file_of(model)) in done.stdout
    found = saved.read(file_of(model), saved.files_of(model))
    assert (found.texts, found.results) == (expected.texts, expected.results)
    assert file_of(model).stat().st_mode & 0o777 == 0o600 and not list(references.glob("*.partial"))


def test_what_transformers_can_not_do_is_told_in_one_line(references: Path) -> None:
    done = run("verify", NER, **fake(next(SAVED.glob("bert-ner-*.json")), FAKE_ERROR="no such thing\nTraceback"))
    assert done.returncode == 1
    assert done.stderr.endswith("transformers failed: RuntimeError: no such thing\n")


def test_references_are_listed_and_cleared(references: Path) -> None:
    listed = run("cache", "list").stdout
    assert listed.count(" reference ") == 3 and "bert-sentiment" in listed
    assert "models removed" in run("cache", "clear").stdout
    assert not list(references.iterdir())
