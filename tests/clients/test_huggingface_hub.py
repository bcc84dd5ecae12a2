"""`huggingface_hub` from 0.25 on, each release in an environment of its own, blocking and asynchronous."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from clients.cases import ASKS, KEY, REFUSALS, SARAH, TEXTS, Ask, Refusal, expected
from clients.drivers import PYTHON, Case, Client, python_case

#: Each release's first test waits for all that it is asked.
pytestmark = pytest.mark.timeout(600)
KINDS = ("sync", "async")
TOKEN, TEXT = "token-classification", "text-classification"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def takes(client: Client, parameters: dict[str, Any]) -> bool:
    """Whether a release has these parameters: before 0.26, the tasks had none."""
    return not parameters or client.release >= (0, 26)


def asked(ask: Ask, servers: dict[str, str]) -> Case:
    return python_case(ask.name, ask.task, ask.inputs, options=ask.parameters, model=ask.url(servers["open"]))


def refused(client: Client, refusal: Refusal, servers: dict[str, str]) -> Case:
    made_with: dict[str, Any] = {"model": servers[refusal.server] + refusal.path, "token": refusal.token}
    if refusal.status == 503 and client.release < (0, 29):
        made_with["timeout"] = 3  # until then it asks again
    return python_case(refusal.name, refusal.task, refusal.inputs, options=refusal.parameters, **made_with)


def constructions(client: Client, servers: dict[str, str]) -> list[Case]:
    """Other ways to make a client that asks for the entities of `SARAH`."""
    url, token = servers["open"], "hf_of_somebody"
    made_with: dict[str, dict[str, Any]] = {
        "base_url": {"base_url": url},
        "a token that nobody asked for": {"base_url": url, "api_key": token},
        "headers": {"model": url, "headers": {"x-use-cache": "false", "x-wait-for-model": "true"}},
        "timeout and cookies": {"model": url, "timeout": 60, "cookies": {"a": "b"}},
    }
    if client.release >= (0, 30):
        made_with["bill_to"] = {"model": url, "token": token, "bill_to": "org"}
        made_with["provider"] = {"model": url, "provider": "hf-inference"}
    if client.release < (0, 28):
        made_with["id"] = {"model": "org/ner"}
    of_the_call = python_case("model of the call", TOKEN, SARAH, options={"model": f"{url}/models/org/ner"})
    return [of_the_call, *(python_case(name, TOKEN, SARAH, **given) for name, given in made_with.items())]


def questions(client: Client, servers: dict[str, str]) -> list[Case]:
    """What a client can ask about a server, and what only old ones can."""
    url, guarded = servers["open"], servers["guarded"]
    provider = {"provider": "hf-inference"} if client.release >= (0, 28) else {}
    cases = [
        python_case("text with a key", TEXT, SARAH, model=guarded, token=KEY),
        python_case("health of a model", "health_check", model=f"{url}/models/org/ner", **provider),
        python_case("health while one loads", "health_check", model=url, **provider),
        python_case("health behind a key", "health_check", model=guarded, **provider),
        python_case("info", "get_endpoint_info", model=f"{url}/", **provider),
        python_case("info of a URL", "get_endpoint_info", model=f"{url}/models/sentiment", **provider),
        python_case("info of an id", "get_endpoint_info", model="sentiment", **provider),
        python_case("info behind a key", "get_endpoint_info", model=guarded, token=KEY, **provider),
    ]
    if client.release < (0, 31):
        models = ("org/ner", "org/stalled", "un/known")
        cases += [python_case(f"status of {model}", "get_model_status", model) for model in models]
    if client.release < (1,):
        api = {"client": "InferenceApi", "repo_id": "org/ner", "task": TOKEN}
        parameters = {"params": {"aggregation_strategy": "first"}}
        cases += [
            python_case("InferenceApi", "__call__", SARAH, **api),
            python_case("InferenceApi with parameters", "__call__", SARAH, options=parameters, **api),
            python_case("InferenceApi without a text", "__call__", "", **api),
        ]
    return cases


Outcomes = Callable[[Client], dict[str, Any]]


@pytest.fixture(scope="module")
def outcomes(servers: dict[str, str], environment: dict[str, str]) -> Outcomes:
    """What came of all cases of a release, which are run once."""
    kept: dict[Client, dict[str, Any]] = {}
    # Where old clients look for the hosted API; by another name than in URLs, which they treat otherwise.
    variables = {**environment, "HF_INFERENCE_ENDPOINT": servers["open"].replace("127.0.0.1", "localhost")}

    def outcomes(client: Client) -> dict[str, Any]:
        if client not in kept:
            asks = [asked(ask, servers) for ask in ASKS if takes(client, ask.parameters)]
            refusals = [refused(client, refusal, servers) for refusal in REFUSALS if takes(client, refusal.parameters)]
            cases = [*asks, *refusals, *constructions(client, servers), *questions(client, servers)]
            kept[client] = client.run(cases, variables)
            assert kept[client]["version"] == client.version
        return kept[client]

    return outcomes


def rows(cases: list[Any]) -> list[Any]:
    """Each case for each release that can ask it, by each kind of client."""
    return [
        pytest.param(client, kind, case, id=f"{client.version}-{kind}-{case.name}")
        for client in PYTHON
        for kind in KINDS
        for case in cases
        if takes(client, case.parameters)
    ]


def each(*kinds: str, before: tuple[int, ...] = (1_000,)) -> Any:
    """Each release, by these kinds of client."""
    pairs = [(client, kind) for client in PYTHON for kind in kinds if client.release < before]
    return pytest.mark.parametrize(
        ("client", "kind"), pairs, ids=[f"{client.version}-{kind}" for client, kind in pairs]
    )


@pytest.mark.parametrize(("client", "kind", "ask"), rows(ASKS))
def test_answers_are_those_of_a_pipeline(outcomes: Outcomes, client: Client, kind: str, ask: Ask) -> None:
    wanted = expected(ask)
    # Of a list, these clients read only the first labels.
    wanted = wanted if ask.listed and ask.task == TOKEN else wanted[0]
    assert outcomes(client)[kind][ask.name] == {"answer": wanted}


@pytest.mark.parametrize(("client", "kind", "refusal"), rows(REFUSALS))
def test_errors_say_what_was_wrong(outcomes: Outcomes, client: Client, kind: str, refusal: Refusal) -> None:
    error = outcomes(client)[kind][refusal.name]["error"]
    if refusal.status == 503 and client.release < (0, 29):
        # It asks again each second until its time is over; the asynchronous one then stumbles over itself.
        assert error["class"] == {"sync": "InferenceTimeoutError", "async": "AttributeError"}[kind], error
        return
    assert error["status"] == refusal.status
    if kind == "async" and client.release < (1,):
        assert error["class"] == "ClientResponseError"  # which shows nothing of a response but its status
        return
    assert error["class"] == ("BadRequestError" if refusal.status == 400 else "HfHubHTTPError")
    # Header and body are one message; newer ones show the whole body of a 422 besides.
    times = 2 if refusal.status == 422 and client.release >= (0, 29) else 1
    assert error["message"].count(refusal.sentence) == times, error["message"]
    assert UUID.fullmatch(error["request_id"]) and f"(Request ID: {error['request_id']})" in error["message"]


@each(*KINDS)
def test_every_way_to_make_a_client(outcomes: Outcomes, servers: dict[str, str], client: Client, kind: str) -> None:
    found = outcomes(client)[kind]
    names = [case["name"] for case in constructions(client, servers)]
    assert {name: found[name] for name in names} == dict.fromkeys(names, found["token plain"])
    assert found["text with a key"] == found["text plain"]


@each("sync")
def test_every_parameter_is_used(outcomes: Outcomes, client: Client, kind: str) -> None:
    for task, names in outcomes(client)["parameters"].items():
        used = [ask.parameters for ask in ASKS if ask.task == task and takes(client, ask.parameters)]
        assert {name for parameters in used for name in parameters} == set(names) - {"self", "text", "model"}


@each(*KINDS)
def test_offsets_are_those_of_python(outcomes: Outcomes, client: Client, kind: str) -> None:
    entities = outcomes(client)[kind]["token emoji"]["answer"]
    slices = [TEXTS["emoji"][entity["start"] : entity["end"]] for entity in entities]
    assert slices == [entity["word"] for entity in entities]


@each("sync")
def test_a_cut_text_is_logged_once(outcomes: Outcomes, client: Client, kind: str) -> None:
    logged = [line for line in outcomes(client)["logged"] if "truncated" in line]
    assert logged == (["input 0 was truncated from 182 to 48 tokens"] if client.release >= (1, 2) else [])


@each(*KINDS)
def test_health_and_information(outcomes: Outcomes, client: Client, kind: str) -> None:
    found = outcomes(client)[kind]
    health = {name: outcome["answer"] for name, outcome in found.items() if name.startswith("health")}
    assert health == {"health of a model": True, "health while one loads": False, "health behind a key": True}
    infos = {name: outcome["answer"] for name, outcome in found.items() if name.startswith("info")}
    assert {name: (info["model_id"], info["task"], info["state"]) for name, info in infos.items()} == {
        "info": ("org/ner", TOKEN, "ready"),
        "info of a URL": ("sentiment", TEXT, "ready"),
        "info of an id": ("sentiment", TEXT, "ready"),
        "info behind a key": ("sentiment", TEXT, "ready"),
    }


@each(*KINDS, before=(0, 31))
def test_the_status_of_a_model(outcomes: Outcomes, client: Client, kind: str) -> None:
    found = outcomes(client)[kind]
    how = {"compute_type": "cpu", "framework": "candlewick"}
    assert found["status of org/ner"]["answer"] == {"loaded": True, "state": "Loaded", **how}
    assert found["status of org/stalled"]["answer"] == {"loaded": False, "state": "Loadable", **how}
    assert found["status of un/known"]["error"]["status"] == 404


@each("sync", before=(1,))
def test_the_client_before_the_client(outcomes: Outcomes, client: Client, kind: str) -> None:
    found = outcomes(client)[kind]
    assert found["InferenceApi"] == found["token plain"]
    (first,) = (ask for ask in ASKS if ask.name == "first")
    assert found["InferenceApi with parameters"]["answer"] == expected(first)[0]
    # It leaves an empty text out of the body, and gives back any body as it is.
    assert found["InferenceApi without a text"]["answer"]["error_type"] == "Validation"
