"""Comparing a model's answers with those of the library it was made with.

`transformers_` and `flair_` compute a reference, `saved` keeps it on disk for machines without that library, `compare`
finds the worst differences, `texts` are what is compared if the user names nothing else.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

#: A text, or two that are read together.
Text: TypeAlias = "str | tuple[str, str]"
#: Those of the reference: every one of them is compared.
STRATEGIES = ("none", "simple", "first", "average", "max")
#: The `model_type` of flair's taggers.
TAGGER = "flair"


class VerificationError(Exception):
    """There is no reference, or none that can be used; the message says how to get one."""


class Result(NamedTuple):
    """What a reference makes of one text."""

    tokens: list[str]
    offsets: list[list[int]]
    #: A row for each token, or one for the text; a tagger's emissions.
    logits: list[list[float]]
    #: Entities by strategy, or labels under `labels`.
    answers: dict[str, list[dict[str, Any]]]


class Reference(NamedTuple):
    """What a library makes of texts, in float32."""

    by: str
    task: str
    texts: list[Text]
    results: list[Result]
