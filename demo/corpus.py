"""The generated training texts: grammar, names and noise put together."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import noise
from entities import Entities, Invented
from fillers import SPECIALS
from grammar import Grammar, Sample, read_sections

DATA = Path(__file__).parent / "data"
NER_SECTIONS = {
    "news": 34,
    "headline": 9,
    "mail": 20,
    "chat": 20,
    "review": 12,
    "social": 6,
    "encyclopedia": 14,
    "short": 2,
}
SENTIMENTS = ("negative", "neutral", "positive")
PREDICATE_ONLY = re.compile(
    r"(a|an|the|worth|better|second|worse|out|full|dead|beyond|sick|fed|not|spot|late|too) "
    r"|(quiet as|raw in|hard to|easy to) "
)


def build_grammar(seed: int) -> Grammar:
    """Read every data file into one grammar."""
    sections: dict[str, list[str]] = {}
    for name, comma in (
        ("words.txt", True),
        ("sentiment_words.txt", True),
        ("ner_templates.txt", False),
        ("sentiment_templates.txt", False),
    ):
        sections.update(read_sections(DATA / name, comma))
    sections["o_sentence_nostop"] = ["{O_clause}", "{O_clause}", "{P_quote}", "{N_quote}"]
    sections["P_quote"] = ["It was {pos_adj}", "This is {pos_adj} news", "We are {pos_feel}"]
    sections["N_quote"] = ["It was {neg_adj}", "This is {neg_adj}", "We are {neg_feel}"]
    for polarity in ("pos", "neg"):
        expressions = sections[f"{polarity}_adj"]
        sections[f"{polarity}_attr"] = [e for e in expressions if not PREDICATE_ONLY.match(e)]
    specials = {k: v for k, v in SPECIALS.items() if k not in sections}
    entities = Entities(read_sections(DATA / "entities.txt", True), seed)
    return Grammar(sections, entities, specials)


def word_tokens(text: str) -> list[str]:
    """Lower-case words and numbers, for overlap checks."""
    return re.findall(r"[\w']+", text.lower())


def ngrams(text: str, n: int = 5) -> set[tuple[str, ...]]:
    """All runs of `n` words of a text."""
    tokens = word_tokens(text)
    return {tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)}


def handwritten(name: str) -> list[dict]:
    """Read one of the hand-written test sets (`ner` or `sentiment`)."""
    with (DATA / f"handwritten_{name}.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


class Corpus:
    """Generates labelled texts; drops any that shares five words in a row with a test sentence."""

    def __init__(self, seed: int) -> None:
        """Build the grammar; equal seeds give equal texts."""
        self.rng = random.Random(seed)
        self.grammar = build_grammar(seed)
        everyday = [w for ps in read_sections(DATA / "words.txt", True).values() for p in ps for w in p.split()]
        everyday = [w for w in everyday if w.isalpha() and w.islower()]
        self.vocabulary = sorted(set(everyday))
        self.invented = Invented(self.vocabulary)
        self.forbidden: set[tuple[str, ...]] = set()
        for name in ("ner", "sentiment"):
            for row in handwritten(name):
                self.forbidden |= ngrams(row["text"])
        self.dropped = 0

    def _clean(self, sample: Sample) -> bool:
        if ngrams(sample.text) & self.forbidden:
            self.dropped += 1
            return False
        return bool(sample.text)

    def _unknown(self, word: str) -> str:
        rng = self.rng
        if not word.islower():
            return word if rng.random() < 0.7 else self.invented.word(rng).capitalize()
        if len(word) < 4:
            return word
        return self.invented.word(rng) if rng.random() < 0.5 else rng.choice(self.vocabulary)

    def _rename(self, word: str) -> str:
        names = self.grammar.entity
        assert isinstance(names, Entities)
        chain = self.rng.choice((names.person_words, names.place_words, names.name_words))
        new = chain.word(self.rng)
        return new.capitalize() if word[0].isupper() else new

    def _ner_plain(self, section: str) -> Sample:
        return self.grammar.sample(section, self.rng)

    def ner(self) -> Sample:
        """One text for the NER model."""
        rng = self.rng
        while True:
            if rng.random() < 0.12:
                section = "chat"
                sample = self.grammar.sample(rng.choice(SENTIMENTS), rng)
            else:
                section = rng.choices(list(NER_SECTIONS), list(NER_SECTIONS.values()))[0]
                sample = self._ner_plain(section)
                if rng.random() < 0.15 and section in (
                    "news",
                    "mail",
                    "review",
                    "encyclopedia",
                    "social",
                ):
                    sample = noise.concatenate(sample, self._ner_plain(section))
            if section not in ("chat", "short") and sample.text[:1].islower():
                sample.text = sample.text[0].upper() + sample.text[1:]
            if not self._clean(sample):
                continue
            if rng.random() < 0.25:
                sample = noise.replace_words(sample, rng, rng.randint(1, 2), False, self._unknown)
            if sample.entities and rng.random() < 0.06:
                sample = noise.replace_words(sample, rng, 1, True, self._rename)
            if rng.random() < 0.10:
                sample = noise.replace_words(sample, rng, 1, rng.random() < 0.3, lambda w: noise.typo(w, rng))
            sample = noise.punctuation(sample, rng)
            return noise.casing(sample, rng, section)

    def sentiment(self, label: str) -> Sample:
        """One text of the given sentiment."""
        rng = self.rng
        while True:
            sample = self.grammar.sample(label, rng)
            if not self._clean(sample):
                continue
            if sample.text[:1].islower() and rng.random() < 0.6:
                sample.text = sample.text[0].upper() + sample.text[1:]
            if rng.random() < 0.10:
                sample = noise.replace_words(sample, rng, 1, False, self._neutral_unknown)
            if rng.random() < 0.10:
                sample = noise.replace_words(sample, rng, 1, False, lambda w: noise.typo(w, rng))
            sample = noise.punctuation(sample, rng)
            roll = rng.random()
            if roll < 0.12:
                return noise.map_case(sample, str.lower)
            return noise.map_case(sample, str.upper) if roll < 0.15 else sample

    def _neutral_unknown(self, word: str) -> str:
        """Replace some words that carry no sentiment, so that unknown words mean nothing."""
        return self.invented.word(self.rng) if word in self.vocabulary and len(word) > 3 else word
