"""The reference that flair computes with a tagger's own file, in the float32 that it computes in.

Flair executes what stands in a pickle. candlewick has read the file before, and refuses all names that are not those of
torch, flair and gensim, but these are enough for somebody who means harm: only taggers that one trusts can be verified.
"""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import Any

from candlewick import _files
from candlewick._verify import STRATEGIES, Reference, Result, Text, VerificationError
from candlewick._verify.library import failing_as, short

NAME = "flair"
#: Under which predictions are kept, apart from labels that a sentence may have.
_LABEL = "predicted"


def obstacle(folder: Path) -> str | None:
    """Why no reference can be computed here: flair is absent, or its file is."""
    if not _has_original(folder):
        return "flair can't read a converted tagger"
    return None if importlib.util.find_spec(NAME) is not None else "flair is not installed here"


def remedy(model: str, folder: Path) -> str:
    """Where a reference comes from; that of an original is that of its conversion, too."""
    if _has_original(folder):
        return f"pip install flair, or run `candlewick verify {model} --save` where it is"
    return f"run `candlewick verify ORIGINAL --save` where flair is, on the folder with its own {_files.PICKLE}"


def reference(folder: Path, task: str, texts: list[Text], max_tokens: int) -> Reference:
    """What flair makes of texts, each of which is one sentence of at most so many words."""
    with failing_as(folder, NAME):
        import flair
        import torch
        from flair.models import SequenceTagger

        logging.getLogger(NAME).setLevel(logging.ERROR)
        flair.device = torch.device("cpu")
        tagger = SequenceTagger.load(folder / _files.PICKLE)
    results = []
    for number, text in enumerate(texts, 1):
        where = f"{folder}: text {number} of {len(texts)}"
        with failing_as(where, NAME):  # of some texts, it does not find its own words again
            result = _result(tagger, text)
        if len(result.tokens) > max_tokens:
            raise VerificationError(f"{where}: expected at most {max_tokens} words, got {len(result.tokens)}")
        results.append(result)
    return Reference(f"flair {flair.__version__}, torch {torch.__version__}", task, texts, results)


def _result(tagger: Any, text: Text) -> Result:
    from flair.data import Sentence

    sentence = Sentence(text)
    emissions: list[list[float]] = []  # none if there are no words
    hook = tagger.linear.register_forward_hook(lambda _module, _inputs, output: emissions.extend(output[0].tolist()))
    tagger.predict(sentence, label_name=_LABEL)
    hook.remove()
    # Positions are those of the characters that it keeps.
    kept = [at for at, character in enumerate(text) if Sentence._handle_problem_characters(character)]
    units = sentence.get_spans(_LABEL) if tagger.predict_spans else sentence
    entities = [_entity(unit, kept) for unit in units if unit.has_label(_LABEL)]
    places = [_place(word, kept) for word in sentence]
    # The hosted API gives spans whatever it is asked for.
    return Result([word.text for word in sentence], places, short(emissions), dict.fromkeys(STRATEGIES, entities))


def _has_original(folder: Path) -> bool:
    return (folder / _files.PICKLE).is_file()


def _entity(unit: Any, kept: list[int]) -> dict[str, Any]:
    label, (start, end) = unit.get_label(_LABEL), _place(unit, kept)
    return {"entity_group": label.value, "score": float(label.score), "word": unit.text, "start": start, "end": end}


def _place(unit: Any, kept: list[int]) -> list[int]:
    """Where a word or a span is in the text that was given."""
    return [kept[unit.start_position], kept[unit.end_position - 1] + 1]
