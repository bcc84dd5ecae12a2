"""`@huggingface/inference` under Node: the newest, and one that is older than its providers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from clients.cases import ASKS, KEY, REFUSALS, SARAH, Ask, Refusal, expected
from clients.drivers import JAVASCRIPT, Case, Client, javascript_case

#: Each release's first test waits for all that it is asked.
pytestmark = pytest.mark.timeout(600)
TOKEN = "token-classification"
#: The client checks answers itself, and knows neither single tokens nor entities of several texts.
TYPED = [
    ask
    for ask in ASKS
    if ask.parameters.get("aggregation_strategy") != "none" and not (ask.listed and ask.task == TOKEN)
]
#: Everything can be streamed; by the paths that clients use.
STREAMED = [ask for ask in ASKS if ask.path in (None, "", "/")]


def asked(client: Client, ask: Ask, servers: dict[str, str], *, stream: bool) -> Case:
    name, method = (f"stream {ask.name}", "streamingRequest") if stream else (ask.name, ask.task)
    endpoint = ask.url(servers["open"])
    return javascript_case(client, name, method, ask.inputs, parameters=ask.parameters, endpoint=endpoint)


def refused(client: Client, refusal: Refusal, servers: dict[str, str]) -> Case:
    return javascript_case(
        client,
        refusal.name,
        refusal.task,
        refusal.inputs,
        parameters=refusal.parameters,
        endpoint=servers[refusal.server] + refusal.path,
        token=refusal.token,
        retry_on_error=False,
    )


def constructions(client: Client, servers: dict[str, str]) -> list[Case]:
    """Other ways to ask for the entities of `SARAH`."""
    url = servers["open"]
    if client.release < (3,):
        of_the_call, by_id = {"model": f"{url}/models/org/ner"}, {"model": "org/ner"}
    else:
        of_the_call, by_id = {"endpointUrl": url}, {"model": "org/ner", "provider": "hf-inference"}
    return [
        javascript_case(client, "a token that nobody asked for", TOKEN, SARAH, endpoint=url, token="hf_of_somebody"),
        javascript_case(client, "a URL of the call", TOKEN, SARAH, more=of_the_call),
        javascript_case(client, "an id", TOKEN, SARAH, more=by_id, redirect=url),
        javascript_case(client, "options", TOKEN, SARAH, endpoint=url, use_cache=False, wait_for_model=True),
        javascript_case(client, "request", "request", SARAH, endpoint=url),
    ]


Outcomes = Callable[[Client], dict[str, Any]]


@pytest.fixture(scope="module")
def outcomes(servers: dict[str, str], environment: dict[str, str]) -> Outcomes:
    """What came of all cases of a release, which are run once."""
    kept: dict[Client, dict[str, Any]] = {}

    def outcomes(client: Client) -> dict[str, Any]:
        if client not in kept:
            guarded = {"endpoint": servers["guarded"], "token": KEY}
            cases = [
                *(asked(client, ask, servers, stream=False) for ask in TYPED),
                *(asked(client, ask, servers, stream=True) for ask in STREAMED),
                *(refused(client, refusal, servers) for refusal in REFUSALS),
                *constructions(client, servers),
                javascript_case(client, "a key", "text-classification", SARAH, **guarded),
            ]
            kept[client] = client.run(cases, environment)
        return kept[client]

    return outcomes


def rows(cases: list[Any]) -> list[Any]:
    return [pytest.param(client, case, id=f"{client.version}-{case.name}") for client in JAVASCRIPT for case in cases]


@pytest.mark.parametrize(("client", "ask"), rows(TYPED))
def test_answers_are_those_of_a_pipeline(outcomes: Outcomes, client: Client, ask: Ask) -> None:
    # Of a list, this client reads only the first labels.
    assert outcomes(client)[ask.name]["answer"] == expected(ask)[0]


@pytest.mark.parametrize(("client", "ask"), rows(STREAMED))
def test_streams_are_the_answers_piece_by_piece(outcomes: Outcomes, client: Client, ask: Ask) -> None:
    events, wanted = outcomes(client)[f"stream {ask.name}"]["answer"], expected(ask)
    if ask.listed:
        assert sorted(events, key=lambda event: event["index"]) == [
            {"index": index, "outputs": outputs} for index, outputs in enumerate(wanted)
        ]
    else:
        assert events == wanted[0]


@pytest.mark.parametrize(("client", "refusal"), rows(REFUSALS))
def test_errors_say_what_was_wrong(outcomes: Outcomes, client: Client, refusal: Refusal) -> None:
    error = outcomes(client)[refusal.name]["error"]
    if client.release < (3,):
        assert (error["name"], error["message"]) == ("Error", json.dumps(refusal.sentence))
        return
    assert (error["name"], error["status"]) == ("ProviderApiError", refusal.status)
    assert error["message"] == f"Failed to perform inference: {refusal.sentence}"
    assert error["body"]["error"] == refusal.sentence and error["requestId"]


@pytest.mark.parametrize("client", JAVASCRIPT)
def test_every_way_to_make_a_client(outcomes: Outcomes, servers: dict[str, str], client: Client) -> None:
    found = outcomes(client)
    names = [case["name"] for case in constructions(client, servers)]
    assert {name: found[name].get("answer") for name in names} == dict.fromkeys(names, found["token plain"]["answer"])
    assert found["a key"]["answer"] == found["text plain"]["answer"]
