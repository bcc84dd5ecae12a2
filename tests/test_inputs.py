"""Every row of the error table, before any computation; and inputs that are odd but fine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import candlewick
from candlewick import errors
from candlewick.errors import InputError, InputTypeError, ParameterError

MODELS = Path(__file__).parent / "golden" / "models"
Tokens = candlewick.TokenClassificationPipeline
Texts = candlewick.TextClassificationPipeline


def test_each_error_is_also_what_python_would_raise() -> None:
    for name, base in [
        ("InputError", ValueError),
        ("InputTypeError", InputError),
        ("InputTypeError", TypeError),
        ("ParameterError", ValueError),
        ("ModelNotFoundError", FileNotFoundError),
        ("ModelFormatError", ValueError),
        ("UnsupportedModelError", NotImplementedError),
        ("BackendError", RuntimeError),
    ]:
        kind = getattr(errors, name)
        assert issubclass(kind, base) and issubclass(kind, errors.CandlewickError)


@pytest.mark.parametrize(
    ("inputs", "error", "part"),
    [
        ([], InputError, "empty list"),
        (None, InputTypeError, "NoneType"),
        (5, InputTypeError, "int"),
        (b"bytes", InputTypeError, "bytes"),
        ({"text": "a"}, InputTypeError, "dict"),
        (("a", "b"), InputTypeError, "got tuple"),
        (["a", 5], InputTypeError, "input 1: expected a string, got int"),
        (["a", ["b"]], InputTypeError, "input 1.*list"),
        (["a", "b", None], InputTypeError, "input 2.*None"),
        (["a", "\ud800"], InputError, "input 1.*surrogate"),
    ],
)
def test_inputs_that_token_classification_refuses(tiny: Tokens, inputs: Any, error: type[Exception], part: str) -> None:
    for call in (tiny, tiny.logits, lambda inputs: list(tiny.stream(inputs))):
        if inputs == [] and call is not tiny:
            continue
        with pytest.raises(error, match=part):
            call(inputs)


@pytest.mark.parametrize(
    ("inputs", "error", "part"),
    [
        ([], InputError, "empty list"),
        (None, InputTypeError, "NoneType"),
        (b"bytes", InputTypeError, "bytes"),
        ({}, InputError, "empty dictionary"),
        ({"txt": "a"}, InputError, "'txt'"),
        ({"text": "a", "text_pair": "b", "more": 1}, InputError, "'more'"),
        ({"text": 5}, InputTypeError, "input 0: expected a string, got int"),
        ({"text": "a", "text_pair": 5}, InputTypeError, "input 0: expected a string, got int"),
        (("a", "b", "c"), InputTypeError, "tuple"),
        (["a", 5], InputTypeError, "input 1.*int"),
        ([["a", "b"]], InputError, "text_pair"),
        ([[["a", "b", "c"]]], InputError, "text_pair"),
        (["fine", "\udfff"], InputError, "input 1.*surrogate"),
        (["fine", "word " * 100], InputError, r"input 1: 402 tokens.*limit is 66"),
    ],
)
def test_inputs_that_text_classification_refuses(labels: Texts, inputs: Any, error: type[Exception], part: str) -> None:
    with pytest.raises(error, match=part):
        labels(inputs)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"aggregation_strategy": "foo"}, "none, simple, first, average, max, got .foo."),
        ({"aggregation_strategy": 1}, "aggregation_strategy: expected a string"),
        ({"ignore_labels": "O"}, "ignore_labels: expected a list"),
        ({"ignore_labels": [1]}, "ignore_labels: expected a list"),
        ({"stride": 46, "aggregation_strategy": "simple"}, "stride"),
        ({"stride": -1, "aggregation_strategy": "simple"}, "stride"),
        ({"stride": 10**30, "aggregation_strategy": "simple"}, "stride"),
        ({"stride": True, "aggregation_strategy": "simple"}, "stride"),
        ({"stride": 1.5, "aggregation_strategy": "simple"}, "stride"),
        ({"stride": 1, "aggregation_strategy": "none"}, "aggregation_strategy"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": "2"}, "batch_size"),
        ({"threads": 0}, "threads"),
        ({"threads": -1}, "threads"),
        ({"long_text": "cut"}, "truncate, windows, error"),
        ({"offset_unit": "bytes"}, "char, utf16, byte"),
        ({"word": "raw"}, "decoded, source"),
        ({"word_boundary": "space"}, "compat, tokenizer, unicode"),
        ({"scheme": "IOB1"}, "compat, IOB2, BIOES, BILOU"),
        ({"is_split_into_words": 1}, "is_split_into_words: expected True or False"),
        ({"delimiter": 5, "is_split_into_words": True}, "delimiter"),
        ({"offset_mapping": "x"}, "offset_mapping"),
        ({"offset_mapping": [[(0, 1)], [(0, 1)]]}, "offset_mapping: expected one list for each of 1"),
    ],
)
def test_options_that_token_classification_refuses(tiny: Tokens, options: dict[str, Any], part: str) -> None:
    inputs: Any = ["a b".split()] if options.get("is_split_into_words") is True else ["a b"]
    for call in (tiny, lambda inputs, **options: next(tiny.stream(inputs, **options))):
        with pytest.raises(ParameterError, match=part):
            call(inputs, **options)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"top_k": "2"}, "top_k"),
        ({"top_k": 1.5}, "top_k"),
        ({"function_to_apply": "relu"}, "default, sigmoid, softmax, none, got .relu."),
        ({"function_to_apply": 1}, "function_to_apply"),
        ({"truncation": "sometimes"}, "longest_first, only_first, only_second"),
        ({"max_length": 0}, "max_length"),
        ({"max_length": 67}, "max_length"),
        ({"max_length": 1}, "max_length"),
        ({"batch_size": 0}, "batch_size"),
        ({"threads": 0}, "threads"),
    ],
)
def test_options_that_text_classification_refuses(labels: Texts, options: dict[str, Any], part: str) -> None:
    with pytest.raises(ParameterError, match=part):
        labels(["a"], **options)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({}, "task"),
        ({"task": "summarization"}, "token-classification, ner, text-classification"),
        ({"task": "ner", "dtype": "float8"}, "dtype"),
        ({"task": "ner", "device": "cuda"}, "device: expected one of cpu"),
        ({"task": "ner", "quality": "high"}, "quality"),
        ({"task": "ner", "threads": 0}, "threads"),
        ({"task": "ner", "threads": 10**30}, "threads"),
        ({"task": "ner", "max_tokens": 2}, "max_tokens"),
        ({"task": "ner", "packed_cache": "no"}, "packed_cache"),
        ({"task": "ner", "encoder_from": object()}, "encoder_from"),
        ({"task": "ner", "aggregation_strategy": "foo"}, "aggregation_strategy"),
        ({"task": "sentiment-analysis", "top_k": "2"}, "top_k"),
    ],
)
def test_arguments_that_the_constructor_refuses(arguments: dict[str, Any], part: str) -> None:
    with pytest.raises(ParameterError, match=part):
        candlewick.pipeline(**arguments)


def test_an_unknown_keyword_is_a_type_error(tiny: Tokens, labels: Texts) -> None:
    for call in (
        lambda: tiny("a", nonsense=1),
        lambda: labels("a", aggregation_strategy="none"),
        lambda: candlewick.pipeline("ner", nonsense=1),
        lambda: labels.rank("a", ["b"], label="positive", nonsense=1),
    ):
        with pytest.raises(TypeError, match=r"nonsense|aggregation_strategy") as failed:
            call()
        assert not isinstance(failed.value, errors.CandlewickError)


def test_nothing_is_computed_when_one_input_is_bad(tiny: Tokens) -> None:
    seen = []
    with pytest.raises(InputTypeError):
        for item in tiny.stream(["fine", 5]):  # type: ignore[list-item]
            seen.append(item)
    assert seen == []


# Odd, but fine

ODD = {
    "empty": "",
    "spaces": " \t\n ",
    "nul": "Sarah\x00Parker \x00",
    "control": "".join(map(chr, range(32))),
    "bom": "\ufeffSarah",
    "replacement": "\ufffd" * 5,
    "noncharacter": "\uffff\U0010ffff",
    "combining": "e" + "\u0301" * 1000,
    "emoji": "👩‍👩‍👧‍👦" * 50,
    "right-to-left": "\u202eSarah\u202c שרה",
    "private": "\ue000",
    "newly assigned": "\U00016d40\u1c89\U0001ccf0\U0001fae9\U000105c0",
    "one huge word": "a" * 100_000,
    "digits": "1" * 5_000,
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
@pytest.mark.filterwarnings("ignore::candlewick.TruncationWarning")
def test_odd_texts(tiny: Tokens, labels: Texts, ner: Tokens, text: str) -> None:
    for strategy in ("none", "simple", "first", "average", "max"):
        for entity in tiny(text, aggregation_strategy=strategy, ignore_labels=[]):
            assert 0 <= entity["start"] <= entity["end"] <= len(text)
    assert isinstance(ner(text), list)
    assert len(labels(text, top_k=None, truncation=True)) == 3


def test_white_space_without_end(ner: Tokens) -> None:
    assert ner(" " * 2_000_000) == []
    text = "Call me Sarah." + " " * 2_000_000 + "\n" * 10 + "Or call me Jessica."
    assert [entity["start"] for entity in ner(text)] == [8, len(text) - 8]


@pytest.mark.filterwarnings("ignore::candlewick.TruncationWarning")
@pytest.mark.parametrize("name", ["bert-ner", "roberta-ner", "xlm-roberta-ner"])
def test_white_space_without_end_by_kind_of_tokenizer(name: str) -> None:
    """A regular expression that gives up on a long run would lose the text behind it."""
    pipe = candlewick.pipeline("ner", MODELS / name, aggregation_strategy="simple", ignore_labels=[], word="source")
    spaces = " " * 2_000_000
    for text in (spaces, "\n" * 2_000_000, "Sarah" + spaces + "Sarah"):
        for entity in pipe(text):
            assert 0 <= entity["start"] <= entity["end"] <= len(text)
    if name != "roberta-ner":  # its spaces are tokens, and fill the model's limit
        assert pipe("Sarah" + spaces + "Sarah")[-1]["end"] == 2_000_010


@pytest.mark.filterwarnings("ignore::candlewick.TruncationWarning")
def test_ten_megabytes(ner: Tokens) -> None:
    text = "My name is Sarah Jessica Parker but you can call me Jessica. " * (10_000_000 // 61)
    assert ner(text)[0]["start"] == 11


def test_a_cut_text_is_warned_of_once(tiny: Tokens, labels: Texts) -> None:
    long = "Sarah " * 100
    calls: list[Callable[[], Any]] = [
        lambda: tiny(["Sarah", long, long]),
        lambda: list(tiny.stream(["Sarah", long, long])),
        lambda: labels(["Sarah", long, long], truncation=True),
    ]
    for call in calls:
        with pytest.warns(candlewick.TruncationWarning, match=r"input 1 was cut from 102 to 48 tokens") as seen:
            call()
        (warning,) = seen
        assert isinstance(warning.message, candlewick.TruncationWarning)
        assert (warning.message.index, warning.message.kept, warning.message.total) == (1, 48, 102)
        assert warning.filename == __file__


def test_long_text(tiny: Tokens) -> None:
    long = "Sarah lives in London . " * 40
    with pytest.raises(InputError, match=r"input 1: 202 tokens .*limit is 48"):
        tiny(["a", long], long_text="error")
    windows = tiny(long, long_text="windows", aggregation_strategy="simple", ignore_labels=[])
    assert windows[-1]["end"] > len(long) - 10
    quarter = tiny(long, stride=46 // 4, aggregation_strategy="simple", ignore_labels=[])
    assert windows == quarter


def test_units_and_words(ner: Tokens) -> None:
    text = "😀 Zoë met Sarah Jessica Parker in Zürich"
    chars, utf16, byte = (ner(text, offset_unit=unit, word="source") for unit in ("char", "utf16", "byte"))
    assert chars
    for char, wide, raw in zip(chars, utf16, byte, strict=True):
        word = text[char["start"] : char["end"]]
        assert char["word"] == wide["word"] == raw["word"] == word
        assert text.encode("utf-16-le")[wide["start"] * 2 : wide["end"] * 2].decode("utf-16-le") == word
        assert text.encode()[raw["start"] : raw["end"]].decode() == word
