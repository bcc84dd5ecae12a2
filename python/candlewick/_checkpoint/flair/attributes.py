"""What a layout has in a place: an object's attributes or a dictionary's values, by name and of the kind expected."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from candlewick._checkpoint.objects import StandIn, Tensor, shown
from candlewick.errors import ModelFormatError

T = TypeVar("T")
_NOTHING = object()


class Attributes:
    """The attributes of a stand-in, or the values of a dictionary; `name` is for messages."""

    def __init__(self, value: Any, name: str) -> None:
        """Take what there is, if it is either of them."""
        self.class_name = value.name.rpartition(".")[2] if isinstance(value, StandIn) else None
        values = value.state if isinstance(value, StandIn) else value
        if not isinstance(values, dict):
            raise ModelFormatError(f"{name}: expected an object with attributes, got a {type(values).__name__}")
        self.values: dict[Any, Any] = values
        self.name = name
        if self.class_name is None and isinstance(values.get("__cls__"), str):
            self.class_name = values["__cls__"]

    def __contains__(self, key: str) -> bool:
        """Whether there is such an attribute and it is not `None`."""
        return self.values.get(key) is not None

    def get(self, key: str, kind: type[T], default: Any = _NOTHING) -> T:
        """The value of a key, which must be there unless there is a default for it."""
        value = self.values.get(key)
        if value is None and default is not _NOTHING:
            value = default
        if type(value) is not kind and not (kind in (dict, Tensor) and isinstance(value, kind)):
            raise ModelFormatError(f"{self.name}.{key}: expected a {kind.__name__}, got {_kind(value)}")
        return value

    def inner(self, key: str) -> Attributes:
        """The attributes of what stands under a key."""
        if key not in self:
            raise ModelFormatError(f"{self.name}.{key}: expected an object, got none")
        return Attributes(self.values[key], f"{self.name}.{key}")

    def items(self, key: str) -> list[str]:
        """The strings of a dictionary of flair, by id."""
        dictionary = self.inner(key)
        found = [self._decoded(item, dictionary.name) for item in dictionary.get("idx2item", list)]
        ids = dictionary.get("item2idx", dict)
        if [*map(ids.get, dictionary.get("idx2item", list))] != [*range(len(found))] or len(ids) != len(found):
            raise ModelFormatError(f"{dictionary.name}: expected item2idx to be the inverse of idx2item")
        return found

    @staticmethod
    def _decoded(item: object, name: str) -> str:
        if not isinstance(item, bytes):
            raise ModelFormatError(f"{name}: expected items that are bytes, got {_kind(item)}")
        try:
            return item.decode()
        except UnicodeDecodeError:
            raise ModelFormatError(f"{name}: expected items in UTF-8, got {shown(repr(item))}") from None


def by_index(ids: Iterable[tuple[Any, Any]], name: str) -> list[str]:
    """The words of a vocabulary in the order of its rows."""
    words: dict[Any, str] = {}
    for word, row in ids:
        if type(word) is not str or type(row) is not int:
            raise ModelFormatError(f"{name}: expected a number for each word, got {_kind(row)} for {_kind(word)}")
        words[row] = word
    try:
        found = [words[row] for row in range(len(words))]
        "".join(found).encode()
    except KeyError as error:
        raise ModelFormatError(f"{name}: expected the rows 0 to {len(words) - 1}, got none for {error}") from None
    except UnicodeEncodeError:
        raise ModelFormatError(f"{name}: expected words in Unicode, got half of a surrogate pair") from None
    return found


def _kind(value: object) -> str:
    return "none" if value is None else f"a {shown(getattr(value, 'name', type(value).__name__))}"
