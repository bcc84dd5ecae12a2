"""Writes docs/MODELS.md: the registry's families, what the goldens test of each, and how far it is from the reference.

Families and differences come from tests/golden.rs, which leaves them in target/tmp; what is tested is read off the
checkpoints in tests/golden, so a new row of either appears by itself. Only the names of public models stand here.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "MODELS.md"
GOLDEN = ROOT / "tests" / "golden"
MEASURED = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "tmp"
DTYPES = ("float32", "bfloat16", "int8")
HEADS = {"ForTokenClassification": "token", "ForSequenceClassification": "text"}
#: Public models of each family, as they are used most.
PUBLIC = {
    "bart": ["facebook/bart-large-mnli"],
    "bert": ["dslim/bert-base-NER", "ProsusAI/finbert"],
    "camembert": ["Jean-Baptiste/camembert-ner"],
    "deberta-v2": ["blaze999/Medical-NER", "mixedbread-ai/mxbai-rerank-base-v1", "meta-llama/Prompt-Guard-86M"],
    "distilbert": ["distilbert/distilbert-base-uncased-finetuned-sst-2-english"],
    "flair": ["flair/ner-english"],
    "roberta": ["cardiffnlp/twitter-roberta-base-sentiment-latest", "SamLowe/roberta-base-go_emotions"],
    "xlm-roberta": [
        "FacebookAI/xlm-roberta-large-finetuned-conll03-english",
        "papluca/xlm-roberta-base-language-detection",
    ],
}
#: Files that say how text becomes tokens, each with what it is called here.
TOKENIZERS = {
    "tokenizer.json": "tokenizer.json",
    "vocab.txt": "vocab.txt",
    "merges.txt": "vocab.json and merges.txt",
    "sentencepiece.bpe.model": "sentencepiece.bpe.model",
    "spm.model": "spm.model",
    "spiece.model": "spiece.model",
}
#: What flair has instead of a file.
SEGTOK = "none: segtok's rules"
#: Above a measured difference by this, since another processor adds in another order; and by how much more such a
#: processor may be off before the page says something else.
ROOM, OTHERS = 1.3, 1.5
#: What the float32 goldens allow at most.
EXACT = 1e-5
HEAD = """# Models that are supported

Written by `scripts/models_page.py` out of the registry, the [golden checkpoints](../tests/golden/README.md) and what
their tests measure; `make models-page` writes it anew, and `make test` fails where it is not up to date.

A model is one of these families with one of the heads that are marked. A number says how many golden checkpoints of
that kind are compared with transformers, or flair, text by text. Public models of the kind are named as examples:
their weights are no part of these tests. Anything else is refused, with an `UnsupportedModelError` that names what is
missing.
"""
ACCURACY = """
## How far from the reference

At most this far is a logit (float32) or a probability (bfloat16, int8) of a golden checkpoint from transformers in
float32, or an emission from flair's, over the largest of its word. These networks are tiny and random, which magnifies
rounding; on a trained model, `candlewick verify` measures it, with transformers or, from a tagger's own
`pytorch_model.bin`, with flair. Flair executes what stands in that file, so verify only taggers that you trust. It sums
the scores of a path in float32: those of a text of hundreds of words differ in the fifth digit.
"""


class Checkpoint(NamedTuple):
    """What one golden checkpoint tests."""

    family: str
    head: str
    tokenizers: list[str]
    weights: list[str]


def main() -> int:
    """Write the page, or say whether it is up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail unless the page is what would be written")
    check = parser.parse_args().check
    old = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
    new = page(old)
    if not check:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(new, encoding="utf-8")
        return 0
    if new != old:
        print("docs/MODELS.md is not up to date: run make models-page", file=sys.stderr)
        return 1
    return 0


