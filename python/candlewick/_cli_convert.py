"""`candlewick convert`: a pickled checkpoint as safetensors, in a folder of one's own or where loading would put it."""

from __future__ import annotations

from pathlib import Path

from candlewick import hub


def run(model: str, out: Path | None, *, revision: str | None, overwrite: bool) -> list[str]:
    """The files that were written, each with its size."""
    folder = hub.resolve(model, task=None, revision=revision, token=None, cache_dir=None, local_files_only=False)
    if out is None:
        from candlewick._checkpoint.cache import converted

        files = sorted(converted(Path(folder)).iterdir())
    else:
        from candlewick._checkpoint.convert import convert

        files = convert(Path(folder), out, overwrite=overwrite)
    return [f"{file.stat().st_size:>13,}  {file}" for file in files]
