"""A tagger that knows its sentences by heart."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import flair
from flair.data import CASE, Sentence


class _Linear:
    def __init__(self) -> None:
        self.hooks: list[Callable[..., Any]] = []

    def register_forward_hook(self, hook: Callable[..., Any]) -> Any:
        self.hooks.append(hook)
        return SimpleNamespace(remove=lambda: self.hooks.remove(hook))


class SequenceTagger:
    def __init__(self) -> None:
        self.linear = _Linear()
        self.predict_spans: bool = CASE.get("spans", True)

    @classmethod
    def load(cls, path: Path) -> SequenceTagger:
        if os.environ.get("FAKE_ERROR"):
            raise RuntimeError(os.environ["FAKE_ERROR"])
        assert path.is_file() and path.name == "pytorch_model.bin" and flair.device == "cpu"
        return cls()

    def predict(self, sentence: Sentence, label_name: str) -> None:
        (hook,) = self.linear.hooks
        if not list(sentence):
            return
        emissions = SimpleNamespace(tolist=lambda: sentence.known["emissions"])
        hook(self.linear, (), [emissions])
        sentence.label(label_name, spans=self.predict_spans)
