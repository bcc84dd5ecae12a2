"""`candlewick verify` of flair's taggers: against a saved reference, against a stand-in for flair, and with neither."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_cli import run
from test_verify import HERE, cells, change, file_of, tie

import candlewick
from candlewick import _cli_verify
from candlewick._checkpoint.convert import convert
from candlewick._verify import Reference, VerificationError, flair_, saved
from candlewick._verify.compare import compare

GOLDEN = HERE / "golden" / "flair"
NER = GOLDEN / "ner"
#: Texts that the saved reference has besides the built-in ones.
MORE = GOLDEN / "verify.jsonl"
#: The stand-in needs a torch, too.
FAKES = [str(HERE / "fake_flair"), str(HERE / "fake_transformers")]


@pytest.fixture
def converted(tmp_path: Path) -> Path:
    """The tagger as candlewick reads it, under another name."""
    convert(NER, tmp_path / "mine")
    return tmp_path / "mine"


@pytest.fixture
def without_flair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)


def known_to_flair(to: Path) -> Path:
    """What the stand-in answers: the saved reference."""
    reference = saved.read(file_of(NER), saved.files_of(NER))
    sentences = []
    for text, result in zip(reference.texts, reference.results, strict=True):
        tokens = [[token, start] for token, (start, _) in zip(result.tokens, result.offsets, strict=True)]
        entities = result.answers["simple"]
        sentences.append({"text": text, "tokens": tokens, "emissions": result.logits, "entities": entities})
    to.write_text(json.dumps({"sentences": sentences}), encoding="utf-8")
    return to


def fake(known: Path, **more: str) -> dict[str, str]:
    path = os.pathsep.join([*FAKES, os.environ.get("PYTHONPATH", "")])
    return {"PYTHONPATH": path, "FAKE_FLAIR": str(known), **more}


def verify(model: Path, *, save: bool = False, only_saved: bool = False) -> tuple[list[str], bool]:
    """The command in this process."""
    options: dict[str, Any] = {"revision": None, "files": [], "column": "text", "dtype": "float32", "tolerance": None}
    return _cli_verify.run(str(model), save=save, only_saved=only_saved, **options)


# Saved references


def test_answers_are_those_of_the_saved_reference(references: Path) -> None:
    done = run("verify", NER, "--saved", "--file", MORE)
    assert (done.returncode, done.stderr) == (0, "")
    assert "flair, float32, against flair 0.15.1" in done.stdout and "ok: 0 differ" in done.stdout
    rows = {line.split()[0]: line.split()[1:3] for line in done.stdout.splitlines() if line.startswith("  ")}
    assert rows["tokens"] == ["31", "0"] and rows["logits"] == ["612", "0"]
    assert all(rows[name] == ["411", "0"] for name in ("none", "simple", "first", "average", "max"))


@pytest.mark.parametrize(("moved", "good"), [(5e-5, True), (1e-3, False)])
def test_scores_differ_by_no_more_than_float32_lets_them(moved: float, good: bool, references: Path) -> None:
    def move(reference: Reference) -> None:
        reference.results[3].answers["first"][0]["score"] += moved

    change(NER, move)
    done = run("verify", NER, "--saved")
    assert done.returncode == (0 if good else 1)
    assert f"{'ok' if good else 'not ok'}: 0 differ" in done.stdout and "(tolerance 0.0001)" in done.stdout
    assert run("verify", NER, "--saved", "--tolerance", "2e-5").returncode == 1


@pytest.mark.parametrize("what", ["label", "place", "missing", "extra", "tokens", "logits"])
def test_another_entity_or_word_fails_within_any_tolerance(what: str, references: Path) -> None:
    def differ(reference: Reference) -> None:
        result = reference.results[0]
        entities = result.answers["max"]
        if what == "label":
            entities[0]["entity_group"] = "NONE"
        elif what == "place":
            entities[0]["end"] += 1
        elif what == "missing":
            del entities[0]
        elif what == "extra":
            entities.append({**entities[0], "start": 0, "end": 1})
        elif what == "tokens":
            result.offsets[1][1] += 1
        else:
            result.logits[1].reverse()

    change(NER, differ)
    done = run("verify", NER, "--saved", "--tolerance", "1")
    row = what if what in ("tokens", "logits") else "max"
    assert done.returncode == 1 and "not ok: 1 differ" in done.stdout
    assert cells(done.stdout, row, 2) == ["1"]


def test_equal_emissions_excuse_no_other_entities(references: Path) -> None:
    change(NER, tie)
    done = run("verify", NER, "--saved")
    assert done.returncode == 1 and "nearly equal" not in done.stdout


def test_every_layout_has_the_reference_of_its_conversion(references: Path, converted: Path, tmp_path: Path) -> None:
    older = tmp_path / "older"
    older.mkdir()
    shutil.copy(NER / "generation-1-stream.bin", older / "pytorch_model.bin")
    assert saved.files_of(older) == saved.files_of(converted) == saved.files_of(NER)
    for model in (older, converted):
        lines, good = verify(model, only_saved=True)
        assert good and lines[0] == f"{model}: flair, float32, against flair 0.15.1, torch 2.15.0+cu132, float32"


def test_another_vocabulary_has_no_reference(references: Path, converted: Path) -> None:
    file = converted / "words-0.json"
    words = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps([words[1], words[0], *words[2:]]), encoding="utf-8")
    with pytest.raises(VerificationError, match="none is saved for these files, and flair is not asked"):
        verify(converted, only_saved=True)


# Neither


@pytest.mark.parametrize("save", [False, True])
def test_without_flair_it_says_what_to_do(save: bool, references: Path, without_flair: None) -> None:
    file_of(NER).unlink()
    with pytest.raises(VerificationError) as raised:
        verify(NER, save=save)
    said = str(raised.value)
    assert (
        f"flair is not installed here: pip install flair, or run `candlewick verify {NER} --save` where it is" in said
    )
    assert (str(file_of(NER)) in said) != save


@pytest.mark.parametrize("save", [False, True])
def test_a_converted_tagger_is_told_of_its_original(save: bool, references: Path, converted: Path) -> None:
    file_of(NER).unlink()
    done = run("verify", converted, *(["--save"] if save else []))
    assert done.returncode == 1 and done.stdout == "" and "pip install" not in done.stderr
    for part in ("flair can't read a converted tagger", "candlewick verify ORIGINAL --save", "pytorch_model.bin"):
        assert part in done.stderr


# A stand-in for flair


@pytest.mark.parametrize("beside", [False, True])
def test_a_reference_is_computed_and_kept(beside: bool, references: Path, converted: Path, tmp_path: Path) -> None:
    expected = saved.read(file_of(NER), saved.files_of(NER))
    known = known_to_flair(tmp_path / "known.json")
    file_of(NER).unlink()
    model = NER
    if beside:  # what flair reads lies beside what candlewick reads
        shutil.copy(NER / "pytorch_model.bin", converted)
        model = converted
    done = run("verify", model, "--file", MORE, "--save", **fake(known))
    assert (done.returncode, done.stderr) == (0, "")
    assert "against flair 0.15.1, torch 0.0" in done.stdout and str(file_of(model)) in done.stdout
    found = saved.read(file_of(model), saved.files_of(model))
    assert (found.texts, found.results) == (expected.texts, expected.results)
    assert verify(converted, only_saved=True)[1]


def test_flair_is_asked_again_though_a_reference_is_kept(references: Path, tmp_path: Path) -> None:
    known = known_to_flair(tmp_path / "known.json")
    change(NER, lambda reference: reference.results[0].answers["simple"].clear())
    assert run("verify", NER, "--saved").returncode == 1
    assert run("verify", NER, **fake(known)).returncode == 0


@pytest.mark.parametrize(
    ("what", "part"),
    [
        ({"FAKE_ERROR": "no such thing\nTraceback"}, "ner: flair failed: RuntimeError: no such thing\n"),
        ({}, "ner: text 28 of 28: flair failed: ValueError: substring not found\n"),
    ],
    ids=["file", "text"],
)
def test_what_flair_can_not_do_is_told_in_one_line(
    what: dict[str, str], part: str, references: Path, tmp_path: Path
) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("Sarah lives in Rome.\n", encoding="utf-8")
    done = run("verify", NER, "--file", texts, **fake(known_to_flair(tmp_path / "known.json"), **what))
    assert done.returncode == 1 and done.stdout == "" and done.stderr.count("\n") == 1
    assert done.stderr.endswith(part) and "Sarah" not in done.stderr


@pytest.fixture
def flair(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The stand-in in this process, and the file that it answers out of."""
    for path in FAKES:
        monkeypatch.syspath_prepend(path)
    monkeypatch.setenv("FAKE_FLAIR", str(tmp_path / "known.json"))
    before = dict(sys.modules)
    for name in [name for name in before if name.partition(".")[0] in ("flair", "torch")]:
        monkeypatch.delitem(sys.modules, name)
    yield tmp_path / "known.json"
    for name in [name for name in sys.modules if name not in before]:
        if name.partition(".")[0] in ("flair", "torch"):
            del sys.modules[name]


