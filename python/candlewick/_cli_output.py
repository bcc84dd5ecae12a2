"""Answers as a table, as JSON lines or as a page, and the progress bar."""

from __future__ import annotations

import html
import json
import sys
import time
import unicodedata
from typing import IO, Any, Protocol

#: For labels in the order in which they are met, on a terminal and on a page.
_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red")
_HUES = (190, 300, 120, 45, 225, 0)
#: Texts after which a progress bar appears.
_LONG = 256


class Writer(Protocol):
    """Writes answers one by one."""

    def start(self) -> None:
        """Write what stands before the first answer."""

    def write(self, text: str, answer: Any) -> None:
        """Write one answer."""

    def finish(self) -> None:
        """Write what stands behind the last answer."""


def writer(format_: str, task: str, stream: IO[str]) -> Writer:
    """The writer of a format."""
    kinds: dict[str, type[Jsonl] | type[Table] | type[Page]] = {"jsonl": Jsonl, "table": Table, "html": Page}
    return kinds[format_](task, stream)


class Jsonl:
    """One JSON object a line: `text`, and `entities` or `labels`."""

    def __init__(self, task: str, stream: IO[str]) -> None:
        self._key = "entities" if task == "token-classification" else "labels"
        self._stream = stream

    def start(self) -> None:
        """Nothing stands before the first line."""

    def write(self, text: str, answer: Any) -> None:
        """Write one line."""
        self._stream.write(json.dumps({"text": text, self._key: answer}, ensure_ascii=False) + "\n")

    def finish(self) -> None:
        """Nothing stands behind the last line."""


class Table:
    """For people: entities marked in their text, labels with a bar."""

    def __init__(self, task: str, stream: IO[str]) -> None:
        from rich.console import Console

        self._tokens = task == "token-classification"
        self._console = Console(file=stream, highlight=False, emoji=False, markup=False, soft_wrap=True)
        self._labels: dict[str, str] = {}

    def start(self) -> None:
        """Nothing stands before the first text."""

    def write(self, text: str, answer: Any) -> None:
        """Write one text and what was found."""
        from rich.table import Table as RichTable
        from rich.text import Text

        if self._tokens:
            self._console.print(self._marked(text, answer))
            if not answer:
                self._console.print("  nothing found\n", style="dim")
                return
            table = RichTable(box=None, padding=(0, 2), header_style="dim", show_edge=False)
            for heading in ("label", "text", "score", "position"):
                table.add_column(heading)
            for entity in answer:
                label = label_of(entity)
                where = f"{entity['start']}-{entity['end']}"
                source = visible(text[entity["start"] : entity["end"]])
                table.add_row(Text(label, self._colour(label)), Text(source), f"{entity['score']:.3f}", where)
        else:
            self._console.print(Text(visible(text)))
            table = RichTable(box=None, padding=(0, 2), show_header=False, show_edge=False)
            for entry in answer:
                share = min(max(entry["score"], 0.0), 1.0)
                bar = Text("█" * round(20 * share), self._colour(entry["label"]))
                table.add_row(Text(entry["label"]), f"{entry['score']:.3f}", bar)
        self._console.print(table)
        self._console.print()

    def finish(self) -> None:
        """Nothing stands behind the last text."""

    def _colour(self, label: str) -> str:
        return self._labels.setdefault(label, f"bold {_COLOURS[len(self._labels) % len(_COLOURS)]}")

    def _marked(self, text: str, entities: list[dict[str, Any]]) -> Any:
        """The text with ⟦entities LABEL⟧, which can be read without colours, too."""
        from rich.text import Text

        marked = Text()
        for plain, entity in pieces(text, entities):
            if entity is None:
                marked.append(visible(plain))
            else:
                label = label_of(entity)
                marked.append("⟦", "dim")
                marked.append(visible(plain), self._colour(label))
                marked.append(f" {label}⟧", "dim")
        return marked


