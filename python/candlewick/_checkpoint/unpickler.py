"""The allow-list: names in a pickle become descriptions and stand-ins, and nothing is ever imported or called for them.

What comes here has passed the scan. The standard library's unpickler builds it, with a `find_class` that knows names
only: those of torch, numpy and Python by an exact list, classes of flair, `torch.nn` and gensim as inert stand-ins, and
every other one is refused.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

from candlewick._checkpoint import rebuild
from candlewick._checkpoint.objects import StandIn, Storage, shown
from candlewick._checkpoint.scan import Bytes, Limits, scan
from candlewick.errors import CandlewickError, ModelFormatError, unsupported

#: Storage classes of torch, and what safetensors calls their numbers.
DTYPES = {
    "torch.FloatStorage": "F32",
    "torch.HalfStorage": "F16",
    "torch.BFloat16Storage": "BF16",
    "torch.DoubleStorage": "F64",
    "torch.LongStorage": "I64",
    "torch.IntStorage": "I32",
    "torch.ShortStorage": "I16",
    "torch.CharStorage": "I8",
    "torch.ByteStorage": "U8",
    "torch.BoolStorage": "BOOL",
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "collections.defaultdict": rebuild.default_dict,
    "torch.Size": rebuild.size,
    "torch._tensor._rebuild_from_type_v2": rebuild.of_type,
    "torch._utils._rebuild_tensor": rebuild.tensor,
    "torch._utils._rebuild_tensor_v2": rebuild.tensor,
    "torch._utils._rebuild_parameter": rebuild.parameter,
    "torch._utils._rebuild_parameter_with_state": rebuild.parameter,
}
#: What becomes a stand-in: single names, and packages that hold classes only.
_STAND_INS = frozenset(
    {
        "builtins.int",
        "numpy.dtype",
        "numpy.ndarray",
        "numpy.core.multiarray._reconstruct",
        "numpy.core.multiarray.scalar",
        "numpy._core.multiarray._reconstruct",
        "numpy._core.multiarray.scalar",
        "torch.Tensor",
        "torch.device",
    }
)
_PACKAGES = ("flair.", "torch.nn.", "gensim.")
#: Different classes of one pickle: each takes a kilobyte or two, which the scan can't count.
_MOST_CLASSES = 500


class Pickle(NamedTuple):
    """A pickle that was loaded."""

    root: Any
    #: Type and number of what is stored under each key.
    storages: dict[str, tuple[str, int]]
    #: Where it ends.
    end: int


def load(data: Bytes, start: int, limits: Limits) -> Pickle:
    """Scan and load the pickle that begins at `start`.

    Raises:
        ModelFormatError: The pickle is damaged, lies, or costs more than the limits.
        UnsupportedModelError: It names a class or a function that is not on the list.
    """
    end = scan(data, start, limits)
    unpickler = _Unpickler(bytes(data[start:end]))
    try:
        return Pickle(unpickler.load(), unpickler.storages, end)
    except CandlewickError:
        raise
    except Exception as error:  # any kind may come of a damaged pickle, says the documentation of the unpickler
        raise ModelFormatError(f"broken pickle: {type(error).__name__}: {shown(str(error))}") from None


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8")  # strings of Python 2, as torch reads them
        self.storages: dict[str, tuple[str, int]] = {}
        self._classes: dict[str, type[StandIn]] = {}
        copies = rebuild.Copies(len(data))
        self._functions = _FUNCTIONS | {
            "collections.OrderedDict": copies.ordered_dict,
            "builtins.set": copies.set,
            "_codecs.encode": copies.encode,
        }

    def find_class(self, module: str, name: str, /) -> Any:
        """What stands for a name."""
        full = f"{'builtins' if module == '__builtin__' else module}.{name}"
        if full in DTYPES:
            return DTYPES[full]
        if full in self._functions:
            return self._functions[full]
        if full in _STAND_INS or full.startswith(_PACKAGES):
            return self._stand_in(full)
        raise unsupported(
            f"pickle that names {shown(full)}; expected tensors, containers, and classes of flair, torch.nn and gensim"
        )

    def _stand_in(self, full: str) -> type[StandIn]:
        if full not in self._classes:
            if len(self._classes) >= _MOST_CLASSES:
                raise ModelFormatError(f"pickle with more than {_MOST_CLASSES} different classes")
            self._classes[full] = type("StandIn", (StandIn,), {"__slots__": (), "name": full})
        return self._classes[full]

    def persistent_load(self, pid: Any, /) -> Storage | type[StandIn]:
        """The storage that an id describes; or the class of a module, which the old container keeps with its source."""
        match pid:
            case ("storage", str(dtype), str(key), str(), int(length), *view):
                return self._storage(dtype, key, length, view)
            case ("module", type() as stand_in, _, _):
                return stand_in
        raise ModelFormatError("broken pickle: expected a storage's type, key, place and length as persistent id")

    def _storage(self, dtype: str, key: str, length: int, view: list[Any]) -> Storage:
        first = self.storages.setdefault(key, (dtype, length))
        if first != (dtype, length) or dtype not in DTYPES.values():
            raise ModelFormatError(f"storage {shown(key)}: expected {first[1]} x {first[0]}, got {length} x {dtype}")
        match view:
            case [] | [None]:
                start, size = 0, length
            case [(str(), int(start), int(size))]:  # a part of a larger one, in files of the first releases
                pass
            case _:
                raise ModelFormatError(f"storage {shown(key)}: expected the place of a part, got something else")
        if min(start, size) < 0 or start + size > length:
            raise ModelFormatError(f"storage {shown(key)}: expected a part of {length}, got {size} from {start} on")
        return Storage(key, dtype, start, size)
