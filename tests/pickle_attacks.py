"""Pickles that want to do harm, each by name: what they hold, and the error that refuses them.

None of them is refused for being known: names are off the list, opcodes are off the list, or the bounds don't hold.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import pickle_assembler as p

from candlewick.errors import ModelFormatError, UnsupportedModelError


class Attack(NamedTuple):
    """A pickle, and what is to be said of it."""

    root: bytes
    part: str
    error: type[Exception] = ModelFormatError


def view(shape: tuple[int, ...], stride: tuple[int, ...] | None = None, *, offset: int = 0, length: int = 4) -> bytes:
    """A tensor of the one storage, which has four numbers."""
    return p.tensor(p.storage("0", length), shape, stride, offset)


def again(function: bytes, *arguments: bytes) -> bytes:
    """A function that is called five thousand times with the same arguments."""
    return function + b"q\x000" + p.tuple_(*arguments) + b"q\x010(" + b"h\x00h\x01R" * 5000 + b"t"


def named(module: str, name: str, *arguments: bytes) -> Attack:
    """A call of a function that is not on the list."""
    return refused(p.call(p.name(module, name), *arguments), f"{module}.{name}")


def refused(root: bytes, name: str) -> Attack:
    """A name that is not on the list, however it is said."""
    return Attack(root, name, UnsupportedModelError)


COMMAND = p.text("touch HARM")
DICT = p.name("collections", "OrderedDict")
STAND_IN = p.name("flair.data", "Dictionary")
ENCODE = p.name("_codecs", "encode")
TENSOR = p.name("torch._utils", "_rebuild_tensor_v2")
PARAMETER = p.name("torch._utils", "_rebuild_parameter")
MANY = 100_000

#: Functions that others have got through scanners and allow-lists.
NAMES = {
    f"{module}.{name}": named(module, name, *arguments)
    for module, name, *arguments in [
        ("os", "system", COMMAND),
        ("posix", "system", COMMAND),
        ("nt", "system", COMMAND),
        ("subprocess", "Popen", p.list_(p.text("touch"), p.text("HARM"))),
        ("pty", "spawn", COMMAND),
        ("builtins", "eval", p.text("open('HARM', 'w')")),
        ("builtins", "exec", p.text("open('HARM', 'w')")),
        ("builtins", "open", p.text("HARM"), p.text("w")),
        ("builtins", "getattr", DICT, p.text("__class__")),
        ("builtins", "__import__", p.text("antigravity")),
        ("builtins", "bytearray", p.number(1 << 40)),
        ("builtins", "list", p.tuple_()),
        ("builtins", "print", p.text("said")),
        ("importlib", "import_module", p.text("antigravity")),
        ("pickle", "loads", b"C\x01."),
        ("operator", "attrgetter", p.text("__globals__")),
        ("functools", "partial", DICT),
        ("types", "FunctionType", DICT),
        ("copyreg", "_reconstructor", STAND_IN, STAND_IN, p.NONE),
        ("collections", "namedtuple", p.text("A"), p.text("b")),
        ("collections", "OrderedDict.fromkeys", p.tuple_()),
        ("runpy", "run_path", p.text("HARM")),
        ("timeit", "timeit", p.text("open('HARM', 'w')")),
        ("webbrowser", "open", p.text("http://127.0.0.1:1")),
        ("shutil", "rmtree", p.text(".")),
        ("socket", "create_connection", p.tuple_(p.text("127.0.0.1"), p.number(1))),
        ("torch", "load", p.text("HARM")),
        ("torch", "FloatStorage.from_file", p.text("HARM")),
        ("torch.hub", "load", p.text("a/b")),
        ("torch.serialization", "load", p.text("HARM")),
        ("torch.storage", "_load_from_bytes", b"C\x01."),
        ("torch._utils", "_rebuild_tensor_v2.__globals__.get", p.text("sys")),
        ("torch.jit.unsupported_tensor_ops", "execWrapper", p.text("1")),
        ("torch._inductor.codecache", "PyCodeCache.load", p.text("1")),
        ("numpy", "load", p.text("HARM")),
        ("numpy.testing._private.utils", "runstring", p.text("1"), p.dict_()),
        ("transformers.models.bert.modeling_bert", "BertModel", p.tuple_()),
        ("__main__", "anything", p.tuple_()),
        ("candlewick._checkpoint.rebuild", "tensor", p.tuple_()),
        ("flairs", "Anything", p.tuple_()),
        ("torch.nnn", "Anything", p.tuple_()),
        ("antigravity", "geohash", p.tuple_()),
    ]
}

#: Opcodes that are not on the list.
OPCODES = {
    name: refused(root, name)
    for name, root in {
        "INST": b"(" + COMMAND + b"ios\nsystem\n",
        "OBJ": b"(" + p.name("os", "system") + COMMAND + b"o",
        "NEWOBJ_EX": STAND_IN + b")}\x92",
        "EXT1": b"\x82\x01)R",
        "EXT4": b"\x84\x01\x00\x00\x00)R",
        "PERSID": b"Panything\n",
        "NEXT_BUFFER": b"\x97",
        "READONLY_BUFFER": b"N\x98",
        "BYTEARRAY8": b"\x96" + struct.pack("<Q", 1 << 60),
        "FROZENSET": b"(\x91",
        "DUP": b"N2\x86",
        "INT": b"I1" + b"0" * MANY + b"\n",
        "LONG": b"L1" + b"0" * MANY + b"L\n",
        "LONG4": b"\x8b" + struct.pack("<i", 1 << 30),
        "FLOAT": b"F1\n",
        "STRING": b"S'a'\n",
        "UNICODE": b"Va\n",
        "LIST": b"(l",
        "DICT": b"(d",
        "GET": b"g0\n",
        "PUT": b"Np0\n",
    }.items()
}

#: Ways to reach an object of this process and to change it.
REACHES = {
    "an unknown opcode": Attack(b"\xff", "expected an opcode .* got 0xff"),
    "a name by the stack": refused(p.text("os") + p.text("system") + b"\x93" + COMMAND + b"\x85R", "os.system"),
    "a name out of the memo": refused(
        p.text("os") + b"\x940" + p.text("system") + b"\x940h\x00h\x01\x93" + COMMAND + b"\x85R", "os.system"
    ),
    "a name with a new line": refused(p.text("os\nsystem") + p.text("x") + b"\x93", r"os\\nsystem"),
    "a very long name": Attack(b"c" + b"a" * MANY + b"\nb\n", "expected a name"),
    "a number as a name": Attack(p.number(1) + p.text("a") + b"\x93", "a module and a name"),
    "attributes for a function": Attack(TENSOR + p.dict_(x=p.NONE) + b"b", "something else on the stack"),
    "slots for a function": Attack(
        TENSOR + p.tuple_(p.NONE, p.dict_(__defaults__=p.tuple_(p.NONE))) + b"b", "something else on the stack"
    ),
    "a function passed through": Attack(p.call(PARAMETER, TENSOR) + p.dict_(x=p.NONE) + b"b", "parameter of a tensor"),
    "attributes for a class": Attack(
        p.tuple_(p.text("module"), STAND_IN, p.NONE, p.NONE) + b"Q" + p.dict_(name=p.NONE) + b"b", "something else"
    ),
    "a state for a tensor": Attack(
        view((4,)) + p.tuple_(p.NONE, p.dict_(offset=p.number(1 << 40))) + b"b", "AttributeError"
    ),
    "items for a tensor": Attack(p.filled(view((4,)), {"a": p.NONE}), "TypeError"),
    "items for a stand-in": Attack(p.filled(p.call(STAND_IN), {"a": p.NONE}), "TypeError"),
    "a call of a string": Attack(COMMAND + p.EMPTY + b"R", "a global to call"),
    "a call of a result": Attack(p.call(STAND_IN) + p.EMPTY + b"R", "a global to call"),
    "a call of a storage": Attack(p.storage("0", 4) + p.EMPTY + b"R", "TypeError"),
    "a call of a type of numbers": Attack(p.call(p.name("torch", "FloatStorage")), "TypeError"),
    "a call with a list": Attack(STAND_IN + b"]R", "a tuple of arguments"),
    "a call with a stand-in": Attack(STAND_IN + p.call(STAND_IN) + b"R", "a tuple of arguments"),
    "a function as wrapper": Attack(
        p.call(p.name("torch._tensor", "_rebuild_from_type_v2"), PARAMETER, p.NONE, p.tuple_(), p.NONE),
        "tensor's arguments",
    ),
    "another encoding": refused(p.call(ENCODE, p.text("a"), p.text("idna")), "_codecs.encode"),
    "an id that is a string": Attack(p.text("0") + b"Q", "a tuple as persistent id"),
    "an id of something else": Attack(p.tuple_(p.text("file"), p.text("HARM")) + b"Q", "persistent id"),
    "an underflow": Attack(b"R", "a tuple of arguments|something on the stack"),
    "an underflow under a mark": Attack(b"N(0", "something on the stack"),
    "a mark that is not there": Attack(b"t", "a mark"),
    "two objects": Attack(b"NN", "one object"),
    "protocol 9": Attack(b"\x80\x09N", "a protocol of at most 5"),
}

#: Claims and copies that would take memory, time or disk.
BOMBS = {
    "sets": Attack(b"(" + b"\x8f" * 4_000_000 + b"t", "more than 67108864 bytes"),
    "lists in lists": Attack(b"](" * 1000, "fewer open marks"),
    "tuples in tuples": Attack(p.EMPTY + b"\x85" * 4_000_000, "more than 67108864 bytes"),
    "tuples in tuples as a key": Attack(b"}" + p.EMPTY + b"\x85" * MANY + b"Ns", "keys that are strings"),
    "tuples as keys": Attack(b"}(" + b"".join(p.numbers(n) + b"N" for n in range(9)) + b"u", "keys that are strings"),
    "numbers of one hash": Attack(
        b"}(" + b"".join(p.number(n * ((1 << 61) - 1)) + b"N" for n in range(99, 199)) + b"u", "a smaller integer"
    ),
    "a number of 255 bytes": Attack(b"\x8a\xff" + b"\x01" * 255, "a smaller integer"),
    "a high memo index": Attack(b"Nr" + struct.pack("<I", 0xFFFFFFFF), "a memo index no higher"),
    "a memo index that is not there": Attack(b"h\x05", "a memo index that was put"),
    "calls in calls": Attack(
        STAND_IN + b"q\x000" + b"h\x00" * 600_000 + p.EMPTY + b"R" + b"\x85R" * 599_999, r"take more than \d+ bytes"
    ),
    "lists of two, forty deep": Attack(
        b"]\x940" + b"".join(b"]\x94(h%ch%ce0" % (n, n) for n in range(40)) + b"h\x28", "a dict of names"
    ),
    "pairs copied again": Attack(
        again(DICT, p.list_(*[p.tuple_(p.text("a"), p.NONE)] * 500)), "copy no more than it has"
    ),
    "a set copied again": Attack(
        again(p.name("builtins", "set"), p.list_(*[b"K\x01"] * 5000)), "copy no more than it has"
    ),
    "a string encoded again": Attack(again(ENCODE, p.text("a" * MANY), p.text("latin1")), "copy no more than it has"),
    "many arguments again": Attack(again(STAND_IN, *[p.NONE] * 5000), "at most 16 arguments"),
    "many classes": Attack(
        b"(" + b"".join(p.name("flair", f"C{n}") for n in range(600)) + b"t", "more than 500 different classes"
    ),
    "a string of 4 EiB": Attack(b"\x8d" + struct.pack("<Q", 1 << 62) + b"a", "expected 4611686018427387904 bytes"),
    "bytes of 4 GiB": Attack(b"B" + struct.pack("<I", 0xFFFFFFFF), "expected 4294967295 bytes"),
    "a string of less than nothing": Attack(b"T" + struct.pack("<i", -1), "expected 4294967295 bytes"),
    "a frame of 8 EiB": Attack(b"\x95" + struct.pack("<Q", 1 << 63) + b"N", "a frame that ends"),
    "a string that grows": Attack(b"X" + struct.pack("<I", 15 << 20) + b"a" * (15 << 20) + b"X" + b"\xff" * 4, "bytes"),
    "a large pickle": Attack(b"X" + struct.pack("<I", 17 << 20) + b"a" * (17 << 20), "more than 16777216 bytes"),
    "a tensor of 1 TiB": Attack(view((1 << 38,)), "expected at most 4 elements"),
    "a tensor outside": Attack(view((2,), offset=3), "expected at most 4 elements"),
    "a tensor with strides outside": Attack(view((2, 2), (3, 1)), "expected at most 4 elements"),
    "a tensor before its storage": Attack(view((2,), offset=-1), "a storage and an offset"),
    "a tensor backwards": Attack(view((2,), (-1,), offset=1), "whole numbers"),
    "a tensor of lies": Attack(view((-1, -4)), "whole numbers"),
    "a tensor of 40 dimensions": Attack(view((1,) * 40), "at most 32 dimensions"),
    "a tensor of lists": Attack(
        p.call(TENSOR, p.storage("0", 4), p.number(0), p.list_(), p.list_()), "at most 32 dimensions"
    ),
    "a tensor of text": Attack(
        p.call(TENSOR, p.text("0"), p.number(0), p.numbers(4), p.numbers(1)), "a storage and an offset"
    ),
    "a storage of 4 EiB": Attack(view((4,), length=1 << 60), "storage 0: expected"),
    "a storage of less than nothing": Attack(view((0,), length=-4), "storage 0: expected a part of -4"),
    "a storage of two lengths": Attack(
        p.dict_(a=view((4,)), b=view((4,), length=5)), "storage 0: expected 4 x F32, got 5 x F32"
    ),
    "a storage of another type": Attack(
        p.tuple_(p.text("storage"), p.text("C128"), p.text("0"), p.text("cpu"), p.number(4)) + b"Q", "4 x C128"
    ),
    "a part outside": Attack(
        p.storage("0", 4, "FloatStorage", p.tuple_(p.text("1"), p.number(2), p.number(3))), "expected a part of 4"
    ),
    "a storage that is not there": Attack(p.tensor(p.storage("../../etc/passwd", 4), (4,)), "passwd: expected|storage"),
    "one number as 1 TiB": Attack(p.dict_(w=view((1 << 38,), (0,))), "bytes together"),
    "one tensor a thousand times": Attack(
        p.dict_(**dict.fromkeys(map(str, range(1000)), view((4, 1 << 10), (1, 0)))), "bytes together"
    ),
    "a name for a header": Attack(p.dict_(__metadata__=view((4,))), "names of tensors"),
    "a name that is no text": Attack(b"}X\x03\x00\x00\x00\xed\xa0\x80Ns", "names of tensors|UnicodeDecodeError"),
    "a number for a name": Attack(b"}K\x01" + view((4,)) + b"s", "names of tensors"),
    "no tensor": Attack(p.dict_(a=p.dict_()), "a: expected a tensor, got a dict"),
    "no dict": Attack(p.list_(), "expected a dict of names to tensors, got a list"),
}

ATTACKS = NAMES | OPCODES | REACHES | BOMBS
