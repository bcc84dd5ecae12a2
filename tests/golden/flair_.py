"""Writes `flair/`: tiny seeded taggers in every layout, and what flair 0.15.1 makes of texts with them.

Run it in an environment with `flair-requirements.txt`; running it twice gives the same taggers and cases, but in the
older container storages' keys are addresses, and differ from run to run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import flair
import segtok_
import texts
import torch
from flair.data import Dictionary, Sentence
from flair.embeddings import FlairEmbeddings, StackedEmbeddings, WordEmbeddings
from flair.models import LanguageModel, SequenceTagger

HERE = Path(__file__).parent
OUT = HERE / "flair"
TYPES = ["PER", "LOC", "ORG", "MISC"]
BIOES = ["<unk>", "O", *(f"{prefix}-{name}" for name in TYPES for prefix in "SBEI")]
#: Smallest distance between the two best tags or paths of any token: nearer ones could flip with the noise of f32.
MARGIN = 1e-4
#: What the taggers read besides the texts of the other goldens.
MORE = [
    "George Washington went to Washington.",
    "He's in the U.S. and doesn't care. Mr. Smith paid $1,000.50 at 12:30pm; e.g. http://example.com/a?b=c.",
    "In 1998 and in ١٩٩٨ 42 people met 7,5 others.  Then   Zoë left\u00a0Paris",
    "İSTANBUL and ΟΔΥΣΣΕΥΣ, ﬁne ǅ",
    "\u0093quoted\u0094 a\u200bb \ufeffc \u0081 d\u2028e",
    texts.LONG + texts.LONG.lower(),
]


@dataclass
class Row:
    """One tagger of the table."""

    name: str
    tags: list[str]
    embeddings: list[dict[str, Any]]
    options: dict[str, Any] = field(default_factory=dict)
    #: Attributes that only pickled objects can have, by the number of the embedding.
    attributes: dict[int, dict[str, Any]] = field(default_factory=dict)
    #: Files in older layouts: generation and whether it is the older container.
    old: list[tuple[int, bool]] = field(default_factory=list)


WORDS: dict[str, Any] = {"words": 10}
FORWARD: dict[str, Any] = {"forward": True}
BACKWARD: dict[str, Any] = {"forward": False}


def table() -> list[Row]:
    """Every tagger: each setting in one of them at least."""
    every = [(1, False), (1, True), (2, False), (2, True), (3, True)]
    stack = [WORDS, FORWARD, BACKWARD]
    lower = {"is_lower": True, "tokenized_lm": False}
    return [
        Row("ner", BIOES, stack, old=every),
        Row("plain", BIOES[1:], [FORWARD], {"use_crf": False, "rnn_layers": 2, "reproject_embeddings": False}),
        Row("lower", BIOES, [{**FORWARD, **lower, "delimiter": "\n\n"}, {**BACKWARD, **lower, "delimiter": ""}],
            {"use_rnn": False}),
        Row("pos", ["<unk>", "O", "NOUN", "VERB", "_", "X"], [WORDS, BACKWARD], {"use_crf": False}),
        Row("inside", BIOES, [FORWARD, BACKWARD, WORDS, {"words": 3}], {"reproject_embeddings": False},
            {0: {"with_whitespace": False}, 1: {"with_whitespace": False, "chars_per_chunk": 7}}, [(2, False)]),
    ]  # fmt: skip


def main() -> None:
    """Write every tagger and its case, and the tokenizer's cases."""
    flair.device = torch.device("cpu")
    pretend_gensim()
    only = sys.argv[1:]
    for seed, row in enumerate(table()):
        if only and row.name not in only:
            continue
        folder = OUT / row.name
        case = None
        while case is None:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            build(row, seed).save(folder / "pytorch_model.bin")
            files = older(row, folder)
            case, seed = reference(row, SequenceTagger.load(files[-1])), seed + 1000
        for file in files:
            same = reference(row, SequenceTagger.load(file))
            assert same == case, f"flair reads {file} otherwise"
        write(folder / "case.json", case)
        print(f"{row.name}: {len(case['sentences'])} sentences, {len(files)} files")
    if not only or "segtok" in only:
        cases = segtok_.cases()
        write(OUT / "segtok.json", cases)
        print(f"segtok: {len(cases)} texts")


def build(row: Row, seed: int) -> SequenceTagger:
    """A tagger with weights large enough for tags to vary along a text."""
    torch.manual_seed(seed)
    dictionary = Dictionary(add_unk=True)
    for tag in row.tags:
        dictionary.add_item(tag)
    embeddings = StackedEmbeddings([embedding(**options) for options in row.embeddings])
    tagger = SequenceTagger(embeddings, dictionary, "ner", hidden_size=12, **row.options)
    with torch.no_grad():
        for name, parameter in tagger.named_parameters():
            if "embedding.weight" not in name and "crf" not in name:
                wide = 1.5 if "encoder" in name or "linear" in name else 0.45
                parameter.uniform_(-wide, wide)
    return tagger


