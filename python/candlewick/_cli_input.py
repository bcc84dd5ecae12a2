"""Texts from arguments, pipes and files, one by one."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

#: Stands for standard input in a list of sources.
STDIN = Path("-")
_KINDS = (".txt", ".jsonl", ".csv", ".parquet")


class InputFileError(Exception):
    """A file can't be read as texts; the message names file, line and what was expected."""


def read(sources: Iterable[str | Path], column: str) -> Iterator[str]:
    """Give the texts of all sources: a `str` is one, a `Path` is a file of many."""
    for source in sources:
        if isinstance(source, str):
            yield source
        elif source == STDIN:
            yield from _lines(sys.stdin.buffer, "standard input")
        else:
            yield from _file(source, column)


def _file(file: Path, column: str) -> Iterator[str]:
    kind = file.suffix.lower()
    if kind not in _KINDS:
        raise InputFileError(f"{file}: expected a name that ends with one of {', '.join(_KINDS)}")
    if kind == ".parquet":
        yield from _parquet(file, column)
        return
    with file.open("rb") as stream:
        if kind == ".txt":
            yield from _lines(stream, str(file))
        elif kind == ".jsonl":
            yield from _jsonl(stream, file, column)
        else:
            yield from _csv(stream, file, column)


def _lines(stream: IO[bytes], name: str) -> Iterator[str]:
    for number, line in enumerate(stream, 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise InputFileError(f"{name}, line {number}: expected UTF-8, got {error.reason}") from None


def _jsonl(stream: IO[bytes], file: Path, column: str) -> Iterator[str]:
    for number, line in enumerate(_lines(stream, str(file)), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputFileError(f"{file}, line {number}: broken JSON: {error}") from None
        value = row.get(column) if isinstance(row, dict) else None
        yield _text(value, file, number, column, row if isinstance(row, dict) else ())


def _csv(stream: IO[bytes], file: Path, column: str) -> Iterator[str]:
    # Fields may hold line ends, so lines keep theirs here.
    csv.field_size_limit(1 << 30)
    rows = csv.DictReader((line + "\n" for line in _lines(stream, str(file))), strict=True)
    try:
        for row in rows:
            yield _text(row.get(column), file, rows.line_num, column, rows.fieldnames or ())
    except csv.Error as error:
        raise InputFileError(f"{file}, line {rows.line_num}: broken CSV: {error}") from None


def _parquet(file: Path, column: str) -> Iterator[str]:
    try:
        import pyarrow.parquet
    except ImportError:
        raise InputFileError(f"{file}: reading parquet needs pyarrow: pip install 'candlewick[files]'") from None
    try:
        table = pyarrow.parquet.ParquetFile(file)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputFileError(f"{file}: not a parquet file: {error}") from None
    with table:
        names = table.schema_arrow.names
        if column not in names:
            raise InputFileError(f"{file}: expected a column {column!r} (--column), got {', '.join(names)}")
        number = 0
        for batch in table.iter_batches(columns=[column]):
            for value in batch.column(0).to_pylist():
                number += 1
                yield _text(value, file, number, column, names)


def _text(value: Any, file: Path, number: int, column: str, names: Iterable[str]) -> str:
    if isinstance(value, str):
        return value
    got = f"the columns {', '.join(names)}" if value is None else type(value).__name__
    raise InputFileError(f"{file}, line {number}: expected text in column {column!r} (--column), got {got}")
