"""Whole calls against the answers that transformers gave, written down by `golden/make.py`."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import pytest

import candlewick

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted((GOLDEN / "cases").glob("*.json"))
#: Of scores; everything else is equal.
TOLERANCE = 1e-5


def assert_same(got: Any, expected: Any, where: str) -> None:
    """Equal in shape, keys and order; scores within the tolerance."""
    if isinstance(expected, list):
        assert isinstance(got, list) and len(got) == len(expected), f"{where}: {got} is not like {expected}"
        for index, (one, other) in enumerate(zip(got, expected, strict=True)):
            assert_same(one, other, f"{where}[{index}]")
    elif isinstance(expected, dict):
        assert list(got) == list(expected), f"{where}: keys {list(got)} instead of {list(expected)}"
        for key, value in expected.items():
            assert_same(got[key], value, f"{where}.{key}")
    elif where.endswith(".score"):
        assert type(got) is float
        expected = math.nan if expected == "NaN" else expected
        assert got == pytest.approx(expected, abs=TOLERANCE, nan_ok=True), where
    else:
        assert got == expected and type(got) is type(expected), f"{where}: {got!r} instead of {expected!r}"


def test_there_are_cases() -> None:
    assert len(CASES) >= 12


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_calls_equal_the_reference(file: Path) -> None:
    case = json.loads(file.read_text(encoding="utf-8"))
    pipe = candlewick.pipeline(case["task"], model=str(GOLDEN / "models" / case["model"]))
    for number, call in enumerate(case["calls"]):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", candlewick.TruncationWarning)
            got = pipe(call["inputs"], **call["options"])
        where = f"call {number}: {call['options']} {str(call['inputs'])[:80]!r}"
        assert_same(got, call["result"], where)
