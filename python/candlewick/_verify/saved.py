"""References that are kept, for machines without the library that computed them.

They lie in `references` beside the packed weights, one for each model: a line that says what the file is and what the
rest adds up to, and a line with the reference. Its name says of which files it is, and so does its content. A tagger's
files are those that its pickle is converted to: folders with the one and with the others have the same reference.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from candlewick import _files, _packed
from candlewick._checkpoint import flair
from candlewick._checkpoint.cache import converted
from candlewick._checkpoint.identity import name_of
from candlewick._verify import Reference, Result, VerificationError
from candlewick.errors import BackendError

#: Raised when a reference of today could not be read by a release of yesterday.
FORMAT = 1
_FOLDER = "references"
_DTYPE = "float32"
_BLOCK = 1 << 20


def files_of(model: Path) -> dict[str, str]:
    """The files that a model is read from, each with the SHA-256 of its content."""
    if flair.is_tagger(model):
        model = converted(model)
    weights = _files.weights(lambda name: (model / name).is_file())
    names = [*_files.settings_of(model), *([weights] if weights else [])]
    if weights and weights.endswith(".json"):
        names += sorted(set(_files.shards(model / weights).values()))
    return {name: _sha256(model / name) for name in names if (model / name).is_file()}


def place(model: Path, files: dict[str, str]) -> Path | None:
    """Where the reference of a model would be; `None` for a user without a home."""
    folder = _packed.folder()
    return None if folder is None else Path(folder) / _FOLDER / f"{name_of(model)}-{_digest(files)}.json"


def find(model: Path, files: dict[str, str]) -> Path | None:
    """Where it is, under this name of the model or another; `None` if there is none."""
    expected = place(model, files)
    if expected is None or expected.is_file():
        return expected
    return next(iter(sorted(expected.parent.glob(f"*-{_digest(files)}.json"))), None)


def _digest(files: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:16]


def write(model: Path, files: dict[str, str], reference: Reference) -> Path:
    """Keep a reference; it appears when it is complete.

    Raises:
        ParameterError: The cache is a folder that can't be used.
        BackendError: The disk is full or can't be written.
    """
    folder = _packed.open_folder(_FOLDER, "references")
    target = place(model, files)
    assert target is not None  # a folder was opened
    results = [result._asdict() for result in reference.results]
    content = {"dtype": _DTYPE, "model": target.stem, "files": files, **reference._asdict(), "results": results}
    body = json.dumps(content, ensure_ascii=False)
    head = json.dumps({"format": FORMAT, "sha256": hashlib.sha256(body.encode()).hexdigest()})
    try:
        handle, name = tempfile.mkstemp(".partial", dir=folder)
        partial = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(f"{head}\n{body}\n")
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise BackendError(f"{target}: the reference can't be kept: {error.strerror}") from error
    return target


def read(file: Path, files: dict[str, str]) -> Reference:
    """A reference of these files.

    Raises:
        VerificationError: It is damaged, of another release's format, or of other files.
    """
    content = _content(file)
    try:
        if content["dtype"] != _DTYPE:
            raise VerificationError(f"{file}: expected a reference in {_DTYPE}, got {content['dtype']}")
        known: dict[str, str] = content["files"]
        differ = [name for name in sorted({*known, *files}) if known.get(name) != files.get(name)]
        if differ:
            raise VerificationError(f"{file}: a reference of other files: {', '.join(differ)} differ")
        texts = [tuple(text) if isinstance(text, list) else text for text in content["texts"]]
        results = [Result(**result) for result in content["results"]]
        return Reference(content["by"], content["task"], texts, results)
    except (KeyError, TypeError, AttributeError) as error:
        raise VerificationError(f"{file}: not a saved reference: {error}") from None


def _content(file: Path) -> Any:
    try:
        head, _, body = file.read_text(encoding="utf-8").partition("\n")
        said = json.loads(head)
        body = body.rstrip("\n")
        if said["format"] != FORMAT:
            raise VerificationError(f"{file}: expected format {FORMAT}, got {said['format']}; save it anew")
        if said["sha256"] != hashlib.sha256(body.encode()).hexdigest():
            raise VerificationError(f"{file}: damaged, it does not add up to what it says; save it anew")
        return json.loads(body)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise VerificationError(f"{file}: not a saved reference; save it anew") from None


def kept() -> Iterator[tuple[str, int, float]]:
    """Model, size and time of each reference that is kept."""
    for file in _kept():
        stat = file.stat()
        yield file.stem.rpartition("-")[0].replace("--", "/"), stat.st_size, stat.st_mtime


def clear() -> tuple[int, int]:
    """Remove all of them: how many there were, and their bytes."""
    files = list(_kept())
    size = sum(file.stat().st_size for file in files)
    for file in files:
        file.unlink()
    return len(files), size


def _kept() -> Iterator[Path]:
    folder = _packed.folder()
    yield from Path(folder, _FOLDER).glob("*.json") if folder is not None else ()


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
