"""Taggers of flair through the package: a folder with nothing but flair's file is a model."""

from __future__ import annotations

import asyncio
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
from test_golden import assert_same

import candlewick
from candlewick.errors import InputError, ParameterError

GOLDEN = Path(__file__).parent / "golden" / "flair"
FILES = sorted(GOLDEN.glob("*/*.bin"))


def sentences(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((GOLDEN / name / "case.json").read_text(encoding="utf-8"))["sentences"]
    return found


def folder(file: Path, to: Path) -> Path:
    """A folder as the Hub has it."""
    to.mkdir()
    shutil.copy(file, to / "pytorch_model.bin")
    return to


@pytest.fixture(scope="module")
def tagger() -> candlewick.TokenClassificationPipeline:
    """The tagger of all three layouts."""
    return candlewick.pipeline("ner", model=GOLDEN / "ner" / "model")


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_entities_are_those_of_flair(file: Path, tmp_path: Path) -> None:
    pipe = candlewick.pipeline(model=folder(file, tmp_path / "model"))
    assert isinstance(pipe, candlewick.TokenClassificationPipeline)
    for number, case in enumerate(sentences(file.parent.name)):
        words = isinstance(case["text"], list)
        got = pipe(case["text"], is_split_into_words=words)
        assert_same(got[0] if words else got, case["entities"], f"sentence {number}")


def test_a_list_is_answered_as_its_items_are(tagger: candlewick.TokenClassificationPipeline) -> None:
    texts = [case["text"] for case in sentences("ner") if isinstance(case["text"], str)]
    texts += ["", "   ", "\n"]
    together = tagger(texts)
    assert together == [tagger(text) for text in texts]
    assert together[-3:] == [[], [], []]
    assert sum(map(len, together)) > 20


def test_awaited_and_queried_it_answers_alike(tagger: candlewick.TokenClassificationPipeline) -> None:
    texts = [case["text"] for case in sentences("ner")[:6]]
    expected = tagger(texts)

    async def ask() -> list[Any]:
        return list(await asyncio.gather(*(tagger.acall(text) for text in texts)))

    assert asyncio.run(ask()) == expected
    for text, answer in zip(texts, expected, strict=True):
        assert tagger.query({"inputs": text, "parameters": {"aggregation_strategy": "first"}}) == answer


@pytest.mark.parametrize("strategy", ["none", "simple", "first", "average", "max"])
def test_every_strategy_gives_the_spans(tagger: candlewick.TokenClassificationPipeline, strategy: str) -> None:
    text = sentences("ner")[0]["text"]
    assert tagger(text, aggregation_strategy=strategy) == tagger(text)


def test_labels_units_and_words_are_as_asked(tagger: candlewick.TokenClassificationPipeline) -> None:
    text = "😀 " + sentences("ner")[0]["text"]
    entities = tagger(text)
    label = entities[0]["entity_group"]
    left = tagger(text, ignore_labels=[label])
    assert left == [entity for entity in entities if entity["entity_group"] != label]
    for entity, wide in zip(entities, tagger(text, offset_unit="utf16", word="source"), strict=True):
        assert wide["word"] == text[entity["start"] : entity["end"]]
        assert (wide["start"], wide["end"]) == (entity["start"] + (entity["start"] > 0), entity["end"] + 1)


def test_what_it_can_not_do_is_said(tagger: candlewick.TokenClassificationPipeline) -> None:
    with pytest.raises(ParameterError, match="stride"):
        tagger("Ada", stride=2, aggregation_strategy="simple")
    with pytest.raises(ParameterError, match="long_text"):
        tagger("Ada", long_text="windows")
    with pytest.raises(ParameterError, match="task"):
        candlewick.pipeline("text-classification", model=GOLDEN / "ner" / "model")


def test_a_limit_cuts_words() -> None:
    pipe = candlewick.pipeline("ner", model=GOLDEN / "ner" / "model", max_tokens=3)
    text = "Ada Lovelace met Charles Babbage"
    with pytest.warns(candlewick.TruncationWarning):
        assert pipe(text) == pipe("Ada Lovelace met")
    with pytest.raises(InputError, match="5 words, the limit is 3"):
        pipe(text, long_text="error")


def test_it_says_what_it_is(tagger: candlewick.TokenClassificationPipeline) -> None:
    assert tagger.model_type == "flair"
    assert tagger.info["architecture"] == "FlairForTokenClassification"
    assert tagger.labels[:2] == ["<unk>", "O"]
    raw = tagger.logits("Ada met Charles.")
    assert list(raw.tokens) == ["Ada", "met", "Charles", "."]
    assert raw.values.shape == (4, len(tagger.labels))
    again = pickle.loads(pickle.dumps(tagger))
    assert again("Ada met Charles.") == tagger("Ada met Charles.")


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_low_precision_is_near(dtype: str) -> None:
    texts = [case["text"] for case in sentences("plain") if isinstance(case["text"], str)]
    exact = candlewick.pipeline("ner", model=GOLDEN / "plain" / "model").logits(texts)
    rough = candlewick.pipeline("ner", model=GOLDEN / "plain" / "model", dtype=dtype, quality="skip").logits(texts)
    worst = max(float(abs(one.values - other.values).max()) for one, other in zip(exact, rough, strict=True))
    assert 1e-5 < worst < {"bfloat16": 0.2, "int8": 0.6}[dtype]
