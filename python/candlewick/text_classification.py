"""Text classification: sentiment, moderation, relevance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from candlewick._base import BasePipeline, Request, not_empty, several, wrong_kind
from candlewick._native import TextClassifier
from candlewick.errors import InputError, ParameterError

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from candlewick._native import Logits
    from candlewick.types import Ranked, TextClassificationOptions

#: Keys of a dictionary that are options of its own text, as in the reference.
_OWN_OPTIONS = ("truncation", "max_length")


class TextClassificationPipeline(BasePipeline[TextClassifier]):
    """Labels whole texts and pairs of texts. Made by `candlewick.pipeline("text-classification", …)`.

    Any number of threads may call one pipeline; the GIL is released while it computes.
    """

    task = "text-classification"

    def __call__(self, inputs: Any, **options: Unpack[TextClassificationOptions]) -> Any:
        """Answer one text or pair, a list of them, or lazily any other iterable.

        Args:
            inputs: A `str`; a pair as `{"text": …, "text_pair": …}` or as a tuple of two strings; a list of these; any
                other iterable of these, which gives an iterator.
            **options: `top_k` (how many labels, `None` for all), `function_to_apply` ("sigmoid", "softmax", "none",
                "default"), `truncation` (`True` or "longest_first", "only_first", "only_second"), `max_length`,
                `batch_size` (most texts per forward pass, and how far an iterator reads ahead), `threads`. They win
                over those given to the constructor.

        Returns:
            As the transformers pipeline, shape by shape: without `top_k`, `[{"label", "score"}]` for a `str`, a bare
            dictionary for a pair and a list of dictionaries for a list; with `top_k`, lists of dictionaries, best
            first.

        Raises:
            InputError: The list is empty, or a text is longer than the model reads and `truncation` is off.
            InputTypeError: An input is of the wrong kind.
            ParameterError: An option's value is not allowed.

        Warns:
            TruncationWarning: A text was cut at the limit.

        >>> import candlewick
        >>> sentiment = candlewick.pipeline("sentiment-analysis")
        >>> sentiment("What a wonderful evening!")[0]["label"]
        'positive'
        """
        return self._answer(inputs, dict(options))

    def stream(self, inputs: Iterable[Any], **options: Unpack[TextClassificationOptions]) -> Iterator[tuple[int, Any]]:
        """Yield `(position, answer)` as inputs finish, which is not always their order.

        Answers are those of a list; options and errors are those of a call.
        """
        self._check(dict(options))
        merged = self._options(dict(options))
        if not several(inputs):
            raise wrong_kind(None, "a list or another iterable of texts", inputs)
        if isinstance(inputs, list):
            inputs = _pairs_of_old(not_empty(inputs))
        return self._as_finished(inputs, merged)

    def logits(self, inputs: Any, **options: Unpack[TextClassificationOptions]) -> Any:
        """What post-processing starts from: one object for a text or pair, a list of them for a list.

        Each has `values` (numpy float32, `[labels]`), `offsets` (numpy int64, `[tokens, 2]`, code points), `tokens` and
        `special_tokens_mask`.
        """
        merged = self._options(dict(options))
        items = not_empty(inputs) if isinstance(inputs, list) else [inputs]
        found: list[Logits] = self._native.logits(self._items(items, merged), **merged)
        return found if isinstance(inputs, list) else found[0]

    def rank(
        self,
        query: str,
        documents: Iterable[str],
        *,
        top_k: int | None = None,
        return_documents: bool = False,
        label: str | None = None,
    ) -> list[Ranked]:
        """Order documents by how well they answer a query, best first.

        Args:
            query: The first text of every pair.
            documents: The second texts.
            top_k: How many places to give; `None` for all.
            return_documents: Whether each place holds its text.
            label: The label whose score counts; needed unless the model has just one.

        Returns:
            `{"index", "score"[, "text"]}` for each place; documents of equal score keep their order.

        Raises:
            InputError: There are no documents, or a pair is longer than the model reads.
            ParameterError: The model has several labels and none of them was chosen.
        """
        labels = self.labels
        if label is None and len(labels) == 1:
            label = labels[0]
        if label not in labels:
            raise ParameterError(f"label: expected one of {', '.join(labels)}, got {label!r}")
        if top_k is not None and (isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1):
            raise ParameterError(f"top_k: expected a whole number of at least 1, got {top_k!r}")
        texts = not_empty(list(documents))
        answers = self._run(Request([(query, text) for text in texts], {**self._defaults, "top_k": None}, list))
        scores = [next(entry["score"] for entry in answer if entry["label"] == label) for answer in answers]
        places = sorted(range(len(texts)), key=lambda index: -scores[index])[:top_k]
        ranking: list[Ranked] = [{"index": index, "score": scores[index]} for index in places]
        if return_documents:
            for place in ranking:
                place["text"] = texts[place["index"]]
        return ranking

    def _request(self, inputs: Any, given: dict[str, Any]) -> Request:
        options = self._options(given)
        if isinstance(inputs, list):
            return Request(_pairs_of_old(not_empty(inputs)), options, list)
        # The reference wraps the answer to a lone string unless this call says `top_k`.
        wrapped = isinstance(inputs, str) and "top_k" not in given
        return Request([inputs], options, list if wrapped else itemgetter(0))

    def _parts(self, request: Request) -> list[tuple[slice, dict[str, Any]]]:
        own = [_own_options(item) for item in request.inputs]
        if not any(own):
            return super()._parts(request)
        return [(slice(index, index + 1), {**request.options, **more}) for index, more in enumerate(own)]

    def _listed(self, result: Any, options: dict[str, Any]) -> Any:
        return result if "top_k" in options else result[0]

    def _native_options(self, options: dict[str, Any]) -> dict[str, Any]:
        return options if "top_k" in options else {**options, "top_k": 1}

    def _items(self, inputs: list[Any], options: dict[str, Any]) -> list[Any]:
        return [_pair(index, item) for index, item in enumerate(inputs)]


def _own_options(item: Any) -> dict[str, Any]:
    return {key: item[key] for key in _OWN_OPTIONS if key in item} if isinstance(item, Mapping) else {}


def _pair(index: int, item: Any) -> tuple[Any, Any]:
    """One input as text and second text; an empty second text is none, as in the reference."""
    if isinstance(item, str):
        return item, None
    if isinstance(item, Mapping):
        unknown = [key for key in item if key not in ("text", "text_pair", *_OWN_OPTIONS)]
        if unknown or "text" not in item:
            got = f"the keys {', '.join(map(repr, item))}" if item else "an empty dictionary"
            raise InputError(f"input {index}: expected a dictionary with text and perhaps text_pair, got {got}")
        return item["text"], item.get("text_pair") or None
    if isinstance(item, tuple) and len(item) == 2:
        return item[0], item[1] or None
    if isinstance(item, list):
        raise InputError(
            f"input {index}: expected a text or a pair, got a list; "
            'a pair is {"text": "My text", "text_pair": "My pair"} or a tuple of two strings'
        )
    raise wrong_kind(index, "a string, a pair of strings or a dictionary with text and text_pair", item)


def _pairs_of_old(inputs: list[Any]) -> list[Any]:
    """`[[["a", "b"]], …]`, how pairs were written before dictionaries; any other list as it is."""
    first = inputs[0]
    if not (isinstance(first, list) and first and isinstance(first[0], list)):
        return inputs
    if not all(
        isinstance(item, list) and len(item) == 1 and isinstance(item[0], list) and len(item[0]) == 2 for item in inputs
    ):
        raise InputError("inputs: expected a list of [[text, text_pair]], got lists of other lengths")
    return [tuple(item[0]) for item in inputs]
