"""The shapes of requests, options and results, for type checkers."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

__all__ = [
    "AggregationStrategy",
    "Entity",
    "EntityGroup",
    "Label",
    "Ranked",
    "Request",
    "TextClassificationOptions",
    "TextClassificationParameters",
    "TextPair",
    "TokenClassificationOptions",
    "TokenClassificationParameters",
]

AggregationStrategy = Literal["none", "simple", "first", "average", "max"]


class Entity(TypedDict):
    """One token, as `aggregation_strategy="none"` answers it."""

    entity: str
    score: float
    index: int
    word: str
    start: int
    end: int


class EntityGroup(TypedDict):
    """A group of tokens, as every other strategy answers it."""

    entity_group: str
    score: float
    word: str
    start: int
    end: int


class Label(TypedDict):
    """A label and its score."""

    label: str
    score: float


class _Ranked(TypedDict):
    index: int
    score: float


class Ranked(_Ranked, total=False):
    """One document's place in a ranking; `text` only with `return_documents=True`."""

    text: str


class _TextPair(TypedDict):
    text: str


class TextPair(_TextPair, total=False):
    """A text and the text that is read with it."""

    text_pair: str | None
    truncation: bool | str
    max_length: int


class TokenClassificationOptions(TypedDict, total=False):
    """Options of a token classification call; `None` is "not given"."""

    aggregation_strategy: str | None
    ignore_labels: list[str | None] | None
    stride: int | None
    is_split_into_words: bool | None
    delimiter: str | None
    offset_mapping: list[Any] | None
    batch_size: int | None
    threads: int | None
    long_text: str | None
    offset_unit: str | None
    word: str | None
    word_boundary: str | None
    scheme: str | None


class TextClassificationOptions(TypedDict, total=False):
    """Options of a text classification call; `None` is "not given", but for `top_k` it is "all"."""

    top_k: int | None
    function_to_apply: str | None
    truncation: bool | str | None
    max_length: int | None
    batch_size: int | None
    threads: int | None


class TokenClassificationParameters(TypedDict, total=False):
    """`parameters` of an Inference API request for token classification."""

    aggregation_strategy: str | None
    ignore_labels: list[str] | None
    stride: int | None
    is_split_into_words: bool | None
    delimiter: str | None


class TextClassificationParameters(TypedDict, total=False):
    """`parameters` of an Inference API request for text classification."""

    top_k: int | None
    function_to_apply: str | None
    return_all_scores: bool | None
    truncation: bool | str | None
    max_length: int | None
    padding: bool | str | None


class _Request(TypedDict):
    inputs: Any


class Request(_Request, total=False):
    """The body of an Inference API request."""

    parameters: TokenClassificationParameters | TextClassificationParameters | None
    options: dict[str, Any] | None
    stream: bool
