"""From a model's name to a folder on this machine, by way of the Hugging Face Hub and its cache."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from candlewick import _files
from candlewick.errors import ModelFormatError, ModelNotFoundError, ParameterError, UnsupportedModelError, unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    #: Told of a download: the bytes that it is about, and those that are here.
    Report = Callable[[int, int], object]

_DEMO = {"token-classification": "ner", "text-classification": "sentiment"}
#: `name` or `organisation/name`, as the Hub allows them.
_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def resolve(
    model: str | os.PathLike[str] | None,
    *,
    task: str | None,
    revision: str | None,
    token: str | bool | None,
    cache_dir: str | os.PathLike[str] | None,
    local_files_only: bool,
    report: Report | None = None,
) -> str:
    """Give the folder of a model: the demo model's, the one that was named, or one of the Hub's cache.

    Only what is needed is downloaded: configuration, tokenizer or vocabularies, and one format of weights. Without a
    connection the cache is used as it is. While something is downloaded, `report` is told how far it is.

    Raises:
        ModelNotFoundError: There is no such folder and no such model, or it can't be reached and the cache lacks it.
        UnsupportedModelError: The repository has weights in other formats only.
    """
    if model is None:
        if task is None:
            raise ParameterError("task: expected one for the demo model, got None")
        return str(Path(__file__).parent / "demo" / _DEMO[task])
    name = os.fspath(model)
    if os.path.isdir(name):
        if revision is not None:
            raise ParameterError(f"revision: expected None for a folder, got {revision!r}")
        return name
    if not _ID.fullmatch(name):
        raise ModelNotFoundError(f"{name}: no such folder, and not a Hub id (name or organisation/name)")
    cache = cache_folder(cache_dir)
    offline = local_files_only or os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    if offline or (revision is not None and _COMMIT.fullmatch(revision)):
        folder = _cached(cache, name, revision)
        if folder is not None:
            return folder
        if offline:
            raise ModelNotFoundError(f"{_named(name, revision)}: not complete in the cache {cache}, and offline")
    return _download(name, revision, token, cache, report)


def cache_folder(cache_dir: str | os.PathLike[str] | None) -> Path:
    """The folder of the Hub's cache, by the same rules as `huggingface_hub`."""
    if cache_dir is not None:
        return Path(cache_dir)
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(variable):
            return Path(os.environ[variable]).expanduser()
    home = os.environ.get("HF_HOME")
    if not home:
        home = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.join("~", ".cache")), "huggingface")
    return Path(home).expanduser() / "hub"


def _cached(cache: Path, name: str, revision: str | None) -> str | None:
    """The snapshot of a revision, if all that is needed of it is there."""
    repository = cache / f"models--{name.replace('/', '--')}"
    revision = revision or "main"
    try:
        commit = revision if _COMMIT.fullmatch(revision) else (repository / "refs" / revision).read_text().strip()
    except OSError:
        return None
    snapshot = repository / "snapshots" / commit
    return str(snapshot) if _complete(snapshot) else None


def _complete(folder: Path) -> bool:
    if _files.is_bare(lambda name: (folder / name).is_file()):
        return True
    if not (folder / "config.json").is_file() or not _files.reads_text(folder):
        return False
    weights = _files.weights(lambda name: (folder / name).is_file())
    if weights is None or not weights.endswith(".json"):
        return weights is not None
    return all((folder / shard).is_file() for shard in set(_files.shards(folder / weights).values()))


def _download(name: str, revision: str | None, token: str | bool | None, cache: Path, report: Report | None) -> str:
    from huggingface_hub import HfApi, errors, hf_hub_download, snapshot_download

    what = _named(name, revision)
    try:
        listing = HfApi().model_info(name, revision=revision, token=token, files_metadata=report is not None)
        files = {file.rfilename: file.size or 0 for file in listing.siblings or []}
        weights = _files.weights(files.__contains__)
        if weights is None:
            raise _no_weights(what, files)
        wanted = [weights, *_files.settings(files)]
        if weights.endswith(".json"):
            index = hf_hub_download(name, weights, revision=revision, token=token, cache_dir=cache)
            wanted += sorted(set(_files.shards(Path(index)).values()))
        bar = None
        if report is not None:
            there = cache / f"models--{name.replace('/', '--')}" / "snapshots" / str(listing.sha)
            bar = _reporting(report, sum(files.get(file, 0) for file in wanted if not (there / file).is_file()))
        return str(
            snapshot_download(
                name, revision=revision, token=token, cache_dir=cache, allow_patterns=wanted, tqdm_class=bar
            )
        )
    except errors.GatedRepoError:
        raise ModelNotFoundError(
            f"{what}: gated on the Hub; accept its conditions there and pass a token of that account"
        ) from None
    except errors.RevisionNotFoundError:
        raise ModelNotFoundError(f"{what}: the Hub has this model, but no such revision") from None
    except errors.RepositoryNotFoundError:
        raise ModelNotFoundError(
            f"{what}: no such folder, and no such model on the Hub (a private one needs a token)"
        ) from None
    except (UnsupportedModelError, ModelFormatError):
        raise
    except Exception as error:  # what a broken connection raises differs from release to release
        folder = _cached(cache, name, revision)
        if folder is not None:
            return folder
        said = str(error).strip().partition("\n")[0]
        raise ModelNotFoundError(
            f"{what}: not in the cache {cache}, and asking the Hub failed ({type(error).__name__}: {said})"
        ) from error


def _reporting(report: Report, total: int) -> type[Any]:
    """Make progress bars that also report; releases of the Hub's library before 1.0 have none that counts bytes."""
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]  # public all the same: it is documented

    done = 0
    report(total, done)

    class Reporting(tqdm):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            self._counted = 0 if options.get("unit") == "B" else None
            super().__init__(*arguments, **options)  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> Any:
            nonlocal done
            if self._counted is not None:
                self._counted += int(n or 0)
                # Bytes that came and bytes that were written have a bar each.
                done = max(done, self._counted)
                report(max(total, done), done)
            return super().update(n)

    return Reporting


def _no_weights(what: str, files: Iterable[str]) -> UnsupportedModelError:
    found = sorted(file for file in files if file.endswith((".h5", ".onnx", ".msgpack", ".pt", ".bin")))
    return unsupported(
        f"{what}: weights in {', '.join(found) or 'no known format'} are not supported; "
        f"supported: {', '.join(_files.WEIGHTS)}"
    )


def _named(name: str, revision: str | None) -> str:
    return name if revision is None else f"{name} (revision {revision})"
