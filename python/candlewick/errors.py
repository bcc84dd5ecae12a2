"""Exceptions and warnings; each also derives from what Python itself would raise."""

from __future__ import annotations

__all__ = [
    "BackendError",
    "CandlewickError",
    "InputError",
    "InputTypeError",
    "ModelFormatError",
    "ModelNotFoundError",
    "ParameterError",
    "QualityWarning",
    "TruncationWarning",
    "UnsupportedModelError",
]


class CandlewickError(Exception):
    """The root of every exception that this package raises on its own account."""


class InputError(CandlewickError, ValueError):
    """An input can't be answered: empty list, too long with truncation off, ids outside the vocabulary.

    The message names the position of the bad item.
    """


class InputTypeError(InputError, TypeError):
    """An input is of the wrong kind; the message names its position, what is allowed and what came."""


class ParameterError(CandlewickError, ValueError):
    """An option's value or type is not allowed; the message lists what is."""


class ModelNotFoundError(CandlewickError, FileNotFoundError):
    """There is no such model id or folder; the message says what was looked for and where."""


class ModelFormatError(CandlewickError, ValueError):
    """Files of a model are damaged, inconsistent or lack tensors.

    The message names file and tensor, what was expected and what was found.
    """


class UnsupportedModelError(CandlewickError, NotImplementedError):
    """An architecture, activation or file format is not implemented; the message lists those that are.

    `docs/MODELS.md` of the repository has the whole list, with what is tested of each.
    """


class BackendError(CandlewickError, RuntimeError):
    """The computation itself failed, or the pipeline was closed."""


class QualityWarning(UserWarning):
    """int8 changes more of a model's answers than the quality gate allows; `.info["quality"]` has the figures."""


class TruncationWarning(UserWarning):
    """A text was cut at the model's limit; one warning per call, for the first such text.

    Attributes:
        index: Position of the text in the call.
        kept: Tokens that were read, special ones included.
        total: Tokens of the whole text.
    """

    def __init__(self, message: str, index: int = 0, kept: int = 0, total: int = 0) -> None:
        """Keep the numbers beside the message."""
        super().__init__(message)
        self.index = index
        self.kept = kept
        self.total = total


def unsupported(message: str) -> UnsupportedModelError:
    """The error for what is not implemented, and where to look up what is: in the words of the Rust library."""
    return UnsupportedModelError(f"{message}; docs/MODELS.md lists what is tested")
