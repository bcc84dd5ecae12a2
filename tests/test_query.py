"""Bodies of Inference API requests and what comes back."""

from __future__ import annotations

import math
from typing import Any

import pytest

import candlewick
from candlewick.errors import InputError, InputTypeError, ParameterError

Tokens = candlewick.TokenClassificationPipeline
Texts = candlewick.TextClassificationPipeline


def test_entities(ner: Tokens) -> None:
    text = "My name is Sarah Jessica Parker but you can call me Jessica"
    found = ner.query({"inputs": text})
    assert [(entity["entity_group"], entity["start"], entity["end"]) for entity in found] == [
        ("PER", 11, 31),
        ("PER", 52, 59),
    ]
    assert list(found[0]) == ["entity_group", "score", "word", "start", "end"]
    assert found == ner(text)
    tokens = ner.query({"inputs": text, "parameters": {"aggregation_strategy": "NONE"}})
    assert list(tokens[0]) == ["entity", "score", "index", "word", "start", "end"]
    assert ner.query({"inputs": [text, ""]}) == [found, []]
    assert ner.query({"inputs": [text]}) == [found]


def test_labels(labels: Texts) -> None:
    alone = labels("fine", top_k=None)
    pair = labels(("fine", "bad"), top_k=None)
    body = {"text": "fine", "text_pair": "bad"}
    assert labels.query({"inputs": "fine"}) == [alone]
    assert labels.query({"inputs": ["fine", "fine"]}) == [alone] * 2
    assert labels.query({"inputs": body}) == [pair]
    assert labels.query({"inputs": ["fine", body]}) == [alone, pair]
    assert labels.query({"inputs": [[["fine", "bad"]]]}) == [pair]
    assert labels.query({"inputs": "fine", "parameters": {"top_k": 1}}) == [alone[:1]]
    assert labels.query({"inputs": "fine", "parameters": {"top_k": 2.0}}) == [alone[:2]]
    assert labels.query({"inputs": "fine", "parameters": {"top_k": None}}) == [alone]
    raw = labels.query({"inputs": "fine", "parameters": {"function_to_apply": "none"}})
    assert raw == [labels("fine", top_k=None, function_to_apply="none")]


def test_defaults_are_the_wires_and_not_the_constructors() -> None:
    pipe = candlewick.pipeline("ner", aggregation_strategy="none")
    assert "entity_group" in pipe.query({"inputs": "Call me Jessica"})[0]


@pytest.mark.parametrize(
    ("body", "error", "part"),
    [
        ({}, InputError, "inputs"),
        ({"inputs": None}, InputError, "inputs"),
        ({"inputs": 5}, InputError, "inputs"),
        ({"inputs": []}, InputError, "empty"),
        ({"inputs": ["a", 5]}, InputError, "input 1"),
        ({"inputs": {"text": "a"}}, InputError, "input 0"),
        ({"inputs": "a", "parameters": []}, ParameterError, "parameters"),
        ({"inputs": "a", "parameters": {"aggregation_strategy": "foo"}}, ParameterError, "none, simple, first"),
        ({"inputs": "a", "parameters": {"stride": 1_000}}, ParameterError, "stride"),
        ({"inputs": "a", "parameters": {"stride": "1"}}, ParameterError, "stride"),
        ({"inputs": "a", "parameters": {"stride": 1, "aggregation_strategy": "none"}}, ParameterError, "stride"),
        ({"inputs": "a", "parameters": {"ignore_labels": "O"}}, ParameterError, "ignore_labels"),
        (
            {"inputs": "a", "parameters": {"top_k": 1}},
            ParameterError,
            "parameters: .* only aggregation_strategy.* got .top_k.",
        ),
        ({"inputs": "a", "stream": "yes"}, ParameterError, "stream"),
    ],
)
def test_bodies_that_token_classification_refuses(ner: Tokens, body: Any, error: type[Exception], part: str) -> None:
    with pytest.raises(error, match=part):
        ner.query(body)


@pytest.mark.parametrize(
    ("parameters", "part"),
    [
        ({"top_k": 0}, "top_k"),
        ({"top_k": -1}, "top_k"),
        ({"top_k": "2"}, "top_k"),
        ({"top_k": True}, "top_k"),
        ({"function_to_apply": "relu"}, "function_to_apply"),
        ({"truncation": "sometimes"}, "truncation"),
        ({"max_length": 0}, "max_length"),
        ({"top_k": 0, "function_to_apply": "relu"}, "top_k.*function_to_apply"),
    ],
)
def test_parameters_that_text_classification_refuses(labels: Texts, parameters: Any, part: str) -> None:
    with pytest.raises(ParameterError, match=part):
        labels.query({"inputs": "a", "parameters": parameters})


def test_what_json_cannot_hold(ner: Tokens) -> None:
    for body, error in [
        ({"inputs": b"bytes"}, InputTypeError),
        ({"inputs": "a", "parameters": {"stride": math.nan}}, InputError),
        ({"inputs": "\ud800"}, InputError),
    ]:
        with pytest.raises(error, match=r"body|surrogate"):
            ner.query(body)


def test_a_list_that_is_too_deep(ner: Tokens) -> None:
    deep: Any = "a"
    for _ in range(400):
        deep = [deep]
    with pytest.raises(InputError):
        ner.query({"inputs": deep})


def test_warnings(ner: Tokens, labels: Texts) -> None:
    with pytest.warns(UserWarning, match="truncat") as seen:
        ner.query({"inputs": ["fine", "Sarah " * 2_000]})
    assert len(seen) == 1 and seen[0].filename == __file__
    with pytest.warns(UserWarning, match="nonsense"):
        labels.query({"inputs": "a", "parameters": {"nonsense": 1}})


def test_a_text_over_the_limit(labels: Texts) -> None:
    long = {"inputs": "Sarah " * 100}
    with pytest.raises(InputError, match="102 tokens"):
        labels.query({**long, "parameters": {"truncation": False}})
    with pytest.warns(UserWarning, match="truncat"):
        labels.query(long)
    with pytest.warns(UserWarning, match="truncat"):
        labels.query({**long, "parameters": {"truncation": True}})


def test_any_number_of_inputs(ner: Tokens) -> None:
    assert len(ner.query({"inputs": ["Call me Jessica"] * 2_000})) == 2_000
