"""`candlewick verify`: a model's answers beside the reference's, and how far they are apart."""

from __future__ import annotations

from pathlib import Path

import candlewick
from candlewick import _cli_input, hub
from candlewick._cli_output import visible
from candlewick._verify import TAGGER, Reference, Text, VerificationError, flair_, saved, texts, transformers_
from candlewick._verify.compare import Comparison, Row, compare
from candlewick._verify.library import Library
from candlewick.errors import ParameterError

#: Labels that are shown of a model with many.
_MOST = 12
#: How far scores may differ. Flair sums up those of a path in float32: after hundreds of words, its last digit is 1e-4.
_TOLERANCE, _TAGGERS_TOLERANCE = 1e-5, 1e-4


def run(
    model: str,
    *,
    revision: str | None,
    files: list[Path],
    column: str,
    dtype: str,
    tolerance: float | None,
    save: bool,
    only_saved: bool,
) -> tuple[list[str], bool]:
    """The lines to show, and whether the answers are within the tolerance.

    Raises:
        VerificationError: There is no reference, or it can't be used.
    """
    if tolerance is not None and not tolerance >= 0:
        raise ParameterError(f"--tolerance: expected 0 or more, got {tolerance}")
    if save and only_saved:
        raise ParameterError("--save: expected without --saved, got both")
    own: list[Text] = [*_cli_input.read(files, column)]
    name = hub.resolve(model, task=None, revision=revision, token=None, cache_dir=None, local_files_only=False)
    folder = Path(name)
    with candlewick.pipeline(model=folder, dtype=dtype, quality="skip") as pipe:
        tagger = pipe.model_type == TAGGER
        library: Library = flair_ if tagger else transformers_
        known = saved.files_of(folder)
        obstacle = f"{library.NAME} is not asked" if only_saved else library.obstacle(folder)
        if obstacle is None:
            built_in = texts.SINGLE if pipe.task == "token-classification" else texts.SINGLE + texts.PAIRS
            reference = library.reference(folder, pipe.task, [*built_in, *own], pipe.max_tokens)
            lines = [f"saved as {saved.write(folder, known, reference)}"] if save else []
        else:
            how = f"{obstacle}: {library.remedy(model, folder)}"
            if save:
                raise VerificationError(f"{model}: --save: {how}")
            reference, lines = _saved(model, folder, known, own, how), []
        comparison = compare(pipe, reference)
        head = f"{model}: {pipe.model_type}, {dtype}, against {reference.by}, float32"
    if tolerance is None:
        tolerance = _TAGGERS_TOLERANCE if tagger else _TOLERANCE
    good = comparison.flips == 0 and comparison.worst_score <= tolerance
    return [head, *_table(comparison), *_verdict(comparison, reference, tolerance, good), *lines], good


def _saved(model: str, folder: Path, known: dict[str, str], own: list[Text], how: str) -> Reference:
    file = saved.find(folder, known)
    if file is None:
        place = saved.place(folder, known)
        where = f"; then copy what it writes to {place}" if place is not None else ""
        raise VerificationError(f"{model}: no reference: none is saved for these files, and {how}{where}")
    reference = saved.read(file, known)
    absent = sum(text not in reference.texts for text in own)
    if absent:
        raise VerificationError(f"{file}: lacks {absent} of the {len(own)} texts of --file, and {how}")
    return reference


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
