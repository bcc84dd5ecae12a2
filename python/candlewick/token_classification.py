"""Token classification: names, places, parts of speech."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from candlewick._base import BasePipeline, Request, not_empty, several, wrong_kind
from candlewick._native import TokenClassifier
from candlewick.errors import ParameterError

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from candlewick._native import Logits
    from candlewick.types import TokenClassificationOptions


class TokenClassificationPipeline(BasePipeline[TokenClassifier]):
    """Labels stretches of text. Made by `candlewick.pipeline("token-classification", …)`.

    Any number of threads may call one pipeline; the GIL is released while it computes.
    """

    task = "token-classification"

    def __call__(self, inputs: Any, **options: Unpack[TokenClassificationOptions]) -> Any:
        """Answer one text, a list of texts, or lazily any other iterable of texts.

        Args:
            inputs: A `str` gives a list of entities, a list gives a list of such lists, any other iterable gives an
                iterator over them. With `is_split_into_words=True`, a text is a list of words.
            **options: `aggregation_strategy` ("none", "simple", "first", "average", "max"), `ignore_labels`
                (default `["O"]`), `stride` (tokens that the windows of a long text share), `is_split_into_words`,
                `delimiter`, `offset_mapping`, `batch_size` (most texts per forward pass, and how far an iterator
                reads ahead), `threads`, `long_text` ("truncate", "windows", "error"), `offset_unit` ("char", "utf16",
                "byte"), `word` ("decoded", "source"), `word_boundary` ("compat", "tokenizer", "unicode") and `scheme`
                ("compat", "IOB2", "BIOES", "BILOU"). They win over those given to the constructor.

        Returns:
            Entities in the order of the text: `entity` or `entity_group`, `score` (probability, 0 to 1), `index` (with
            "none" only), `word`, `start` and `end` (half-open, in code points unless `offset_unit` says otherwise).

        Raises:
            InputError: The list is empty, or a text is longer than the model reads and `long_text="error"`.
            InputTypeError: An input is of the wrong kind.
            ParameterError: An option's value is not allowed.

        Warns:
            TruncationWarning: A text was cut at the model's limit.

        >>> import candlewick
        >>> ner = candlewick.pipeline("ner", aggregation_strategy="simple")
        >>> [(entity["entity_group"], entity["start"], entity["end"]) for entity in ner("Call me Jessica")]
        [('PER', 8, 15)]
        """
        return self._answer(inputs, dict(options))

    def stream(
        self, inputs: Iterable[Any], **options: Unpack[TokenClassificationOptions]
    ) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """Yield `(position, entities)` as texts finish, which is not always their order.

        Options and errors are those of a call.
        """
        given = dict(options)
        self._check(given)
        merged = self._options(given)
        if isinstance(inputs, list):
            inputs, _ = self._texts(inputs, merged)
        elif not several(inputs):
            raise wrong_kind(None, "a list or another iterable of texts", inputs)
        return self._as_finished(inputs, merged)

    def logits(self, inputs: Any, **options: Unpack[TokenClassificationOptions]) -> Any:
        """What post-processing starts from: one object for a text, a list of them for a list.

        Each has `values` (numpy float32, `[tokens, labels]`), `offsets` (numpy int64, `[tokens, 2]`, code points),
        `tokens` and `special_tokens_mask`; of a long text, its first window.
        """
        merged = self._options(dict(options))
        texts, wrapped = self._texts(inputs, merged)
        found: list[Logits] = self._native.logits(self._items(texts, merged), **self._native_options(merged))
        return found if wrapped else found[0]

    def _texts(self, inputs: Any, options: dict[str, Any]) -> tuple[list[Any], bool]:
        """The inputs as a list, and whether the answer is a list of answers."""
        split = bool(options.get("is_split_into_words"))
        if isinstance(inputs, list):
            not_empty(inputs)
            # One list of words is one input; the reference answers it in a list nevertheless.
            words = split and not isinstance(inputs[0], list)
            return ([inputs] if words else inputs), True
        if isinstance(inputs, tuple):
            raise wrong_kind(None, "a text or a list of texts (pairs are for text classification)", inputs)
        if split or not isinstance(inputs, str):
            raise wrong_kind(None, "a list of words" if split else "a string or a list of strings", inputs)
        return [inputs], False

    def _request(self, inputs: Any, given: dict[str, Any]) -> Request:
        _refuse_stride_alone(given)
        options = self._options(given)
        texts, wrapped = self._texts(inputs, options)
        return Request(texts, options, list if wrapped else itemgetter(0))

    def _items(self, inputs: list[Any], options: dict[str, Any]) -> list[Any]:
        return inputs

    def _native_options(self, options: dict[str, Any]) -> dict[str, Any]:
        mapping = options.get("offset_mapping")
        if mapping and isinstance(mapping, (list, tuple)) and isinstance(mapping[0], tuple):
            return {**options, "offset_mapping": [mapping]}  # a flat list of pairs is that of one text
        return options

    def _check(self, given: dict[str, Any]) -> None:
        _refuse_stride_alone(given)
        super()._check({key: value for key, value in given.items() if key != "offset_mapping"})


def _refuse_stride_alone(given: dict[str, Any]) -> None:
    """Windows are merged by group, so asking for both stride and single tokens in one step is refused."""
    strategy = given.get("aggregation_strategy")
    if given.get("stride") is not None and isinstance(strategy, str) and strategy.lower() == "none":
        raise ParameterError(
            "aggregation_strategy: expected one of simple, first, average, max together with stride, got 'none'"
        )
