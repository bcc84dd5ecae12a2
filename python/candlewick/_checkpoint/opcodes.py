"""The opcodes of pickles that checkpoints are made of; whatever is in none of these tables is refused.

Left out are the text forms of protocol 0, what calls without a tuple of arguments (`OBJ`, `INST`), what reaches outside
of the file (`PERSID`, `EXT*`, `NEXT_BUFFER`), and what neither torch nor flair write.
"""

from __future__ import annotations

import pickletools

#: Names by code, of all opcodes there are.
NAMES = {ord(opcode.code): opcode.name for opcode in pickletools.opcodes}

#: What pushes a constant or an empty container: bytes of its argument, kind of what it pushes.
PUSHES = {
    "NONE": (0, "none"),
    "NEWTRUE": (0, "bool"),
    "NEWFALSE": (0, "bool"),
    "BININT": (4, "int"),
    "BININT1": (1, "int"),
    "BININT2": (2, "int"),
    "BINFLOAT": (8, "float"),
    "EMPTY_LIST": (0, "list"),
    "EMPTY_TUPLE": (0, "tuple"),
    "EMPTY_DICT": (0, "dict"),
    "EMPTY_SET": (0, "set"),
}

#: What pushes as many bytes as it says: bytes of the length, kind of what it pushes.
COUNTED = {
    "LONG1": (1, "int"),
    "SHORT_BINSTRING": (1, "str"),
    "BINSTRING": (4, "str"),
    "SHORT_BINUNICODE": (1, "str"),
    "BINUNICODE": (4, "str"),
    "BINUNICODE8": (8, "str"),
    "SHORT_BINBYTES": (1, "bytes"),
    "BINBYTES": (4, "bytes"),
    "BINBYTES8": (8, "bytes"),
}

#: What makes a tuple of so many things.
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}

#: What puts the top of the stack into the memo, or takes it from there: bytes of the index, 0 for the next one.
PUTS = {"MEMOIZE": 0, "BINPUT": 1, "LONG_BINPUT": 4}
GETS = {"BINGET": 1, "LONG_BINGET": 4}
