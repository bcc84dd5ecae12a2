"""Score the demo models on sentences that they were not trained on: `python demo/evaluate.py`."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
MODELS = Path(__file__).parent.parent / "python" / "candlewick" / "demo"
EXAMPLE = "My name is Sarah Jessica Parker but you can call me Jessica"
EXAMPLE_SPANS = {(11, 31, "PER"), (52, 59, "PER")}

Span = tuple[int, int, str]


def read(path: Path) -> list[dict[str, Any]]:
    """Read a JSON Lines file of `{"text", "kind", "entities" or "label"}`."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def read_marked(path: Path) -> list[dict[str, Any]]:
    """Read sentences whose spans are marked as `[name|TYPE]`."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        kind, marked = line.split("\t")
        text, entities = "", []
        for part in marked.replace("[", "]").split("]"):
            name, bar, label = part.rpartition("|")
            if bar:
                entities.append([len(text), len(text) + len(name), label])
            text += name if bar else part
        rows.append({"text": text, "kind": kind, "entities": entities})
    return rows


def read_labelled(path: Path) -> list[dict[str, Any]]:
    """Read sentences, `kind TAB label TAB text`."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if line[0] != "#"]
    return [{"kind": kind, "label": label, "text": text} for kind, label, text in rows]


def sentences(task: str, name: str) -> list[dict[str, Any]]:
    """The rows of a set (`handwritten`, `dev` or `late`) for `ner` or `sentiment`."""
    if name == "handwritten":
        return read(DATA / f"handwritten_{task}.jsonl")
    path = DATA / f"{name}_{task}.txt"
    return read_marked(path) if task == "ner" else read_labelled(path)


def spans(groups: Iterable[dict[str, Any]]) -> set[Span]:
    """The spans of one pipeline result with an aggregation strategy."""
    return {(g["start"], g["end"], g["entity_group"]) for g in groups}


def span_scores(rows: list[dict[str, Any]], predicted: list[set[Span]]) -> dict[str, tuple[float, float, float]]:
    """Precision, recall and F1 of exact spans and types: over all, by type, by kind of text."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for row, found in zip(rows, predicted, strict=True):
        gold = {tuple(e) for e in row["entities"]}
        for position, members in enumerate((gold & found, found, gold)):
            for span in members:
                for key in ("all", span[2], row["kind"]):
                    counts[key][position] += 1
    scores = {}
    for key, (right, found_count, gold_count) in counts.items():
        precision, recall = right / max(1, found_count), right / max(1, gold_count)
        scores[key] = (precision, recall, 2 * right / max(1, found_count + gold_count))
    return scores


def accuracy(rows: list[dict[str, Any]], predicted: list[str]) -> dict[str, float]:
    """Share of right labels: over all, by label and by kind of text."""
    right: dict[str, list[bool]] = defaultdict(list)
    for row, label in zip(rows, predicted, strict=True):
        for key in ("all", row["label"], row["kind"]):
            right[key].append(label == row["label"])
    return {key: sum(hits) / len(hits) for key, hits in right.items()}


def marked(text: str, found: Iterable[Iterable[Any]]) -> str:
    """Text with its spans marked as `[name|TYPE]`."""
    for start, end, label in sorted(map(tuple, found), reverse=True):
        text = f"{text[:start]}[{text[start:end]}|{label}]{text[end:]}"
    return text


def ner_failures(rows: list[dict[str, Any]], predicted: list[set[Span]]) -> list[tuple[str, str]]:
    """Expected and found markings of every sentence that is not all right."""
    return [
        (marked(row["text"], row["entities"]), marked(row["text"], found))
        for row, found in zip(rows, predicted, strict=True)
        if found != {tuple(e) for e in row["entities"]}
    ]


def sentiment_failures(rows: list[dict[str, Any]], predicted: list[str]) -> list[tuple[str, str, str]]:
    """Expected label, found label and text of every sentence that is not right."""
    pairs = zip(rows, predicted, strict=True)
    return [(row["label"], label, row["text"]) for row, label in pairs if label != row["label"]]


def report_ner(rows: list[dict[str, Any]], run: Callable[[str, str], set[Span]], failures: bool) -> None:
    """Print the scores for each aggregation strategy."""
    for strategy in ("simple", "first", "average", "max"):
        predicted = [run(row["text"], strategy) for row in rows]
        for key, (precision, recall, f1) in sorted(span_scores(rows, predicted).items()):
            if key == "all" or strategy == "simple":
                print(f"{strategy:8} {key:10} P {precision:.3f}  R {recall:.3f}  F1 {f1:.3f}")
        if strategy == "simple" and failures:
            for expected, got in ner_failures(rows, predicted):
                print(f"- {expected}\n  - {got}")


def main() -> None:
    """Run both models with candlewick and print the figures."""
    import candlewick

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--set", choices=["handwritten", "dev", "late"], default="handwritten")
    parser.add_argument("--failures", action="store_true", help="also list every failure")
    parser.add_argument("tasks", nargs="*", metavar="task", help="ner, sentiment; default both")
    args = parser.parse_args()
    tasks = args.tasks or ["ner", "sentiment"]

    if "ner" in tasks:
        ner = candlewick.pipeline("token-classification", args.models / "ner")

        def run(text: str, strategy: str) -> set[Span]:
            return spans(ner(text, aggregation_strategy=strategy))

        report_ner(sentences("ner", args.set), run, args.failures)
        for strategy in ("simple", "first", "average", "max"):
            found = run(EXAMPLE, strategy)
            print(f"example, {strategy}:", "right" if found == EXAMPLE_SPANS else marked(EXAMPLE, found))

    if "sentiment" in tasks:
        classify = candlewick.pipeline("text-classification", args.models / "sentiment")
        rows = sentences("sentiment", args.set)
        labels = [answer["label"] for answer in classify([row["text"] for row in rows])]
        for key, value in sorted(accuracy(rows, labels).items()):
            print(f"accuracy {key:10} {value:.3f}")
        if args.failures:
            for expected, got, text in sentiment_failures(rows, labels):
                print(f"- {expected} as {got}: {text}")


if __name__ == "__main__":
    main()
