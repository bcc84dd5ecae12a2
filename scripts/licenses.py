"""Collects the licences of every crate that is linked into the wheel: THIRD-PARTY-LICENSES.txt."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "THIRD-PARTY-LICENSES.txt"
NAMES = ("LICENSE*", "LICENCE*", "COPYING*", "COPYRIGHT*", "NOTICE*", "license*", "UNLICENSE*")


def main() -> None:
    """Write the file, or with --check say whether it names every crate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    crates = linked()
    if not parser.parse_args().check:
        TARGET.write_text(text(crates), encoding="utf-8")
        return
    written = TARGET.read_text(encoding="utf-8") if TARGET.exists() else ""
    missing = [title(crate) for crate in crates if title(crate) not in written]
    if missing:
        sys.exit(f"{TARGET.name} lacks {', '.join(missing)}: run scripts/licenses.py")


def linked() -> list[dict[str, str]]:
    """Every crate of the wheel, except ours."""
    command = [
        "cargo",
        "metadata",
        "--locked",
        "--format-version=1",
        "--features",
        "extension-module",
        "--filter-platform",
        "x86_64-unknown-linux-gnu",
    ]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    wanted, todo = set(), [metadata["resolve"]["root"]]
    while todo:
        crate = todo.pop()
        if crate not in wanted:
            wanted.add(crate)
            todo += [
                dependency["pkg"]
                for dependency in nodes[crate]["deps"]
                if any(kind["kind"] is None for kind in dependency["dep_kinds"])
            ]
    wanted.remove(metadata["resolve"]["root"])
    return sorted((crate for crate in metadata["packages"] if crate["id"] in wanted), key=title)


def title(crate: dict[str, str]) -> str:
    """Name, version and licence of a crate."""
    return f"{crate['name']} {crate['version']} ({crate['license'] or 'see below'})"


def text(crates: list[dict[str, str]]) -> str:
    """Every licence text once, under the crates that bring it."""
    texts: dict[str, list[str]] = {}
    for crate in crates:
        folder = Path(crate["manifest_path"]).parent
        files = sorted({file for pattern in NAMES for file in folder.glob(pattern) if file.is_file()})
        found = [file.read_text(encoding="utf-8", errors="replace").strip() for file in files]
        for licence in found or [f"The crate brings no text; its licence is {crate['license']}."]:
            texts.setdefault(licence, []).append(title(crate))
    parts = ["The wheel of candlewick contains compiled code of these crates, under these licences."]
    for licence, names in sorted(texts.items(), key=lambda item: item[1]):
        parts += ["=" * 100, "\n".join(sorted(set(names))), "-" * 100, licence]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
