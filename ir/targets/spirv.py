"""SPIR-V read as the binary stream that it is: header, instructions, their order, ids.

Not all that `spirv-val` knows, but all that says a module is whole: nothing cut off, nothing out of its place, every id
below the bound and given once, functions and blocks closed, entry points that exist. (The tests ask `spirv-val` too.)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from .contents import Unsound

_MAGIC = 0x07230203
_NEWEST = (1, 6)
_LARGEST_BOUND = 0x3FFFFF  # the universal limit of ids

# Operations by number, where their place matters (SPIR-V specification, section 2.4).
_CAPABILITY, _EXTENSION, _EXT_IMPORT, _MEMORY_MODEL, _ENTRY_POINT = 17, 10, 11, 14, 15
_EXECUTION_MODES = (16, 331)
_DEBUG = (2, 3, 4, 5, 6, 7, 330, 8, 317)  # source texts, names, lines
_DECORATIONS = (71, 72, 73, 74, 75, 332, 5632, 5633)
_FUNCTION, _PARAMETER, _FUNCTION_END, _LABEL = 54, 55, 56, 248
_LINES = (8, 317)
_TERMINATORS = (249, 250, 251, 252, 253, 254, 255, 4416, 5380, 6529)
_TYPES = (*range(19, 40), 322, 327, 4456, 4472, 5281, 5341, 5358)
_NO_RESULT = frozenset(
    (
        *(0, 2, 3, 4, 5, 6, 8, 10, 14, 15, 16, 17, 39, 56, 62, 63, 64, 71, 72, 74, 75, 99, 218, 219, 220, 221, 224),
        *(225, 228, 246, 247, 249, 250, 251, 252, 253, 254, 255, 256, 257, 317, 330, 331, 332, 4416, 5380, 6529),
    )
)


def modules(code: bytes) -> tuple[bytes, ...]:
    """The SPIR-V modules in some bytes: each begins with the magic number, aligned, and is as long as its words say."""
    found: list[bytes] = []
    at = 0
    magic = struct.pack("<I", _MAGIC)
    while (at := code.find(magic, at)) >= 0:
        if at % 4:
            at += 1
            continue
        # What holds a module says before it how many words it has.
        words = struct.unpack_from("<I", code, at - 4)[0] if at >= 4 else 0
        end = at + 4 * words
        if words < 5 or end > len(code):
            raise Unsound("a SPIR-V module is cut off")
        found.append(code[at:end])
        at = end
    return tuple(found)


def validate(module: bytes) -> str:
    """The version of a module, `1.4`. Raises `Unsound` where it is no module."""
    words = _words(module)
    version = (words[1] >> 16 & 0xFF, words[1] >> 8 & 0xFF)
    if words[0] != _MAGIC or words[1] & 0xFF0000FF or version[0] != 1 or version > _NEWEST or words[4]:
        raise Unsound("a SPIR-V header is none")
    bound = words[3]
    if not 0 < bound <= _LARGEST_BOUND:
        raise Unsound(f"a SPIR-V module says that its ids go up to {bound}")
    _Walk(bound).over(words)
    return f"{version[0]}.{version[1]}"


def _words(module: bytes) -> tuple[int, ...]:
    if len(module) < 20 or len(module) % 4:
        raise Unsound("a SPIR-V module is cut off")
    return struct.unpack(f"<{len(module) // 4}I", module)


def _instructions(words: Sequence[int]) -> Iterator[tuple[int, Sequence[int]]]:
    at = 5
    while at < len(words):
        count, operation = words[at] >> 16, words[at] & 0xFFFF
        if count == 0 or at + count > len(words):
            raise Unsound(f"a SPIR-V instruction runs over the end (word {at})")
        yield operation, words[at + 1 : at + count]
        at += count


class _Walk:
    """One pass over a module's instructions."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._given: set[int] = set()
        self._functions: set[int] = set()
        self._entries: set[int] = set()
        self._section = 0
        self._models = 0
        self._inside = False
        self._block = False

    def over(self, words: Sequence[int]) -> None:
        for operation, operands in _instructions(words):
            section = _section(operation)
            if not self._inside and operation not in _LINES:
                if section < self._section:
                    raise Unsound(f"a SPIR-V instruction ({operation}) is out of its place")
                self._section = section
            self._models += operation == _MEMORY_MODEL
            if operation == _ENTRY_POINT:
                self._entries.add(self._id(operands, 1))
            self._flow(operation, operands)
            self._result(operation, operands)
        if self._models != 1:
            raise Unsound(f"a SPIR-V module has {self._models} memory models")
        if self._inside or not self._functions:
            raise Unsound("a SPIR-V function has no end")
        if not self._entries or not self._entries <= self._functions:
            raise Unsound("a SPIR-V entry point is no function of its module")

    def _flow(self, operation: int, operands: Sequence[int]) -> None:
        if operation == _FUNCTION:
            if self._inside:
                raise Unsound("a SPIR-V function begins in another")
            self._inside = True
            self._functions.add(self._id(operands, 1))
        elif operation == _FUNCTION_END:
            if not self._inside or self._block:
                raise Unsound("a SPIR-V function ends in the middle of a block")
            self._inside = False
        elif operation == _LABEL:
            if not self._inside or self._block:
                raise Unsound("a SPIR-V block begins in another")
            self._block = True
        elif operation in _TERMINATORS:
            if not self._block:
                raise Unsound("a SPIR-V block ends twice")
            self._block = False
        elif self._inside and not self._block and operation not in (_PARAMETER, *_LINES):
            raise Unsound(f"a SPIR-V instruction ({operation}) is in no block")

    def _result(self, operation: int, operands: Sequence[int]) -> None:
        if operation in _NO_RESULT:
            return
        alone = operation in _TYPES or operation in (_LABEL, _EXT_IMPORT, 7, 73)
        if not alone and not 0 < self._id(operands, 0) < self._bound:
            raise Unsound(f"a SPIR-V instruction ({operation}) has no type")
        made = self._id(operands, 0 if alone else 1)
        if made in self._given:
            raise Unsound(f"a SPIR-V id ({made}) is given twice")
        self._given.add(made)

    def _id(self, operands: Sequence[int], at: int) -> int:
        if at >= len(operands) or not 0 < operands[at] < self._bound:
            raise Unsound("a SPIR-V instruction names an id beyond the bound")
        return operands[at]


def _section(operation: int) -> int:
    """Which part of a module an instruction belongs to, in the order of the specification."""
    if operation == _FUNCTION:
        return 9
    order = (_CAPABILITY, _EXTENSION, _EXT_IMPORT, _MEMORY_MODEL, _ENTRY_POINT)
    if operation in order:
        return order.index(operation)
    if operation in _EXECUTION_MODES:
        return 5
    if operation in _DEBUG:
        return 6 if operation not in _LINES else 0
    return 7 if operation in _DECORATIONS else 8
