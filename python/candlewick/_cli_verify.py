"""`candlewick verify`: a model's answers beside the reference's, and how far they are apart."""

from __future__ import annotations

from pathlib import Path

import candlewick
from candlewick import _cli_input, _native, hub
from candlewick._cli_output import visible
from candlewick._verify import Reference, Text, VerificationError, saved, texts, transformers_
from candlewick._verify.compare import Comparison, Row, compare
from candlewick.errors import ParameterError

#: Labels that are shown of a model with many.
_MOST = 12


def run(
    model: str,
    *,
    revision: str | None,
    files: list[Path],
    column: str,
    dtype: str,
    tolerance: float,
    save: bool,
    only_saved: bool,
) -> tuple[list[str], bool]:
    """The lines to show, and whether the answers are within the tolerance.

    Raises:
        VerificationError: There is no reference, or it can't be used.
    """
    if not tolerance >= 0:
        raise ParameterError(f"--tolerance: expected 0 or more, got {tolerance}")
    if save and only_saved:
        raise ParameterError("--save: expected without --saved, got both")
    own: list[Text] = [*_cli_input.read(files, column)]
    name = hub.resolve(model, task=None, revision=revision, token=None, cache_dir=None, local_files_only=False)
    folder, task = Path(name), _native.task_of(name)
    known = saved.files_of(folder)
    with candlewick.pipeline(task, folder, dtype=dtype, quality="skip") as pipe:
        if transformers_.installed() and not only_saved:
            built_in = texts.SINGLE if task == "token-classification" else texts.SINGLE + texts.PAIRS
            reference = transformers_.reference(folder, task, [*built_in, *own], pipe.max_tokens)
            lines = [f"saved as {saved.write(folder, known, reference)}"] if save else []
        else:
            reference, lines = _saved(model, folder, known, own, save), []
        comparison = compare(pipe, reference)
        head = f"{model}: {pipe.model_type}, {dtype}, against {reference.by}, float32"
    good = comparison.flips == 0 and comparison.worst_score <= tolerance
    return [head, *_table(comparison), *_verdict(comparison, reference, tolerance, good), *lines], good


def _saved(model: str, folder: Path, known: dict[str, str], own: list[Text], save: bool) -> Reference:
    file = saved.place(folder, known)
    how = f"pip install transformers torch, or run `candlewick verify {model} --save` where they are"
    if save:
        raise VerificationError(f"{model}: --save needs transformers and torch, which are not installed here: {how}")
    if file is None or not file.is_file():
        where = f"; then copy what it writes to {file}" if file is not None else ""
        raise VerificationError(f"{model}: no reference: none is saved for these files, and {_missing()}: {how}{where}")
    reference = saved.read(file, known)
    absent = sum(text not in reference.texts for text in own)
    if absent:
        raise VerificationError(f"{file}: lacks {absent} of the {len(own)} texts of --file, and {_missing()}: {how}")
    return reference


def _missing() -> str:
    return "transformers and torch are not asked" if transformers_.installed() else "transformers is not installed here"


def _table(comparison: Comparison) -> list[str]:
    """What was compared, the worst first where there are too many labels to show."""
    rows = comparison.rows
    if len(rows) > _MOST:
        worst = sorted(rows[2:], key=lambda row: (row.flips, row.worst or 0.0), reverse=True)[: _MOST - 2]
        rows = [*rows[:2], *(row for row in rows[2:] if row in worst)]
    cells = [("", "compared", "differ", "worst difference"), *map(_cells, rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(4)]
    lines = [f"  {row[0]:{widths[0]}}" + "".join(f"  {row[at]:>{widths[at]}}" for at in (1, 2, 3)) for row in cells]
    left_out = len(comparison.rows) - len(rows)
    return lines + ([f"  and {left_out} labels that differ less"] if left_out else [])


def _cells(row: Row) -> tuple[str, str, str, str]:
    worst = "" if row.worst is None else f"{row.worst:.1e}"
    return visible(row.name), f"{row.compared:,}", f"{row.flips:,}", worst


def _verdict(comparison: Comparison, reference: Reference, tolerance: float, good: bool) -> list[str]:
    lines = []
    if comparison.ties:
        lines.append(f"texts whose labels are not compared, since the best two are nearly equal: {comparison.ties}")
    if comparison.rows[0].flips and reference.by.startswith("transformers 5"):
        lines.append("transformers 5 builds some tokenizers anew; models were trained with those of 4.57")
    worst = f"scores differ by at most {comparison.worst_score:.1e}"
    lines.append(f"{'ok' if good else 'not ok'}: {comparison.flips} differ, {worst} (tolerance {tolerance:g})")
    return lines
