"""Checks what is published: the wheel alone in an empty environment, its size, the files of the source distribution."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
MOST_BYTES = 12 << 20
SMOKE = """
import candlewick, candlewick._native, sys
ner = candlewick.pipeline("token-classification", aggregation_strategy="simple")
found = ner("My name is Sarah Jessica Parker but you can call me Jessica")
assert [(e["entity_group"], e["start"], e["end"]) for e in found] == [("PER", 11, 31), ("PER", 52, 59)], found
assert candlewick.pipeline("sentiment-analysis")("What a wonderful evening!")[0]["label"] == "positive"
assert not {"torch", "transformers", "pyarrow"} & set(sys.modules)
"""
NEEDED = (
    "Cargo.toml",
    "Cargo.lock",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "rust/lib.rs",
    "python/candlewick/py.typed",
    "python/candlewick/demo/ner/model.safetensors",
)


def main() -> None:
    """Run every check; the first that fails ends the run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheels", type=Path)
    parser.add_argument("--build-sdist", action="store_true", help="also build a wheel from the source distribution")
    arguments = parser.parse_args()
    wheel = only(arguments.wheels, "*.whl")
    size = wheel.stat().st_size
    assert size <= MOST_BYTES, f"the wheel has {size} bytes, allowed are {MOST_BYTES}"
    print(f"{wheel.name}: {size / (1 << 20):.1f} MiB")
    with tempfile.TemporaryDirectory() as folder:
        alone(wheel, Path(folder))
        sdist = source(Path(folder))
        if arguments.build_sdist:
            alone(sdist, Path(folder) / "from-source")


def alone(package: Path, folder: Path) -> None:
    """Install into an empty environment and use it from an empty folder."""
    folder.mkdir(exist_ok=True)
    venv.create(folder / "venv", with_pip=True)
    binaries = folder / "venv" / "bin"
    empty = folder / "empty"
    empty.mkdir()
    run([binaries / "pip", "install", "--quiet", package], empty)
    run([binaries / "python", "-W", "error", "-c", SMOKE], empty)
    run([binaries / "candlewick", "--version"], empty)
    run([binaries / "candlewick", "ner", "Call me Jessica"], empty)
    print(f"{package.name}: works alone")


def source(folder: Path) -> Path:
    """Make the source distribution and look for what a build needs."""
    run([ROOT / ".venv" / "bin" / "maturin", "sdist", "--out", folder / "sdist"], ROOT)
    sdist = only(folder / "sdist", "*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    missing = [name for name in NEEDED if name not in names]
    assert not missing, f"the source distribution lacks {missing}"
    print(f"{sdist.name}: complete")
    return sdist


def only(folder: Path, pattern: str) -> Path:
    """Give the one file of a pattern."""
    (file,) = folder.glob(pattern)
    return file.resolve()


def run(command: list[str | Path], folder: Path) -> None:
    """Run a command, or end with what it said."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command[:3]))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