@pytest.mark.parametrize("name", ["inside", "lower", "ner", "plain", "pos"])
def test_goldens_compare_with_nothing_that_differs(name: str, flair: Path, tmp_path: Path) -> None:
    case = json.loads((GOLDEN / name / "case.json").read_text(encoding="utf-8"))
    flair.write_text(json.dumps({**case, "spans": name != "pos"}), encoding="utf-8")
    texts = [one["text"] for one in case["sentences"] if isinstance(one["text"], str)]
    shutil.copy(min((GOLDEN / name).glob("*.bin")), tmp_path / "pytorch_model.bin")
    reference = flair_.reference(tmp_path, "token-classification", texts, 8192)
    assert sum(len(result.answers["none"]) for result in reference.results) > 20
    found = compare(candlewick.pipeline(model=GOLDEN / name / "model"), reference)
    assert (found.flips, found.ties) == (0, 0) and found.worst_score < 1e-5
    assert [row.name for row in found.rows] == ["tokens", "logits", "none", "simple", "first", "average", "max"]
    assert found.rows[0].compared == len(texts) and found.rows[1].compared > 100


def test_a_text_that_would_be_cut_is_named(flair: Path) -> None:
    case = json.loads((NER / "case.json").read_text(encoding="utf-8"))
    flair.write_text(json.dumps(case), encoding="utf-8")
    one = next(one for one in case["sentences"] if len(one["tokens"]) > 3)
    with pytest.raises(VerificationError, match=f"text 1 of 1: expected at most 3 words, got {len(one['tokens'])}"):
        flair_.reference(NER, "token-classification", [one["text"]], 3)
