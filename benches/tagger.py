"""A tagger of flair with the shapes of flair/ner-english, and flair itself with it."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flair
import torch
from flair.data import Dictionary, Sentence
from flair.embeddings import FlairEmbeddings, StackedEmbeddings, WordEmbeddings
from flair.models import LanguageModel, SequenceTagger
from subjects import CHECKPOINTS
from texts import Texts

from candlewick import _native

NAME = "Flair tagger, hidden 2,048"
PEER = f"flair {flair.__version__}"
#: Each with bytes of a weight, and the share of flair's entities that are found.
DTYPES = {"float32": 4, "bfloat16": 2, "int8": 1}
AGREEMENT = {"float32": 1.0, "bfloat16": 0.9, "int8": 0.9}
FILE = CHECKPOINTS / "flair-ner-shapes" / "pytorch_model.bin"
TYPES = ("PER", "LOC", "ORG", "MISC")
#: Characters that a language model knows; vectors of words have so many numbers.
CHARACTERS, WORDS = 300, 100
UNITS, TAG_UNITS = 2048, 256


def make() -> Path:
    """Write the tagger as flair saves it, unless it is there."""
    if FILE.exists():
        return FILE
    FILE.parent.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    vocabulary = {word: at for at, word in enumerate(sorted({word.lower() for word in Texts().words()}))}
    words = WordEmbeddings(None, vocab=vocabulary, embedding_length=WORDS, name="glove")
    stack = StackedEmbeddings([words, _characters(forward=True), _characters(forward=False)])
    tags = Dictionary(add_unk=True)
    for tag in ("O", *(f"{place}-{name}" for name in TYPES for place in "SBEI")):
        tags.add_item(tag)
    tagger = SequenceTagger(stack, tags, "ner", hidden_size=TAG_UNITS)
    # As large as a trained layer's: with the small numbers of a new one every tag would be as likely as any other.
    torch.nn.init.normal_(tagger.linear.weight, std=1.0)
    tagger.save(FILE)
    return FILE


def _characters(*, forward: bool) -> FlairEmbeddings:
    dictionary = Dictionary(add_unk=True)
    for code in range(CHARACTERS - 2):
        dictionary.add_item(chr(32 + code))
    dictionary.add_item("\n")
    model = LanguageModel(dictionary, forward, UNITS, 1, embedding_size=100)
    # torch's LSTM starts at 1 / sqrt(2048), where a state says nothing of more than the last few characters.
    torch.nn.init.normal_(model.rnn.weight_hh_l0, std=0.03)
    torch.nn.init.normal_(model.encoder.weight)
    made = FlairEmbeddings(model)
    made.name = "forward" if forward else "backward"
    return made


def sentences(count: int, words: int) -> list[str]:
    """Sentences of so many words; flair counts places without some characters beyond ASCII, which it drops."""
    known, source = [word for word in Texts().words() if word.isascii()], random.Random(0)
    starts = [source.randrange(len(known) - words) for _ in range(count)]
    return [" ".join(known[start : start + words]) for start in starts]


def reference(threads: int) -> Callable[[list[str]], list[list[dict[str, Any]]]]:
    """Flair in float32: entities of each sentence."""
    flair.device = torch.device("cpu")
    torch.set_num_threads(threads)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tagger: Any = SequenceTagger.load(make())

    def run(texts: list[str]) -> list[list[dict[str, Any]]]:
        given = [Sentence(text) for text in texts]
        tagger.predict(given, mini_batch_size=32)
        return [
            [
                {"entity_group": span.get_label("ner").value, "start": span.start_position, "end": span.end_position}
                for span in sentence.get_spans("ner")
            ]
            for sentence in given
        ]

    return run


def agreement(expected: list[list[dict[str, Any]]], found: list[list[dict[str, Any]]]) -> float:
    """The share of entities that are the same in type and place."""

    def places(answers: list[list[dict[str, Any]]]) -> set[tuple[int, str, int, int]]:
        return {
            (at, entity["entity_group"], entity["start"], entity["end"])
            for at, answer in enumerate(answers)
            for entity in answer
        }

    return len(places(expected) & places(found)) / len(places(expected) | places(found))


class Rates:
    """What this machine can do, as `candlewick bench` measures it."""

    def __init__(self, threads: int) -> None:
        """Measure."""
        self._machine = _native.machine(True, threads)

    def limit(self, texts: list[str], dtype: str) -> float:
        """Seconds that a batch of sentences takes at least.

        Each step of both language models reads their weights once and multiplies them with the state of every sentence
        that is not at its end; words are few beside characters.
        """
        bandwidth, rate = self._machine["bandwidth"], self._machine[f"{dtype}_rate"]
        weights = 2 * 4 * UNITS * UNITS
        lengths = [len(text) + 2 for text in texts]
        read = weights * DTYPES[dtype] / bandwidth
        steps = (sum(length > step for length in lengths) for step in range(max(lengths)))
        words = sum(len(text.split()) for text in texts)
        dense = 2 * words * (2 * UNITS + WORDS) * 8 * TAG_UNITS / rate
        return dense + sum(max(read, 2 * weights * going / rate) for going in steps)