def embedding(words: int = 0, *, forward: bool = True, delimiter: str = "\n", **options: Any) -> Any:
    """Words with so many numbers each, or a language model."""
    if words:
        known = sorted(
            {word.lower() for text in texts.TEXTS[:8] for word in text.split()} | {"####", "00", "0.0", "Sarah"}
        )
        made = WordEmbeddings(
            None, vocab={word: at for at, word in enumerate(known)}, embedding_length=words, name="glove"
        )
        made.embedding.weight.data[:-1].normal_()
        return made
    dictionary = Dictionary(add_unk=True)
    for character in sorted(set("".join([*texts.TEXTS[:12], *MORE, "\n"]).replace("q", ""))):
        dictionary.add_item(character)
    model = LanguageModel(dictionary, forward, 20, 1, embedding_size=6, document_delimiter=delimiter)
    made = FlairEmbeddings(model, **options)
    made.name = "forward" if forward else "backward"
    return made


def older(row: Row, folder: Path) -> list[Path]:
    """The same tagger as older releases wrote it, and the one that is the folder's last."""
    newest = folder / "pytorch_model.bin"
    files = [newest]
    for generation, stream in row.old:
        name = f"generation-{generation}{'-stream' if stream else ''}.bin"
        attributes = json.dumps(row.attributes)
        arguments = [str(newest), str(folder / name), str(generation), str(int(stream)), attributes]
        subprocess.run([sys.executable, str(HERE / "flair_old.py"), *arguments], check=True)
        files.append(folder / name)
    if row.attributes:  # the newest layout has no room for them
        newest.unlink()
        files = files[1:]
    return files


def reference(row: Row, tagger: SequenceTagger) -> dict[str, Any] | None:
    """What flair answers; None when these weights make a golden that could not fail or that noise flips."""
    inputs: list[Any] = [*filter(segtok_.is_known, texts.TEXTS), *MORE, *texts.WORDS]
    sentences, winners = [], []
    for text in inputs:
        sentence = Sentence(text)
        if not len(sentence):
            continue
        with torch.no_grad():
            tensor, lengths = tagger._prepare_tensors([sentence])
            given: list[torch.Tensor] = []
            hook = tagger.linear.register_forward_hook(lambda *call, given=given: given.append(call[2][0]))
            tagger.forward(tensor, lengths)
            hook.remove()
        emissions = given[0]
        tags = answer(tagger, sentence, tokens=True)
        if any(answer(tagger, sentence, tokens=True, noise=seed)[:1] != tags[:1] for seed in (1, 2)):
            if len(sentence) > 8:
                return None
            continue
        winners += tags[0]
        places = kept(text)
        entities = answer(tagger, Sentence(text))
        for entity in entities:
            entity["start"], entity["end"] = places[entity["start"]], places[entity["end"] - 1] + 1
        sentences.append(
            {
                "text": text,
                "tokens": [[token.text, places[token.start_position]] for token in sentence],
                "emissions": [[float(f"{value:.9g}") for value in row] for row in emissions.tolist()],
                "entities": entities,
            }
        )
    if max(winners.count(tag) for tag in set(winners)) > 0.6 * len(winners) or len(sentences) < 24:
        return None
    return {"flair": flair.__version__, "torch": torch.__version__, "model": row.name, "sentences": sentences}


def kept(text: Any) -> list[int]:
    """For each character that flair keeps where it is in the text that it was given."""
    if not isinstance(text, str):
        return list(range(len(" ".join(text))))
    return [at for at, character in enumerate(text) if Sentence._handle_problem_characters(character)]


def answer(tagger: SequenceTagger, sentence: Sentence, *, tokens: bool = False, noise: int = 0) -> Any:
    """Tags and scores of the tokens, or what the hosted API answers."""
    restore = tagger.linear.forward
    if noise:
        torch.manual_seed(noise)
        tagger.linear.forward = lambda xs: (
            restore(xs) + (torch.rand((*xs.shape[:-1], tagger.tagset_size)) - 0.5) * MARGIN
        )
    sentence.remove_labels("predicted")
    tagger.predict(
        sentence, label_name="predicted", force_token_predictions=tokens, return_probabilities_for_all_classes=tokens
    )
    tagger.linear.forward = restore
    if tokens:
        best = [max(label.score for label in token.get_tags_proba_dist("predicted")) for token in sentence]
        return [token.get_label("predicted", "O").value for token in sentence], [float(score) for score in best]
    units = (
        sentence.get_spans("predicted") if tagger.predict_spans else [t for t in sentence if t.has_label("predicted")]
    )
    found = []
    for unit in units:
        label = unit.get_label("predicted")
        place = {"start": unit.start_position, "end": unit.end_position}
        found.append({"entity_group": label.value, "score": label.score, "word": unit.text, **place})
    return found


def pretend_gensim() -> None:
    """What the first generation's pickles name, so that flair can read them without the package."""
    keyed = types.ModuleType("gensim.models.keyedvectors")
    for name in ("Word2VecKeyedVectors", "Vocab"):
        setattr(keyed, name, type(name, (), {"__module__": keyed.__name__}))
    sys.modules |= {"gensim": types.ModuleType("gensim"), "gensim.models": types.ModuleType("gensim.models")}
    sys.modules[keyed.__name__] = keyed


def write(file: Path, value: Any) -> None:
    """Without spaces, and with escapes for all but ASCII."""
    file.write_text(json.dumps(value, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
