"""What every client asks a running server, and what it must get: the answer of a pipeline in this process."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import candlewick
from candlewick.errors import TruncationWarning

ROOT = Path(__file__).parents[2]
DEMO = Path(candlewick.__file__).parent / "demo"
SARAH = "My name is Sarah Jessica Parker but you can call me Jessica"
#: More than the 48 tokens that `tiny` reads.
LONG = "Sarah Parker lives in Zürich. " * 20


@dataclass(frozen=True)
class Model:
    """A model of the server."""

    task: str
    folder: Path


#: By their names in URLs; the first one answers `/`.
MODELS = {
    "org/ner": Model("token-classification", DEMO / "ner"),
    "sentiment": Model("text-classification", DEMO / "sentiment"),
    "tiny": Model("token-classification", ROOT / "tests" / "golden" / "models" / "bert-ner"),
    "emotions": Model("text-classification", ROOT / "tests" / "golden" / "models" / "roberta-emotions"),
}


@dataclass(frozen=True)
class Ask:
    """A call that must be answered."""

    name: str
    model: str
    inputs: Any
    parameters: dict[str, Any] = field(default_factory=dict)
    #: Where it is sent, if not to the model's own URL.
    path: str | None = None

    def url(self, server: str) -> str:
        return server + (f"/models/{self.model}" if self.path is None else self.path)

    @property
    def task(self) -> str:
        return MODELS[self.model].task

    @property
    def listed(self) -> bool:
        return isinstance(self.inputs, list)


def expected(ask: Ask) -> Any:
    """What a pipeline in this process answers, with the defaults of the wire: a list for each input."""
    pipe = pipeline(ask.model)
    inputs = ask.inputs if ask.listed else [ask.inputs]
    defaults = {"top_k": None} if ask.task == "text-classification" else {"aggregation_strategy": "simple"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)
        return pipe(inputs, **{**defaults, **ask.parameters})


_PIPELINES: dict[str, Any] = {}


def pipeline(model: str) -> Any:
    """A model, loaded once."""
    if model not in _PIPELINES:
        _PIPELINES[model] = candlewick.pipeline(MODELS[model].task, MODELS[model].folder)
    return _PIPELINES[model]


TEXTS = {
    "plain": SARAH,
    "emoji": "😀 Sarah 👩‍👩‍👧 lives in Zürich 🇨🇭",
    "scripts": '東京の Sarah, סרה e\u0301 und Łódź\r\n\t"quoted" \\ Parker',
    "nul": "Call me\u0000Jessica",
    "empty": "",
    "blank": " \n ",
}
#: Paths that lead to the first model.
PATHS = (
    "",
    "/",
    "/models/org/ner",
    "/models/org/ner/",
    "/models/org%2Fner",
    "/hf-inference/models/org/ner",
    "/pipeline/token-classification",
    "/pipeline/ner/org/ner",
    "/models/org/ner/pipeline/token-classification",
    "/invocations",
)
STRATEGIES = ("none", "simple", "first", "average", "max")

ASKS = [
    *(Ask(f"token {name}", "org/ner", text) for name, text in TEXTS.items()),
    *(Ask(f"text {name}", "sentiment", text) for name, text in TEXTS.items()),
    *(Ask(f"path {path}", "org/ner", SARAH, path=path) for path in PATHS),
    *(Ask(name, "org/ner", SARAH, {"aggregation_strategy": name}) for name in STRATEGIES),
    Ask("ignore nothing", "org/ner", SARAH, {"ignore_labels": []}),
    Ask("ignore PER", "org/ner", SARAH, {"ignore_labels": ["O", "PER"]}),
    Ask("stride 0", "tiny", LONG, {"stride": 0}),
    Ask("stride 16", "tiny", LONG, {"stride": 16, "aggregation_strategy": "first"}),
    Ask("truncated", "tiny", LONG),
    *(Ask(f"top_k {k}", "emotions", SARAH, {"top_k": k}) for k in (1, 2, 1_000)),
    *(
        Ask(f"function {name}", "emotions", SARAH, {"function_to_apply": name})
        for name in ("sigmoid", "softmax", "none")
    ),
    Ask("top_k and function", "emotions", SARAH, {"top_k": 2, "function_to_apply": "softmax"}),
    Ask("pair", "sentiment", {"text": "A fine day", "text_pair": "and a 😀"}),
    Ask("text of a pair", "sentiment", {"text": "A fine day", "text_pair": None}),
    Ask("token list", "org/ner", [SARAH, "", "Call me Jessica"]),
    Ask("token list of one", "org/ner", [SARAH]),
    Ask("text list", "sentiment", ["A fine day", "", "The soup was cold"]),
    Ask("list of pairs", "sentiment", [{"text": "A fine day", "text_pair": "indeed"}, {"text": "Rain"}]),
]


@dataclass(frozen=True)
class Refusal:
    """A call that must fail, with what the user is told."""

    name: str
    status: int
    path: str
    sentence: str
    inputs: Any = SARAH
    task: str = "token-classification"
    parameters: dict[str, Any] = field(default_factory=dict)
    #: The server that it is sent to: `open`, or `guarded` by `KEY` which takes short lists only.
    server: str = "open"
    token: str | None = None


KEY = "a-key-of-mine"
#: Inputs in a request to the guarded server.
BATCH_LIMIT = 2
#: More than servers read, and than the system takes from a client that nobody reads from.
LARGE = "a" * 12_000_000

REFUSALS = [
    Refusal(
        "a strategy that is none",
        400,
        "",
        'Invalid request: aggregation_strategy: expected one of none, simple, first, average, max, got "bogus".',
        parameters={"aggregation_strategy": "bogus"},
    ),
    Refusal(
        "a stride too long",
        400,
        "/models/tiny",
        "Invalid request: stride: expected a whole number from 0 to 45, got 46.",
        LONG,
        parameters={"stride": 46},
    ),
    Refusal(
        "a number",
        400,
        "",
        "Invalid request: inputs: expected a string or a list of at least one input, got a number.",
        5,
    ),
    Refusal(
        "a list with a number",
        400,
        "/models/sentiment",
        "Invalid request: input 1: expected a string or an object with text and text_pair, got a number.",
        ["a", 5],
        task="text-classification",
    ),
    Refusal("no key", 401, "", "An API key is needed.", server="guarded"),
    Refusal("a wrong key", 401, "", "The API key is not valid.", server="guarded", token="another"),
    Refusal("an unknown model", 404, "/models/un/known", "Model un/known does not exist"),
    Refusal("an unknown path", 404, "/nowhere", "There is no such path."),
    Refusal(
        "a long list",
        413,
        "",
        f"The request has 3 inputs, allowed are at most {BATCH_LIMIT}.",
        ["a", "b", "c"],
        server="guarded",
        token=KEY,
    ),
    Refusal("a large body", 413, "", "The body has more than 10000000 bytes, the limit of this server.", LARGE),
    Refusal("a large body without a key", 401, "", "An API key is needed.", LARGE, server="guarded"),
    Refusal(
        "another task",
        422,
        "/models/sentiment/pipeline/token-classification",
        "Model sentiment does not support task token-classification. Supported task: text-classification",
    ),
    Refusal("a model that loads", 503, "/models/org/stalled", "Model org/stalled is currently loading"),
]
#: By a server that is full.
FULL = Refusal("a full server", 429, "", "The server has more requests than it can answer in time; try again later.")
