"""Calls of huggingface_hub's clients, in an environment of its own: reads cases as JSON, prints what came of them.

Nothing but huggingface_hub is imported, and it is used by the names that its users write.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import sys
import warnings
from typing import Any

import huggingface_hub


class Log(logging.Handler):
    """Keeps what the library says to its user."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def client(case: dict[str, Any], prefix: str = "") -> Any:
    return getattr(huggingface_hub, prefix + case["client"])(**case["made_with"])


def call(client: Any, case: dict[str, Any]) -> Any:
    return getattr(client, case["method"])(*case["arguments"], **case["options"])


def plain(answer: Any) -> Any:
    """An answer as JSON; of its objects, the attributes that have a value."""
    if isinstance(answer, list):
        return [plain(item) for item in answer]
    if hasattr(answer, "__dataclass_fields__"):
        return {name: value for name, value in vars(answer).items() if value is not None}
    return answer


def failure(error: Exception) -> dict[str, Any]:
    """What a user sees of an exception."""
    response = getattr(error, "response", None)
    return {
        "class": type(error).__name__,
        "message": str(error),
        "request_id": getattr(error, "request_id", None),
        "status": getattr(response, "status_code", getattr(error, "status", None)),
    }


def ask(case: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"answer": plain(call(client(case), case))}
    except Exception as error:
        return {"error": failure(error)}


async def ask_async(case: dict[str, Any]) -> dict[str, Any]:
    try:
        async with client(case, "Async") as made:
            return {"answer": plain(await call(made, case))}
    except Exception as error:
        return {"error": failure(error)}


async def ask_all_async(cases: list[dict[str, Any]]) -> dict[str, Any]:
    return {case["name"]: await ask_async(case) for case in cases if case["client"] == "InferenceClient"}


def parameters(task: str) -> list[str]:
    return list(inspect.signature(getattr(huggingface_hub.InferenceClient, task.replace("-", "_"))).parameters)


def main() -> None:
    warnings.simplefilter("ignore")  # old clients say of themselves that they are old
    cases = json.load(sys.stdin)
    log = Log()
    logging.getLogger("huggingface_hub").addHandler(log)
    found = {
        "version": huggingface_hub.__version__,
        "parameters": {task: parameters(task) for task in ("token-classification", "text-classification")},
        "sync": {case["name"]: ask(case) for case in cases},
        "async": asyncio.run(ask_all_async(cases)),
        "logged": log.lines,
    }
    json.dump(found, sys.stdout)


main()
