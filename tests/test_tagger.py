"""A tagger of flair through the whole product: the server, cancelled calls, threads, the command; texts of any kind."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from serving import command, connect, measured, post, refused
from test_cli import lines, run
from test_concurrency import script
from test_flair import folder, sentences

import candlewick
from candlewick.errors import InputError

GOLDEN = Path(__file__).parent / "golden" / "flair"
MODEL = GOLDEN / "ner" / "model"
TEXT = "Ada Lovelace met Charles Babbage in London."
STRATEGIES = ["none", "simple", "first", "average", "max"]
#: One word, whose characters are a step each: it takes seconds, in which a call can be stopped between two of them.
HUGE = "a" * 4_000_000
WAITS = {"x-wait-for-model": "1"}
UNCACHED = {"x-use-cache": "0"}

#: Text and number of its entities where that is known.
KINDS = {
    "nothing": ("", 0),
    "white space": (" \n\t\u3000\u00a0\u2028" * 100, 0),
    "a megabyte of white space": (" \n\t\u3000\u00a0" * 125_000, 0),
    "zeros": ("\0" * 1_000, None),
    "emoji": ("😀 👩‍👩‍👧 🇩🇪 👍🏽" * 500, None),
    "emoji without a space": ("😀" * 20_000, None),
    "mixed scripts": ("Ada 東京に住むサラ محمد يعيش في القاهرة Αθήνα กรุงเทพ दिल्ली e\u0301 😀. " * 100, None),
    "full stops": ("." * 20_000, None),
    "a megabyte of words": (TEXT * 24_000, None),
    "a word of a megabyte": ("a" * 1_000_000, None),
}


@pytest.fixture(scope="module")
def tagger() -> candlewick.TokenClassificationPipeline:
    """The tagger in process."""
    return candlewick.pipeline("ner", model=MODEL)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The tagger served from flair's own file."""
    model = folder(GOLDEN / "ner" / "pytorch_model.bin", tmp_path_factory.mktemp("served") / "tagger")
    with command(str(model), "--log-level", "off", "--target-latency", "60000") as (_, url):
        post(url, {"inputs": TEXT}, **WAITS)
        yield url


def stream(url: str, body: Any) -> list[Any]:
    """The events of a response."""
    request = urllib.request.Request(url, json.dumps({**body, "stream": True}).encode())
    with urllib.request.urlopen(request, timeout=60) as response:
        events = response.read().decode().strip().split("\n\n")
    assert events.pop() == "data: [DONE]"
    return [json.loads(event.removeprefix("data: ")) for event in events if not event.startswith(":")]


def test_every_route_serves_it(url: str, tagger: candlewick.TokenClassificationPipeline) -> None:
    texts = [case["text"] for case in sentences("ner") if isinstance(case["text"], str)]
    expected = tagger(texts)
    assert sum(map(len, expected)) > 20
    for route in ("", "/models/tagger", "/pipeline/token-classification", "/hf-inference/models/tagger/"):
        assert post(url + route, {"inputs": texts[0]}) == expected[0]
        assert post(url + route, {"inputs": texts}) == expected
    assert post(url, {"inputs": ["", " \n", "😀 " + TEXT]}) == [[], [], tagger("😀 " + TEXT)]
    assert stream(url, {"inputs": texts[0]}) == expected[0]
    events = stream(url, {"inputs": texts})
    assert sorted(event["index"] for event in events) == list(range(len(texts)))
    assert all(event["outputs"] == expected[event["index"]] for event in events)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_is_answered_with_spans(url: str, strategy: str) -> None:
    spans = post(url, {"inputs": TEXT, "parameters": {"aggregation_strategy": strategy}}, **UNCACHED)
    assert spans == post(url, {"inputs": TEXT})
    assert {"entity_group", "score", "word", "start", "end"} == set(spans[0])
    assert all(span["word"] == TEXT[span["start"] : span["end"]] for span in spans)
    label = spans[0]["entity_group"]
    ignored = {"aggregation_strategy": strategy, "ignore_labels": [label]}
    left = post(url, {"inputs": TEXT, "parameters": ignored})
    assert left == [span for span in spans if span["entity_group"] != label] != spans


def test_what_it_can_not_do_is_a_clients_error(url: str) -> None:
    for more in ({}, {"stream": True}, {"parameters": {"aggregation_strategy": "simple"}}):
        parameters = {**more.get("parameters", {}), "stride": 2}
        status, body = refused(url, {"inputs": TEXT, **more, "parameters": parameters})
        assert (status, body["error_type"]) == (400, "Validation")
        assert "stride: expected none for this model, which reads texts as a whole, got 2" in body["error"]
    assert refused(url, {"inputs": [TEXT, 5]})[0] == 400
    assert refused(f"{url}/pipeline/text-classification", {"inputs": TEXT})[0] == 422
    status, body = refused(f"{url}/predict", {"inputs": TEXT})
    assert (status, body["error_type"]) == (424, "Backend")
    assert post(url, {"inputs": TEXT, "parameters": {"stride": None}}) == post(url, {"inputs": TEXT})


