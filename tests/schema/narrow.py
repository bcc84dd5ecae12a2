"""The OpenAPI document, which is about any server, as it holds for one model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

TASKS = {
    "token-classification": ["token-classification", "ner"],
    "text-classification": ["text-classification", "sentiment-analysis"],
}


@dataclass(frozen=True)
class Server:
    """What a document does not know about a server: its only model, by what `/info` says, and its keys."""

    model: str
    task: str
    max_tokens: int
    labels: int
    keyed: bool = field(default=False)

    @classmethod
    def of(cls, info: Json, *, keyed: bool) -> Server:
        labels = next(iter(info["model_type"].values()))["id2label"]
        return cls(info["model_id"], info["task"], info["max_input_length"], len(labels), keyed)


def narrow(document: Json, server: Server) -> Json:
    """Changes the document: after that, all that it allows is answered, and all that it forbids is refused."""
    schemas = document["components"]["schemas"]
    for path in [path for path in document["paths"] if not _serves(path, server)]:
        del document["paths"][path]
    known = {"model": [server.model], "task": TASKS[server.task]}
    for operation in _operations(document):
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "path":
                parameter["schema"]["enum"] = known[parameter["name"]]
        if "security" in operation:
            operation["security"] = [{"key": []}] if server.keyed else []
    kind = "Token" if server.task == "token-classification" else "Text"
    schemas["Request"] = {"$ref": f"#/components/schemas/{kind}Request"}
    # Anything but an object of options is ignored, as the hosted API does.
    del schemas["ServiceOptions"]["type"]
    _limit_tokens(schemas["TokenOptions"], schemas["TokenInputs"], server.max_tokens)
    _limit_texts(schemas["TextOptions"], server.max_tokens)
    _first_is_not_empty(schemas["PredictInputs"])
    return document


def _serves(path: str, server: Server) -> bool:
    """Whether a path is for such a model. Ids of two parts are others' affair."""
    pairs = server.task == "text-classification"
    fits = {"/predict": pairs, "/rerank": pairs and server.labels == 1}
    return "{owner}" not in path and fits.get(path, True)


def _operations(document: Json) -> Iterable[Json]:
    return (operation for methods in document["paths"].values() for operation in methods.values())


def _limit_tokens(options: Json, inputs: Json, tokens: int) -> None:
    """What the document says in words: a stride is below what a window has for text, and goes with entities only."""
    options["properties"]["stride"]["maximum"] = tokens - 3
    options["not"] = {
        "required": ["aggregation_strategy", "stride"],
        "properties": {"aggregation_strategy": {"const": "none"}, "stride": {"type": "integer"}},
    }
    # Lists of words and lists of texts look the same.
    del options["properties"]["is_split_into_words"]
    inputs["anyOf"] = [form for form in inputs["anyOf"] if form.get("items", {}).get("type") != "array"]


def _limit_texts(options: Json, tokens: int) -> None:
    """The two special tokens of a text take room, and what is not cut is refused where it has none."""
    options["properties"]["max_length"] |= {"minimum": 2, "maximum": tokens}
    options["not"] = {
        "required": ["truncation", "max_length"],
        "properties": {
            "truncation": {"enum": [False, "only_first", "only_second", "do_not_truncate"]},
            "max_length": {"type": "integer"},
        },
    }


def _first_is_not_empty(inputs: Json) -> None:
    first, text = {"type": "string", "minLength": 1}, {"type": "string"}
    pair = {"type": "array", "prefixItems": [first], "items": text, "minItems": 1, "maxItems": 2}
    inputs["anyOf"] = [first, pair, {"type": "array", "items": pair, "minItems": 1}]
