"""Clients of a server that is not ready for them: its model loads, or it has too much to do."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
from clients.cases import ASKS, FULL, MODELS, SARAH, expected
from clients.drivers import JAVASCRIPT, PYTHON, Case, Client, finish, javascript_case, python_case
from clients.servers import SlowHub, serving, until_ready

pytestmark = pytest.mark.timeout(600)
TOKEN = "token-classification"
#: Seconds for which a request is held while its model loads, and which that takes.
HOLD, LOADING = 1, 3
#: JavaScript asks by a path for each release, so that its requests can be counted.
PATHS = dict(zip(JAVASCRIPT, ("/invocations", "/"), strict=True))
(PLAIN,) = (ask for ask in ASKS if ask.name == "token plain")
#: Windows of the most tokens that the model reads, each one token further: minutes of work.
WORK = {"inputs": ["a " * 10_000] * 100, "parameters": {"stride": 253}}

Outcomes = dict[Client, Any]


def installed() -> list[Client]:
    return [client for client in (*PYTHON, *JAVASCRIPT) if client.is_installed]


def outcome(found: Outcomes, client: Client, kind: str | None = None) -> Any:
    if client not in found:
        pytest.skip(f"{client} is not installed: make test-clients")
    return (found[client] if kind is None else found[client][kind])["call"]


def metrics(url: str) -> str:
    with urllib.request.urlopen(f"{url}/metrics", timeout=60) as answer:
        return str(answer.read(), "utf-8")


def turned_away(url: str, path: str) -> int:
    """How many requests for a path were told to come back."""
    counted = re.findall(rf'candlewick_http_responses{{method="POST",route="{path}",status="503"}} (\d+)', metrics(url))
    return sum(map(int, counted))


def patient(client: Client, url: str) -> Case:
    """A call that waits for a model. Some clients do so by themselves: they ask again."""
    if client in PATHS:
        return javascript_case(client, "call", TOKEN, SARAH, endpoint=url + PATHS[client])
    waits = {} if client.release < (0, 29) else {"headers": {"x-wait-for-model": "true"}}
    return python_case("call", TOKEN, SARAH, model=f"{url}/models/org/slow", **waits)


@pytest.fixture(scope="module")
def waited(hub: SlowHub, environment: dict[str, str]) -> Outcomes:
    """What came of calls while a model loaded; of those in JavaScript, also how many requests were turned away."""
    gate = hub.add_slow("org/slow", MODELS["org/ner"].folder)
    with serving(environment, "org/slow", "--loading-hold", str(HOLD)) as url:
        running = {client: client.start([patient(client, url)], environment) for client in installed()}
        time.sleep(LOADING)
        while not all(turned_away(url, PATHS[client]) for client in running if client in PATHS):
            time.sleep(0.1)
        gate.set()
        found = {client: finish(process) for client, process in running.items()}
        for client in found:
            if client in PATHS:
                found[client]["call"]["turned away"] = turned_away(url, PATHS[client])
        return found


@pytest.fixture(scope="module")
def refused(environment: dict[str, str]) -> Outcomes:
    """What came of calls while a server had all the work that it takes."""
    running = {}
    with serving(environment, "--max-concurrent-requests", "1", "--request-timeout", "600") as url:
        until_ready(url)
        with closing(HTTPConnection(urlsplit(url).netloc)) as busy:
            busy.request("POST", "/", json.dumps(WORK))
            while "te_queue_size 0\n" in metrics(url):
                time.sleep(0.1)
            for client in installed():
                call = (
                    javascript_case(client, "call", FULL.task, FULL.inputs, endpoint=url)
                    if client in PATHS
                    else python_case("call", FULL.task, FULL.inputs, model=url)
                )
                running[client] = client.start([call], environment)
            return {client: finish(process) for client, process in running.items()}


python = pytest.mark.parametrize(
    ("client", "kind"),
    [pytest.param(client, kind, id=f"{client.version}-{kind}") for client in PYTHON for kind in ("sync", "async")],
)
javascript = pytest.mark.parametrize("client", JAVASCRIPT, ids=str)


@python
def test_python_waits_for_a_model(waited: Outcomes, client: Client, kind: str) -> None:
    assert outcome(waited, client, kind) == {"answer": expected(PLAIN)[0]}


@javascript
def test_row_61_javascript_asks_again_but_not_often(waited: Outcomes, client: Client) -> None:
    found = outcome(waited, client)
    assert found["answer"] == expected(PLAIN)[0]
    if client.release < (3,):
        assert found["turned away"] == 1  # then it says that it waits
    else:
        # Without a pause it would be a thousand in a second. That makes 4 requests at most, if the machine keeps time.
        assert 1 <= found["turned away"] <= found["seconds"] / HOLD


@python
def test_python_is_told_that_a_server_is_full(refused: Outcomes, client: Client, kind: str) -> None:
    error = outcome(refused, client, kind)["error"]
    assert error["status"] == 429
    if kind == "sync" or client.release >= (1,):
        assert error["class"] == "HfHubHTTPError" and error["message"].count(FULL.sentence) == 1
    if client.release >= (2,):
        assert re.search(r"you have reached your 'requests' rate limit\.\nRetry after \d+ seconds", error["message"])


@javascript
def test_javascript_is_told_that_a_server_is_full(refused: Outcomes, client: Client) -> None:
    error = outcome(refused, client)["error"]
    assert FULL.sentence in error["message"]
    assert error.get("status", 429) == 429
