"""Shapes of answers, logits, rankings, streams; what a pipeline says of itself; closing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import candlewick
from candlewick import _native
from candlewick.errors import BackendError, InputError, ParameterError

MODELS = Path(__file__).parent / "golden" / "models"
Tokens = candlewick.TokenClassificationPipeline
Texts = candlewick.TextClassificationPipeline


def test_entities_by_kind_of_input(tiny: Tokens) -> None:
    alone = tiny("Sarah lives in London", ignore_labels=[])
    assert [list(entity) for entity in alone] == [["entity", "score", "index", "word", "start", "end"]] * len(alone)
    assert tiny(["Sarah lives in London"], ignore_labels=[]) == [alone]
    assert list(tiny(iter(["Sarah lives in London"]), ignore_labels=[])) == [alone]
    grouped = tiny("Sarah lives in London", aggregation_strategy="simple", ignore_labels=[])
    assert list(grouped[0]) == ["entity_group", "score", "word", "start", "end"]
    words = tiny(["Sarah", "lives"], is_split_into_words=True, ignore_labels=[])
    assert len(words) == 1 and isinstance(words[0], list)


def test_labels_by_kind_of_input(labels: Texts) -> None:
    (best,) = labels("fine")
    assert list(best) == ["label", "score"] and type(best["score"]) is float
    assert labels(["fine"]) == [best]
    assert labels({"text": "fine"}) == best
    assert labels({"text": "fine", "text_pair": None}) == best
    assert labels(("fine", "")) == best
    assert labels("fine", top_k=1) == [best]
    assert labels(["fine", "fine"], top_k=2) == [labels("fine", top_k=2)] * 2
    assert [entry["score"] for entry in labels("fine", top_k=None)] == sorted(
        (entry["score"] for entry in labels("fine", top_k=99)), reverse=True
    )
    pair = labels({"text": "fine", "text_pair": "bad"}, top_k=None)
    assert pair == labels(("fine", "bad"), top_k=None) == labels([[["fine", "bad"]]], top_k=None)[0]
    assert pair != labels("fine", top_k=None)


def test_a_lazy_iterable_is_not_read_ahead(tiny: Tokens, labels: Texts) -> None:
    read: list[int] = []

    def texts() -> Any:
        for number in range(100):
            read.append(number)
            yield f"text {number}"

    for pipe in (tiny, labels):
        read.clear()
        answers = pipe(texts())
        assert read == []
        next(answers)
        assert read == [0]
        answers = pipe(texts(), batch_size=8)
        next(answers)
        assert len(read) == 9
        assert len(list(answers)) == 99


def test_a_lazy_iterable_checks_options_at_once(tiny: Tokens) -> None:
    with pytest.raises(ParameterError, match="foo"):
        tiny(iter(["a"]), aggregation_strategy="foo")


def test_defaults_lose_against_the_call() -> None:
    pipe = candlewick.pipeline(
        "ner", MODELS / "bert-ner", aggregation_strategy="simple", ignore_labels=[], batch_size=2
    )
    assert "entity_group" in pipe("Sarah")[0]
    assert "entity" in pipe("Sarah", aggregation_strategy="none")[0]
    assert pipe("Sarah", aggregation_strategy=None)[0].keys() == pipe("Sarah", aggregation_strategy="none")[0].keys()


def test_batches_never_change_results(tiny: Tokens, labels: Texts) -> None:
    texts = ["Sarah lives in London . " * (1 + number % 9) for number in range(40)]
    for pipe, options in ((tiny, {"ignore_labels": []}), (labels, {"top_k": None})):
        whole = pipe(texts, **options)
        for more in ({"batch_size": 1}, {"batch_size": 3}, {"threads": 1}, {"threads": 4}):
            assert pipe(texts, **options, **more) == whole


def test_a_stream_gives_every_answer_once(tiny: Tokens, labels: Texts) -> None:
    texts = ["Sarah lives in London . " * (1 + number * 7 % 9) for number in range(50)]
    for pipe in (tiny, labels):
        whole = pipe(texts, **({"truncation": True} if pipe is labels else {}))
        for inputs in (texts, iter(texts)):
            answers = dict(pipe.stream(inputs))
            assert sorted(answers) == list(range(50))
            assert [answers[index] for index in range(50)] == whole
    stream = tiny.stream(texts)
    next(stream)
    del stream  # leaving early is fine


def test_logits_are_what_answers_are_made_of(tiny: Tokens, labels: Texts) -> None:
    found = tiny.logits("Sarah lives in Zürich")
    count = len(found.tokens)
    assert found.values.shape == (count, len(tiny.labels)) and found.values.dtype == np.float32
    assert found.offsets.shape == (count, 2) and found.offsets.dtype == np.int64
    assert found.special_tokens_mask.tolist() == [True] + [False] * (count - 2) + [True]
    assert found.tokens[0] == "[CLS]" and found.tokens[-1] == "[SEP]"
    odds = np.exp(found.values[1:-1] - found.values[1:-1].max(1, keepdims=True))
    scores = (odds / odds.sum(1, keepdims=True)).max(1)
    answers = tiny("Sarah lives in Zürich", ignore_labels=[])
    assert [answer["score"] for answer in answers] == pytest.approx(scores.tolist(), abs=1e-6)
    assert [[answer["start"], answer["end"]] for answer in answers] == found.offsets[1:-1].tolist()

    one, two = labels.logits(["fine", {"text": "fine", "text_pair": "bad"}])
    assert one.values.shape == two.values.shape == (3,)
    assert len(two.tokens) > len(one.tokens)


def test_logits_are_not_copied(tiny: Tokens) -> None:
    found = tiny.logits("Sarah")
    assert found.values.base is not None
    assert found.values.ctypes.data == found.values.ctypes.data
    values = found.values
    del found
    assert np.isfinite(values).all()  # the array keeps what it shows


def test_a_ranking_of_many_has_the_scores_of_each_pair_alone() -> None:
    with candlewick.pipeline(model=MODELS / "bert-rerank") as rerank:
        documents = [f"Number {at} lives in {'New ' * (at % 9)}York" for at in range(400)]
        places = rerank.rank("Who lives in London?", documents)
        assert sorted(place["index"] for place in places) == list(range(400))
        assert places == sorted(places, key=lambda place: (-place["score"], place["index"]))
        for place in places[::40]:
            pair = {"text": "Who lives in London?", "text_pair": documents[place["index"]]}
            assert rerank(pair)["score"] == place["score"]


def test_ranking(labels: Texts) -> None:
    rerank = candlewick.pipeline(model=MODELS / "bert-rerank")
    documents = ["Paris is a city", "London", "a cat", "London"]
    places = rerank.rank("Where is London?", documents)
    assert sorted(place["index"] for place in places) == [0, 1, 2, 3]
    scores = [place["score"] for place in places]
    assert scores == sorted(scores, reverse=True) and all(0 <= score <= 1 for score in scores)
    order = [place["index"] for place in places]
    assert order.index(1) + 1 == order.index(3), "equal documents keep their order"
    for place in places:
        pair = {"text": "Where is London?", "text_pair": documents[place["index"]]}
        assert rerank(pair)["score"] == pytest.approx(place["score"], abs=1e-6)
    short = rerank.rank("Where is London?", documents, top_k=2, return_documents=True)
    assert short == [{**place, "text": documents[place["index"]]} for place in places[:2]]
    with pytest.raises(InputError, match="empty"):
        rerank.rank("a", [])
    with pytest.raises(ParameterError, match="top_k"):
        rerank.rank("a", ["b"], top_k=0)
    with pytest.raises(ParameterError, match="label: expected one of negative, neutral, positive"):
        labels.rank("a", ["b"])
    assert len(labels.rank("a", ["b", "c"], label="positive")) == 2


def test_what_a_pipeline_says_of_itself(tiny: Tokens) -> None:
    assert tiny.task == "token-classification"
    assert tiny.labels[:2] == ["O", "B-MISC"]
    assert (tiny.max_tokens, tiny.model_type) == (48, "bert")
    assert tiny.info["dtype"] == "float32"
    assert tiny.info["isa"] in _native.machine(False)["available"]
    assert tiny.info["threads"] >= 1
    assert "bert-ner" in repr(tiny)
    tiny.warmup()


def test_max_tokens_is_a_cap() -> None:
    pipe = candlewick.pipeline("ner", MODELS / "bert-ner", max_tokens=8)
    assert pipe.max_tokens == 8
    with pytest.warns(candlewick.TruncationWarning, match="to 8 tokens"):
        assert len(pipe("Sarah " * 20, ignore_labels=[])) == 6
    assert candlewick.pipeline("ner", MODELS / "bert-ner", max_tokens=10_000).max_tokens == 48


def test_a_closed_pipeline_says_so() -> None:
    with candlewick.pipeline("ner", MODELS / "bert-ner") as pipe:
        assert isinstance(pipe("Sarah"), list)
    pipe.close()
    for call in (
        lambda: pipe("Sarah"),
        lambda: pipe.logits("Sarah"),
        lambda: pipe.query({"inputs": "Sarah"}),
        lambda: pipe.labels,
    ):
        with pytest.raises(BackendError, match="closed"):
            call()
