"""The bounded opcode scan: a pickle is followed once without doing any of it, and refused before it can cost much.

The scan keeps the stack and the memo that an unpickler would have, of kinds instead of objects. It passes what torch
and flair write: an explicit list of opcodes, globals called with tuples, states for what calls have made, and keys that
are strings, bytes or small integers, whose hashes can't be made to collide. What the objects take is added up, never
too low, so that one limit holds for opcodes, stack, memo and strings alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from candlewick._checkpoint import opcodes
from candlewick.errors import ModelFormatError, unsupported

Bytes = bytes | memoryview


class Limits(NamedTuple):
    """What a pickle may cost; the defaults are for a state dict of some ten thousand tensors."""

    #: Bytes of the pickle itself.
    size: int = 16 << 20
    #: Bytes of its objects, and how many more for each byte of the pickle.
    memory: int = 64 << 20
    memory_per_byte: int = 0
    #: Containers that are begun and not finished.
    depth: int = 100
    #: Bytes of one integer.
    integer: int = 8


#: The most that an opcode makes an unpickler allocate, in bytes: a tuple, places in a list, the stack and the memo.
_OPCODE = 128
#: A dict or set with the table of its first items, and what each further item adds while the table grows.
_TABLE = 256
_ITEM = 64
#: Bytes of a string per byte of UTF-8.
_WIDEST = 4
#: The longest module or class name.
_LINE = 256
_KEYS = frozenset({"str", "bytes", "int"})


def scan(data: Bytes, start: int, limits: Limits) -> int:
    """Follow the pickle that begins at `start`; give where it ends.

    Raises:
        ModelFormatError: It is cut, malformed, or over a limit.
        UnsupportedModelError: It has an opcode that checkpoints have no need of.
    """
    scanner = _Scanner(data, start, limits)
    while scanner.step() != "STOP":
        pass
    return scanner.at


class _Scanner:
    def __init__(self, data: Bytes, start: int, limits: Limits) -> None:
        self.data, self.start, self.at, self.limits = data, start, start, limits
        self.end = min(len(data), start + limits.size)
        self.stack: list[str] = []
        self.marks: list[int] = []
        self.memo: dict[int, str] = {}
        self.steps = self.memory = 0

    def step(self) -> str:
        """Take one opcode; give its name."""
        at = self.at
        code = self.number(1)
        name = opcodes.NAMES.get(code, "")
        self.steps += 1
        self.charge(_OPCODE)
        if name in opcodes.PUSHES:
            size, kind = opcodes.PUSHES[name]
            self.skip(size)
            self.charge(_TABLE if kind in ("dict", "set") else 0)
            self.stack.append(kind)
        elif name in opcodes.COUNTED:
            self.counted(*opcodes.COUNTED[name])
        elif name in opcodes.TUPLES:
            self.tuple_of(opcodes.TUPLES[name])
        elif name in opcodes.PUTS:
            self.put(opcodes.PUTS[name])
        elif name in opcodes.GETS:
            self.get(opcodes.GETS[name])
        elif name in _EFFECTS:
            _EFFECTS[name](self)
        elif name:
            raise unsupported(f"pickle with opcode {name} at byte {at}, which no checkpoint needs")
        else:
            raise ModelFormatError(f"broken pickle: expected an opcode at byte {at}, got {code:#04x}")
        return name

    # Bytes

    def skip(self, size: int) -> None:
        """Pass over bytes that must be there."""
        if size > self.end - self.at:
            if self.end < len(self.data):
                raise ModelFormatError(f"pickle of more than {self.limits.size} bytes, which is the limit")
            raise ModelFormatError(f"broken pickle: expected {size} bytes at byte {self.at}, got {self.end - self.at}")
        self.at += size

    def number(self, size: int) -> int:
        at = self.at
        self.skip(size)
        return int.from_bytes(self.data[at : self.at], "little")

    def line(self) -> bytes:
        """A module's or a class's name."""
        name, end, _ = bytes(self.data[self.at : min(self.at + _LINE, self.end)]).partition(b"\n")
        self.check(bool(end), "a name")
        self.skip(len(name) + 1)
        return name

    def counted(self, size: int, kind: str) -> None:
        length = self.number(size)
        self.skip(length)
        self.charge(length * (_WIDEST if kind == "str" else 1))
        self.check(kind != "int" or length <= self.limits.integer, "a smaller integer")
        self.stack.append(kind)

    # Stack and memo

    def check(self, right: bool, expected: str) -> None:
        if not right:
            raise ModelFormatError(f"broken pickle: expected {expected} before byte {self.at}")

    def charge(self, size: int) -> None:
        self.memory += size
        most = self.limits.memory + (self.at - self.start) * self.limits.memory_per_byte
        if self.memory > most:
            raise ModelFormatError(f"pickle of objects that take more than {most} bytes, the limit")

    def pop(self) -> str:
        self.check(len(self.stack) > (self.marks[-1] if self.marks else 0), "something on the stack")
        return self.stack.pop()

    def top(self, *kinds: str) -> str:
        """What is on the stack and stays there, if it is of such a kind."""
        kind = self.pop()
        self.check(not kinds or kind in kinds, "something else on the stack")
        self.stack.append(kind)
        return kind

    def items(self) -> list[str]:
        """What was pushed since the last mark."""
        self.check(bool(self.marks), "a mark")
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def put(self, size: int) -> None:
        index = self.number(size) if size else len(self.memo)
        # The unpickler's memo is an array up to the highest index.
        self.check(index <= self.steps, "a memo index no higher than the number of opcodes")
        self.memo[index] = self.top()

    def get(self, size: int) -> None:
        index = self.number(size)
        self.check(index in self.memo, "a memo index that was put")
        self.stack.append(self.memo[index])

    # The other opcodes

    def protocol(self) -> None:
        self.check(self.number(1) <= 5, "a protocol of at most 5")

    def frame(self) -> None:
        length = self.number(8)
        self.check(length <= self.end - self.at, "a frame that ends with its file")

    def mark(self) -> None:
        self.marks.append(len(self.stack))
        self.check(len(self.marks) <= self.limits.depth, "fewer open marks")

    def tuple_of(self, size: int) -> None:
        for _ in range(size):
            self.pop()
        self.stack.append("tuple")

    def tuple_of_items(self) -> None:
        self.items()
        self.stack.append("tuple")

    def append(self) -> None:
        self.pop()
        self.top("list")

    def appends(self) -> None:
        self.items()
        self.top("list")

    def set_item(self) -> None:
        self.pop()
        self.keys([self.pop()])
        self.top("dict", "object")

    def set_items(self) -> None:
        items = self.items()
        self.check(len(items) % 2 == 0, "as many values as keys")
        self.keys(items[::2])
        self.top("dict", "object")

    def add_items(self) -> None:
        self.keys(self.items())
        self.top("set")

    def keys(self, kinds: list[str]) -> None:
        self.check(_KEYS.issuperset(kinds), "keys that are strings, bytes or integers")
        self.charge(_ITEM * len(kinds))

    def global_by_lines(self) -> None:
        # What it names is for the unpickler to judge; only this one makes something that may be a key.
        name = (self.line(), self.line())
        self.stack.append("encode" if name == (b"_codecs", b"encode") else "global")

    def global_by_stack(self) -> None:
        self.check((self.pop(), self.pop()) == ("str", "str"), "a module and a name")
        self.stack.append("global")

    def call(self) -> None:
        self.check(self.pop() == "tuple", "a tuple of arguments")
        called = self.pop()
        # A module's class, in the old container, is a persistent id.
        self.check(called in ("global", "encode", "persistent"), "a global to call")
        self.stack.append("bytes" if called == "encode" else "object")

    def build(self) -> None:
        self.pop()
        self.top("object")

    def persistent(self) -> None:
        self.check(self.pop() == "tuple", "a tuple as persistent id")
        self.stack.append("persistent")

    def stop(self) -> None:
        self.check(len(self.stack) == 1 and not self.marks, "one object on the stack")


_EFFECTS: dict[str, Callable[[_Scanner], object]] = {
    "PROTO": _Scanner.protocol,
    "FRAME": _Scanner.frame,
    "MARK": _Scanner.mark,
    "POP": _Scanner.pop,
    "POP_MARK": _Scanner.items,
    "TUPLE": _Scanner.tuple_of_items,
    "APPEND": _Scanner.append,
    "APPENDS": _Scanner.appends,
    "SETITEM": _Scanner.set_item,
    "SETITEMS": _Scanner.set_items,
    "ADDITEMS": _Scanner.add_items,
    "GLOBAL": _Scanner.global_by_lines,
    "STACK_GLOBAL": _Scanner.global_by_stack,
    "REDUCE": _Scanner.call,
    "NEWOBJ": _Scanner.call,
    "BUILD": _Scanner.build,
    "BINPERSID": _Scanner.persistent,
    "STOP": _Scanner.stop,
}