class Page:
    """One page that needs nothing from anywhere else."""

    def __init__(self, task: str, stream: IO[str]) -> None:
        self._tokens = task == "token-classification"
        self._stream = stream
        self._hues: dict[str, int] = {}

    def start(self) -> None:
        """Write the head."""
        title = "Entities" if self._tokens else "Labels"
        self._stream.write(_HEAD.format(title=title))

    def write(self, text: str, answer: Any) -> None:
        """Write one text as a section."""
        body = self._marked(text, answer) if self._tokens else html.escape(text) + self._bars(answer)
        self._stream.write(f"<section>{body}</section>\n")

    def finish(self) -> None:
        """Write the legend and the end."""
        items = "".join(f'<li style="--hue:{hue}">{html.escape(label)}</li>' for label, hue in self._hues.items())
        legend = f'<footer><h2>Labels</h2><ul aria-label="Labels">{items}</ul></footer>' if items else ""
        self._stream.write(f"</main>{legend}</body></html>\n")

    def _hue(self, label: str) -> int:
        return self._hues.setdefault(label, _HUES[len(self._hues) % len(_HUES)])

    def _marked(self, text: str, entities: list[dict[str, Any]]) -> str:
        parts = []
        for plain, entity in pieces(text, entities):
            if entity is None:
                parts.append(html.escape(plain))
            else:
                label = label_of(entity)
                hint = html.escape(f"{label}, score {entity['score']:.3f}")
                parts.append(
                    f'<mark style="--hue:{self._hue(label)}" title="{hint}">{html.escape(plain)}'
                    f"<small> {html.escape(label)}</small></mark>"
                )
        return "".join(parts)

    def _bars(self, labels: list[dict[str, Any]]) -> str:
        rows = []
        for entry in labels:
            name, share = html.escape(entry["label"]), min(max(entry["score"], 0.0), 1.0)
            hue = self._hue(entry["label"])
            rows.append(
                f'<tr style="--hue:{hue}"><th scope="row">{name}</th><td>{entry["score"]:.3f}</td>'
                f'<td><meter value="{share:.4f}" aria-label="{name}"></meter></td></tr>'
            )
        return f"<table>{''.join(rows)}</table>"


_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title}</title><style>
:root {{ color-scheme: light dark; font: 1.05rem/1.7 system-ui, sans-serif }}
body {{ max-width: 46rem; margin: 2rem auto; padding: 0 1rem }}
section {{ white-space: pre-wrap; overflow-wrap: anywhere; padding: .6rem 0; border-bottom: 1px solid #8884 }}
mark, li {{ background: hsl(var(--hue) 70% 50% / .25); color: inherit; border-radius: .3em; padding: .1em .3em }}
small {{ font-size: .7em; font-weight: 700; opacity: .8 }}
ul {{ display: flex; flex-wrap: wrap; gap: .6rem; list-style: none; padding: 0 }}
th {{ text-align: left; font-weight: 600; padding-right: 1rem }}
td {{ font-variant-numeric: tabular-nums; padding-right: 1rem }}
h1, h2 {{ font-size: 1.1rem }}
</style></head><body><h1>{title}</h1><main>
"""


class Progress:
    """Texts and tokens per second on stderr, if that is a terminal and there is much to do."""

    def __init__(self) -> None:
        self._shown: Any = None
        self._started = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._shown is not None:
            self._shown.stop()

    def show(self, texts: int, tokens: int) -> None:
        """Show how many texts and tokens are done."""
        if self._shown is None and texts >= _LONG and sys.stderr.isatty():
            self._shown = self._start()
        if self._shown is not None:
            seconds = time.monotonic() - self._started
            rate = f"{texts / seconds:,.0f} texts/s, {tokens / seconds:,.0f} tokens/s"
            self._shown.update(self._shown.tasks[0].id, completed=texts, rate=rate)

    @staticmethod
    def _start() -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        columns = (BarColumn(), TextColumn("{task.completed:,} texts"), TextColumn("{task.fields[rate]}"))
        bar = Bar(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True)
        bar.add_task("", total=None, rate="")
        bar.start()
        return bar


def pieces(text: str, entities: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any] | None]]:
    """The text cut at its entities; of entities that overlap, the first one stands."""
    cut: list[tuple[str, dict[str, Any] | None]] = []
    end = 0
    for entity in entities:
        if entity["start"] >= end and entity["end"] > entity["start"]:
            cut += [(text[end : entity["start"]], None), (text[entity["start"] : entity["end"]], entity)]
            end = entity["end"]
    return [*cut, (text[end:], None)]


def label_of(entity: dict[str, Any]) -> str:
    """An entity's label, whatever the strategy calls it."""
    return str(entity.get("entity_group", entity.get("entity")))


def visible(text: str) -> str:
    """The text without characters that would steer the terminal."""
    return "".join("�" if unicodedata.category(c) == "Cc" and c not in "\t\n" else c for c in text)