def test_clients_at_the_same_time_get_what_each_would_get_alone(
    url: str, tagger: candlewick.TokenClassificationPipeline
) -> None:
    texts = [f"{TEXT} {'Zoë left. ' * (number % 9)}{number}" for number in range(64)]
    expected = [tagger(text) for text in texts]
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(lambda text: post(url, {"inputs": text}, **UNCACHED), texts)) == expected


def test_a_server_stops_reading_what_nobody_waits_for() -> None:
    computed = "te_batch_next_tokens_count"  # of batches that ran to their end; by one thread, one after the other
    with command(str(MODEL), "--threads", "1", "--log-level", "off", "--request-timeout", "4") as (_, url):
        expected = post(url, {"inputs": TEXT}, **WAITS)
        before = measured(url, computed)
        status, answer = refused(url, {"inputs": HUGE + HUGE})
        assert (status, answer["error_type"]) == (504, "Timeout")
        assert post(url, {"inputs": TEXT}, **UNCACHED) == expected
        body = json.dumps({"inputs": HUGE}).encode()
        with connect(url) as client:
            client.sendall(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
            time.sleep(1)
        assert post(url, {"inputs": TEXT}, **UNCACHED) == expected
        assert measured(url, computed) == before + 2


def test_a_cancelled_await_stops_between_two_characters(tagger: candlewick.TokenClassificationPipeline) -> None:
    full = "Ada " * tagger.max_tokens  # a batch of its own
    expected = tagger(TEXT)
    before = tagger._native.computed_tokens

    async def ask() -> Any:
        call = asyncio.ensure_future(tagger.acall([full, HUGE]))
        while tagger._native.computed_tokens == before:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.2)  # in the word without an end
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        return await tagger.acall(TEXT)

    assert asyncio.run(ask()) == expected
    assert tagger._native.computed_tokens - before == tagger.max_tokens + len(tagger.logits(TEXT).tokens)


def test_control_c_stops_between_two_characters() -> None:
    done = script(f"""
        import os, signal, threading
        import candlewick
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
        ner = candlewick.pipeline("ner", {str(MODEL)!r})
        huge = "a" * {len(HUGE)}
        expected = ner({TEXT!r})
        before = ner._native.computed_tokens
        ways = (ner, ner.logits, lambda text: list(ner.stream([text])), lambda text: list(ner(iter([text]))))
        for call in (*ways, lambda text: ner.query({{"inputs": text}})):
            threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                call(huge)
                raise SystemExit("was not interrupted")
            except KeyboardInterrupt:
                assert ner._native.computed_tokens == before
        assert ner({TEXT!r}) == expected
        print(len(expected))
    """)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0


@pytest.mark.filterwarnings("ignore::candlewick.TruncationWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_any_text_is_answered(kind: str, tagger: candlewick.TokenClassificationPipeline) -> None:
    text, entities = KINDS[kind]
    spans = tagger(text, word="source")
    assert entities in (None, len(spans))
    assert all(span["word"] == text[span["start"] : span["end"]] for span in spans)
    assert [span["start"] for span in spans] == sorted({span["start"] for span in spans})
    assert tagger([TEXT, text], word="source") == [tagger(TEXT), spans]


@pytest.mark.filterwarnings("ignore::candlewick.TruncationWarning")
def test_eight_threads_on_one_tagger(tagger: candlewick.TokenClassificationPipeline) -> None:
    texts = [text for kind, (text, _) in KINDS.items() if kind != "a word of a megabyte"]
    texts += ["a" * 40_000, *(TEXT * (1 + number % 5) for number in range(14))]
    expected = [tagger(text) for text in texts]

    def work(worker: int) -> None:
        for number in range(len(texts)):
            place = (number + 3 * worker) % len(texts)  # each thread in another place
            assert tagger(texts[place], threads=1 + worker % 3) == expected[place]
        assert tagger(texts[-12:]) == expected[-12:]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


def test_the_command_tags_what_comes_through_a_pipe(tagger: candlewick.TokenClassificationPipeline) -> None:
    texts = [TEXT, "", "   ", "😀 Zoë left Paris 👍🏽", "محمد met Ada in 東京", "Ada " * 2_000]
    for strategy in ("none", "simple"):
        done = run("ner", "--model", MODEL, "--strategy", strategy, stdin="\n".join(texts) + "\n")
        assert (done.returncode, done.stderr) == (0, "")
        found = {line["text"]: line["entities"] for line in lines(done.stdout)}
        assert found == {text: tagger(text) for text in texts if text in found}
        assert found.keys() >= {text for text in texts if text.strip()}
    done = run("ner", "--model", MODEL, "--stride", "4", stdin=TEXT)
    assert (done.returncode, done.stdout) == (2, "")
    assert "stride: expected none for this model" in done.stderr and "Traceback" not in done.stderr


def test_a_cut_text_says_so(tagger: candlewick.TokenClassificationPipeline) -> None:
    text, _ = KINDS["a megabyte of words"]
    with pytest.warns(candlewick.TruncationWarning, match=f"to {tagger.max_tokens} tokens"):
        tagger(text)
    with pytest.raises(InputError, match=f"the limit is {tagger.max_tokens}"):
        tagger(text, long_text="error")
    done = run("ner", "--model", MODEL, stdin=text)
    assert done.returncode == 0 and "cut" in done.stderr
