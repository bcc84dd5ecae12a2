"""What an unpickled checkpoint is made of, besides Python's own containers, strings and numbers."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

#: Bytes of a number, by safetensors' names.
SIZES = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


class Storage(NamedTuple):
    """A run of numbers in the file that tensors are views of."""

    key: str
    dtype: str
    #: Where it begins in the data of its key and how long it is, in elements.
    start: int
    length: int


class Tensor(NamedTuple):
    """A view of a storage; offset and strides are in elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def is_contiguous(self) -> bool:
        """Whether the elements lie in the file in row-major order, without gaps."""
        step = 1
        for size, stride in zip(reversed(self.shape), reversed(self.stride), strict=True):
            if size != 1 and stride != step:
                return self.elements == 0
            step *= size
        return True

    @property
    def elements(self) -> int:
        """How many numbers there are."""
        count = 1
        for size in self.shape:
            count *= size
        return count

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return self.elements * SIZES[self.storage.dtype]


class Dict(dict[Any, Any]):
    """An `OrderedDict` or a `defaultdict`, without what they add to a dict; attributes that it had are dropped."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        """Torch's state dicts carry versions of modules in an attribute."""


class StandIn:
    """An object whose class is not here: the class's name, what it was made from, its state. It does nothing."""

    __slots__ = ("args", "state")
    #: Module and name of the class.
    name: ClassVar[str]
    args: tuple[Any, ...]
    state: Any

    #: More arguments than any class of a checkpoint takes; they are copied, so a pickle must not choose how many.
    _MOST: ClassVar[int] = 16

    def __new__(cls, *args: Any) -> StandIn:
        """Keep what is given."""
        if len(args) > cls._MOST:
            raise ValueError(f"{cls.name}: expected at most {cls._MOST} arguments, got {len(args)}")
        self = super().__new__(cls)
        self.args, self.state = args, None
        return self

    def __setstate__(self, state: Any) -> None:
        """Keep it as it is."""
        self.state = state

    def __repr__(self) -> str:
        return f"<{self.name}>"


def shown(text: str) -> str:
    """A name out of a file for a message: escaped and not too long, for nobody knows who wrote it."""
    return ascii(text[:100])[1:-1] + ("…" if len(text) > 100 else "")
