"""The Rust core. Private: use `candlewick.pipeline`."""

from collections.abc import Callable, Iterator
from typing import Any, Final, TypedDict, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Unpack

from candlewick.types import TextClassificationOptions, TokenClassificationOptions

__all__ = [
    "Answers",
    "Logits",
    "Pending",
    "Server",
    "TextClassifier",
    "TokenClassifier",
    "Yardstick",
    "__version__",
    "cache_clear",
    "cache_list",
    "log_to_stderr",
    "machine",
    "task_of",
]

__version__: Final[str]

class _LoadOptions(TypedDict, total=False):
    dtype: str | None
    quality: str | None
    calibration: list[str] | list[tuple[str, str]] | None
    packed_cache: str | None
    threads: int | None
    max_tokens: int | None

def machine(measure: bool, threads: int | None = None) -> dict[str, Any]:
    """What runs on this machine, and with `measure` its rates in bytes and operations a second on so many threads."""

@final
class Yardstick:
    """Measures the rates of this machine again and again, on so many threads."""

    def __new__(cls, threads: int) -> Yardstick: ...
    def now(self) -> dict[str, float]:
        """Give the rates of this moment, named as those of `machine`."""

def cache_list(folder: str) -> list[tuple[str, str, int, float]]:
    """Give model, types, bytes and time of last use of each file of a packed cache."""

def cache_clear(folder: str) -> tuple[int, int]:
    """Empty a packed cache; give how many files it had, and their bytes."""

def task_of(folder: str) -> str:
    """Give the task that a model folder's `config.json` names."""

def log_to_stderr(level: str, json: bool) -> bool:
    """Send logs to standard error; say whether nobody had asked for that before."""

@final
class Server:
    """A server that listens, and answers while it runs."""

    def __new__(
        cls,
        models: list[tuple[str, str | None, str | None, str | None]],
        resolve: Callable[[str | None, str | None, str | None, Callable[[int, int], object]], tuple[str, str | None]],
        host: str,
        port: int,
        path: str | None,
        **options: Any,
    ) -> Server:
        """Bind; a model is its name, what `resolve` is asked for, revision and task.

        `resolve` gives a folder and its commit, and is handed a function that takes the bytes of a download: all of
        them, and those that are here.
        """

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port, or nothing for a Unix socket."""

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Host and port of metrics alone, if they have one."""

    @property
    def loading(self) -> bool:
        """Whether a model is neither ready nor failed yet."""

    @property
    def ready(self) -> bool:
        """Whether a model answers."""

    def run(self, signals: bool) -> None:
        """Answer until stopped; with `signals`, SIGTERM and SIGINT do that."""

    def stop(self) -> None:
        """Finish what is being answered; the second time, end at once."""

@final
class Answers(Iterator[tuple[int, Any, tuple[int, int] | None]]):
    """Position, answer, and tokens kept and in total where the input was cut; as they finish."""

    def __iter__(self) -> Answers: ...
    def __next__(self) -> tuple[int, Any, tuple[int, int] | None]: ...

@final
class Logits:
    """What post-processing starts from, for one input."""

    @property
    def values(self) -> NDArray[np.float32]:
        """`[tokens, labels]` for token classification, `[labels]` for text classification."""

    @property
    def offsets(self) -> NDArray[np.int64]:
        """`[tokens, 2]`, in code points."""

    @property
    def tokens(self) -> list[str]:
        """The vocabulary's strings."""

    @property
    def special_tokens_mask(self) -> NDArray[np.bool_]:
        """`[tokens]`: whether the template added the token."""

@final
class Pending:
    """A call on its way."""

    def cancel(self) -> None:
        """Take it back: what has not been computed for it is not."""

@final
class TokenClassifier:
    """Token classification over a model folder."""

    def __new__(cls, folder: str, **options: Unpack[_LoadOptions]) -> TokenClassifier: ...
    @property
    def labels(self) -> list[str]: ...
    @property
    def max_tokens(self) -> int: ...
    @property
    def model_type(self) -> str: ...
    @property
    def computed_tokens(self) -> int:
        """Tokens that all calls together have put through the network so far."""

    @property
    def info(self) -> dict[str, Any]: ...
    def run(
        self, inputs: list[Any], **options: Unpack[TokenClassificationOptions]
    ) -> tuple[list[list[dict[str, Any]]], list[tuple[int, int, int]]]:
        """Give the answers in order, and index, kept and total tokens of each input that was cut."""

    def submit(
        self, inputs: list[Any], done: Callable[[Any, Any], None], **options: Unpack[TokenClassificationOptions]
    ) -> Pending:
        """Let `done(answers, error)` be called on another thread; `answers` are what `run` gives."""

    def stream(self, inputs: list[Any], **options: Unpack[TokenClassificationOptions]) -> Answers:
        """Give answers as they finish."""

    def logits(self, inputs: list[Any], **options: Unpack[TokenClassificationOptions]) -> list[Logits]:
        """Give what post-processing starts from, for each input."""

    def query(self, body: str) -> tuple[str, list[str]]:
        """Give the response body to a request body, and warnings."""

    def profile(self, text: str, rounds: int) -> list[tuple[str, float]]:
        """Give the seconds of each stage, and of the whole, of the median of so many answers."""

    def work(self, tokens: int) -> tuple[int, int, int]:
        """Give bytes of weights, and operations of dense layers and of attention, for so many tokens."""

    def close(self) -> None:
        """Free the model."""

@final
class TextClassifier:
    """Text classification over a model folder."""

    def __new__(cls, folder: str, **options: Unpack[_LoadOptions]) -> TextClassifier: ...
    @property
    def labels(self) -> list[str]: ...
    @property
    def max_tokens(self) -> int: ...
    @property
    def model_type(self) -> str: ...
    @property
    def computed_tokens(self) -> int:
        """Tokens that all calls together have put through the network so far."""

    @property
    def info(self) -> dict[str, Any]: ...
    def run(
        self, inputs: list[Any], **options: Unpack[TextClassificationOptions]
    ) -> tuple[list[list[dict[str, Any]]], list[tuple[int, int, int]]]:
        """Give the answers in order, and index, kept and total tokens of each input that was cut."""

    def submit(
        self, inputs: list[Any], done: Callable[[Any, Any], None], **options: Unpack[TextClassificationOptions]
    ) -> Pending:
        """Let `done(answers, error)` be called on another thread; `answers` are what `run` gives."""

    def stream(self, inputs: list[Any], **options: Unpack[TextClassificationOptions]) -> Answers:
        """Give answers as they finish."""

    def logits(self, inputs: list[Any], **options: Unpack[TextClassificationOptions]) -> list[Logits]:
        """Give what post-processing starts from, for each input."""

    def query(self, body: str) -> tuple[str, list[str]]:
        """Give the response body to a request body, and warnings."""

    def profile(self, text: str, rounds: int) -> list[tuple[str, float]]:
        """Give the seconds of each stage, and of the whole, of the median of so many answers."""

    def work(self, tokens: int) -> tuple[int, int, int]:
        """Give bytes of weights, and operations of dense layers and of attention, for so many tokens."""

    def close(self) -> None:
        """Free the model."""