def page(old: str) -> str:
    """The whole text; differences that the old one still covers stay as they are."""
    families = measured("families")
    checkpoints = list(goldens())
    lines = [HEAD, "| family | token classification | text classification | tokenizer files | weights | for example |"]
    lines.append("|---|---|---|---|---|---|")
    for family in families:
        own = [checkpoint for checkpoint in checkpoints if checkpoint.family == family]
        heads = [sum(checkpoint.head == head for checkpoint in own) for head in ("token", "text")]
        cells = [*(str(count) if count else "not tested" for count in heads), *files(own)]
        public = ", ".join(f"[{name}](https://huggingface.co/{name})" for name in PUBLIC.get(family, []))
        lines.append(f"| {family} | {' | '.join(cells)} | {public} |")
    lines += [ACCURACY, f"| family | {' | '.join(DTYPES)} |", "|---|---|---|---|"]
    printed, worst = bounds(old), differences()
    for family in families:
        cells = [bound(worst.get((family, dtype)), printed.get((family, dtype)), dtype) for dtype in DTYPES]
        lines.append(f"| {family} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def goldens() -> Iterator[Checkpoint]:
    """Every checkpoint, once for each layout of its weights."""
    for config in sorted(GOLDEN.glob("models/*/config.json")):
        folder = config.parent
        content = json.loads(config.read_text(encoding="utf-8"))
        (architecture,) = content["architectures"]
        head = next((head for suffix, head in HEADS.items() if architecture.endswith(suffix)), "")
        tokenizers = [name for file, name in TOKENIZERS.items() if (folder / file).is_file()]
        weights = [*safetensors(folder), *pickles(GOLDEN / "pickled" / folder.name)]
        yield Checkpoint(content["model_type"], head, tokenizers, weights)
    for folder in sorted(path for path in GOLDEN.glob("flair/*") if path.is_dir()):
        yield Checkpoint("flair", "token", [SEGTOK], [container(file) for file in folder.glob("*.bin")])


def safetensors(folder: Path) -> Iterator[str]:
    """The layout of a folder's safetensors, and the numbers in them."""
    files = sorted(folder.glob("model*.safetensors"))
    if files:
        kinds = {"F16": "float16", "BF16": "bfloat16"}
        used = {kind for file in files for kind in dtypes(file)}
        yield "safetensors in shards" if len(files) > 1 else "safetensors"
        yield from sorted(f"safetensors in {kinds[kind]}" for kind in used if kind in kinds)


def dtypes(file: Path) -> set[str]:
    """The types of number in a safetensors file, by its header."""
    with file.open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    return {tensor["dtype"] for name, tensor in header.items() if name != "__metadata__"}


def pickles(folder: Path) -> Iterator[str]:
    """The containers of a folder's pickled weights."""
    files = sorted(folder.glob("*.bin"))
    if files:
        yield container(files[0]) + (" in shards" if len(files) > 1 else "")


def container(file: Path) -> str:
    """What a file of pickled weights is packed in."""
    return ".bin zip" if file.read_bytes().startswith(b"PK") else ".bin of torch before 1.6"


def files(checkpoints: list[Checkpoint]) -> tuple[str, str]:
    """Tokenizer files and weights of a family's checkpoints, in the order in which they are looked for."""
    tokenizers = {name for checkpoint in checkpoints for name in checkpoint.tokenizers}
    weights = {name for checkpoint in checkpoints for name in checkpoint.weights}
    order = [name for name in (*TOKENIZERS.values(), SEGTOK) if name in tokenizers]
    return ", ".join(order), ", ".join(sorted(weights, key=lambda name: (name.startswith("."), name)))


def measured(name: str) -> Any:
    """What the tests left behind; without it there is nothing to write."""
    file = MEASURED / f"golden-{name}.json"
    if not file.is_file():
        sys.exit(f"{file}: not there; run cargo test --test golden first")
    return json.loads(file.read_text(encoding="utf-8"))


def differences() -> dict[tuple[str, str], float]:
    """The worst of each family and type of number, over both tasks."""
    worst: dict[tuple[str, str], float] = defaultdict(float)
    for dtype in DTYPES:
        worst["flair", dtype] = measured(f"{dtype}-flair")
        for task in ("token-classification", "text-classification"):
            for family, difference in measured(f"{dtype}-{task}").items():
                worst[family, dtype] = max(worst[family, dtype], difference)
    return worst


def bounds(old: str) -> dict[tuple[str, str], str]:
    """What a page says of each family and type of number."""
    rows = re.findall(r"^\| ([\w-]+) \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$", old, re.MULTILINE)
    return {(row[0], dtype): cell for row in rows for dtype, cell in zip(DTYPES, row[1:], strict=True)}


def bound(worst: float | None, printed: str | None, dtype: str) -> str:
    """A difference that leaves room for other processors; one that was printed stays while it is near enough."""
    if worst is None:
        return "not tested"
    if printed is not None and re.fullmatch(r"\d+e-\d+", printed) and worst <= float(printed) * OTHERS:
        return printed
    steps = (float(f"{digit}e-{power}") for power in range(9, 0, -1) for digit in range(1, 10))
    most = next((step for step in steps if step >= worst * ROOM), 1.0)
    return f"{min(most, EXACT) if dtype == 'float32' else most:.0e}"


if __name__ == "__main__":
    sys.exit(main())
