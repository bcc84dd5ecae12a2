"""Texts of a given length."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

from tokenizers import Tokenizer

ROOT = Path(__file__).parent.parent
DEMO = ROOT / "python" / "candlewick" / "demo" / "ner"
#: Tokens of the longest.
LIMIT = 512


class Texts:
    """English sentences, cut to a number of tokens."""

    def __init__(self) -> None:
        """Read the sentences that the demo models are judged by."""
        rows = (ROOT / "demo" / "data" / "handwritten_ner.jsonl").read_text(encoding="utf-8").splitlines()
        self._text = " ".join(json.loads(row)["text"] for row in rows)
        self._tokenizer = Tokenizer.from_file(str(DEMO / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._offsets = self._tokenizer.encode(self._text, add_special_tokens=False).offsets

    def of(self, tokens: int, first: int = 0) -> str:
        """A text of so many tokens, special ones included, from the `first` one on."""
        start, last = self._offsets[first][0], first + tokens - 3
        while True:
            text = self._text[start : self._offsets[last][1]]
            missing = tokens - len(self._tokenizer.encode(text).ids)
            if missing == 0:
                return text
            last += missing

    def words(self) -> list[str]:
        """All of them, one after the other."""
        return self._text.split()

    def mixed(self, count: int) -> list[str]:
        """Texts of log-normal length (median 37 tokens), none longer than the model reads."""
        source = random.Random(0)
        lengths = [min(LIMIT, max(4, round(source.lognormvariate(math.log(37), 0.8)))) for _ in range(count)]
        room = len(self._offsets) - LIMIT - 8
        return [self.of(length, source.randrange(room)) for length in lengths]
