"""Checked by mypy in strict mode, never run: the types that users of the package meet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typing_extensions import assert_type

import candlewick
from candlewick.types import Ranked, Request, TextClassificationOptions, TokenClassificationOptions

ner = candlewick.pipeline("ner", model="some/model", aggregation_strategy="simple")
assert_type(ner, candlewick.TokenClassificationPipeline)
sentiment = candlewick.pipeline("sentiment-analysis", threads=2)
assert_type(sentiment, candlewick.TextClassificationPipeline)
either = candlewick.pipeline(model="some/model")
assert_type(either, candlewick.TokenClassificationPipeline | candlewick.TextClassificationPipeline)

assert_type(ner.labels, list[str])
assert_type(sentiment.rank("a", ["b"], return_documents=True), list[Ranked])
assert_type(ner.stream(["a"], stride=4), Iterator[tuple[int, list[dict[str, Any]]]])
ner("a", aggregation_strategy="first", ignore_labels=["O", None])
sentiment("a", top_k=None, function_to_apply="sigmoid", truncation="only_first")
request: Request = {"inputs": "a", "parameters": {"stride": 1}}
ner.query(request)
token_options: TokenClassificationOptions = {"word": "source", "offset_unit": "utf16"}
ner("a", **token_options)
text_options: TextClassificationOptions = {"top_k": 3}
with sentiment as pipe:
    pipe("a", **text_options)

ner("a", strategy="first")  # type: ignore[call-arg]
ner("a", stride="4")  # type: ignore[arg-type]
sentiment("a", aggregation_strategy="first")  # type: ignore[call-arg]
