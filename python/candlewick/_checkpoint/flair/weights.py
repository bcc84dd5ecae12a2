"""The state dict of a tagger: every tensor is asked for once, in the shape that the settings say."""

from __future__ import annotations

from typing import Any

from candlewick._checkpoint.objects import Tensor, shown
from candlewick._checkpoint.safetensors_file import Source
from candlewick._checkpoint.torch_file import TorchFile
from candlewick.errors import ModelFormatError

_FLOATS = ("F32", "F16", "BF16")


class Weights:
    """The tensors under a prefix."""

    def __init__(
        self, tensors: dict[Any, Any], file: TorchFile, prefix: str = "", used: set[str] | None = None
    ) -> None:
        """All of them, to begin with."""
        self.file = file
        self._tensors, self._prefix = tensors, prefix
        self._used: set[str] = set() if used is None else used

    def under(self, prefix: str) -> Weights:
        """Those of a part."""
        return Weights(self._tensors, self.file, self._prefix + prefix, self._used)

    def has(self, name: str) -> bool:
        """Whether there is one of this name."""
        return self._prefix + name in self._tensors

    def take(self, name: str, *shape: int) -> Source:
        """The tensor of a name; of any shape if none is given."""
        full = self._prefix + name
        tensor = self._tensors.get(full)
        if not isinstance(tensor, Tensor):
            raise ModelFormatError(f"tensor {full}: expected shape {list(shape)}, got none")
        if shape and tensor.shape != shape:
            raise ModelFormatError(f"tensor {full}: expected shape {list(shape)}, got {list(tensor.shape)}")
        if tensor.storage.dtype not in _FLOATS:
            raise ModelFormatError(f"tensor {full}: expected one of {_FLOATS}, got {tensor.storage.dtype}")
        self._used.add(full)
        return Source(tensor, self.file)

    def lstm(self, prefix: str, layer: str, inputs: int, hidden: int) -> dict[str, Source]:
        """The four tensors of one layer in one direction; torch stacks the gates i, f, g, o."""
        shapes = {"weight_ih": [inputs], "weight_hh": [hidden], "bias_ih": [], "bias_hh": []}
        names = {f"{prefix}{name}_{layer}": columns for name, columns in shapes.items()}
        return {name: self.take(name, 4 * hidden, *columns) for name, columns in names.items()}

    def drop(self, prefix: str) -> None:
        """Let tensors be there that tagging has no use for."""
        dropped = self._prefix + prefix
        self._used |= {name for name in self._tensors if isinstance(name, str) and name.startswith(dropped)}

    def finish(self) -> None:
        """Refuse what nobody asked for: it means another network."""
        left = sorted(str(name) for name in self._tensors if name not in self._used)
        if left:
            raise ModelFormatError(f"tensor {shown(left[0])}: expected none of this name in this tagger")
