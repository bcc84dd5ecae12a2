"""A text of 8,192 tokens against transformers (`golden/long_.py` wrote it down), and one of a token more."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_golden import TOLERANCE, assert_same

import candlewick
from candlewick.errors import InputError

GOLDEN = Path(__file__).parent / "golden"
CASE: dict[str, Any] = json.loads((GOLDEN / "long" / "modernbert-ner-long.json").read_text(encoding="utf-8"))
TEXT: str = CASE["text"]
LIMIT = 8_192
Tokens = candlewick.TokenClassificationPipeline


@pytest.fixture(scope="module")
def long() -> Tokens:
    """A tiny ModernBERT with the context, window and angles of the real one."""
    return candlewick.pipeline("ner", GOLDEN / "models" / CASE["model"])


def digest(value: Any) -> str:
    """The SHA-256 of JSON without white space, as the golden has it."""
    return hashlib.sha256(json.dumps(value, separators=(",", ":")).encode()).hexdigest()


def test_logits_are_those_of_the_reference_up_to_the_last_place(long: Tokens) -> None:
    assert long.max_tokens == CASE["tokens"] == LIMIT
    raw = long.logits(TEXT)
    assert raw.values.shape[0] == LIMIT
    assert digest([list(raw.tokens), raw.offsets.tolist()]) == CASE["encoding"]
    assert CASE["rows"][-1] == LIMIT - 1
    expected = np.array(CASE["logits"], dtype=np.float32)
    assert np.abs(raw.values[CASE["rows"]] - expected).max() < TOLERANCE


def test_entities_are_those_of_the_reference(long: Tokens) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it fits: nothing is cut
        entities = long(TEXT, aggregation_strategy="simple")
    assert Counter(entity["entity_group"] for entity in entities) == CASE["groups"]
    for at, entity in CASE["entities"]:
        assert_same(entities[at], entity, f"entity {at}")
    spans = [[entity[key] for key in ("entity_group", "word", "start", "end")] for entity in entities]
    assert digest(spans) == CASE["spans"]


def test_neither_a_batch_nor_threads_change_a_bit(long: Tokens) -> None:
    alone = long.logits(TEXT)
    short = ["Ada Lovelace met Charles Babbage", "", TEXT[:300], "x"]
    texts = [short[0], TEXT, *short[1:], TEXT[:9_000]]
    together = long.logits(texts)
    assert together[1].values.tobytes() == alone.values.tobytes()
    for text, raw in zip(texts, together, strict=True):
        assert raw.values.tobytes() == long.logits(text).values.tobytes()
    assert long.logits(TEXT, threads=1).values.tobytes() == alone.values.tobytes()


def test_a_token_more_is_cut_with_a_warning(long: Tokens) -> None:
    with pytest.warns(candlewick.TruncationWarning, match="from 8193 to 8192") as cut:
        found = long([TEXT, f"{TEXT}."], aggregation_strategy="simple")
    assert [(type(one.message), one.message.index) for one in cut] == [(candlewick.TruncationWarning, 1)]
    assert found[1] == found[0]


def test_a_token_more_is_an_error_if_wanted(long: Tokens) -> None:
    expected = long(TEXT, aggregation_strategy="simple")
    assert long(TEXT, aggregation_strategy="simple", long_text="error") == expected
    with pytest.raises(InputError, match=r"input 1: 8193 tokens .*the limit is 8192"):
        long([TEXT, f"{TEXT}."], aggregation_strategy="simple", long_text="error")


def test_windows_read_what_is_beyond_the_limit(long: Tokens) -> None:
    text = f"{TEXT} Ada Lovelace met Charles Babbage in London"
    read = {"aggregation_strategy": "simple", "ignore_labels": []}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        windows = long(text, **read, long_text="windows")
        overlapping = long(text, **read, stride=2_048)
    assert windows[-1]["end"] == overlapping[-1]["end"] == len(text)
    assert long(TEXT, **read, long_text="windows") == long(TEXT, **read)
