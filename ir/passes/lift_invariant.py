"""What a loop computes anew each turn and is the same each time is computed once, before it.

    for part in split(document) {                         ask = template "In the style of {style}: "
      ask = template "In the style of {style}: "    =>    for part in split(document) {
      writer.chat(ask + part)                               writer.chat(ask + part)
    }                                                     }

Out of `for` and `repeat`, as far as what it depends on is known:

- pure operations that cannot fail, and calls of the library that only compute, from anywhere inside, also where a
  branch or a `with` stands between: that nobody may ask for them costs next to nothing;
- calls that are repeatable (`Library.repeatable`), and `all` of a stream, where every turn makes them and there is a
  turn for sure: those that stand in the body itself, of a `repeat`, or of a `for` without a filter over a list that has
  items. A loop without turns asks nobody and waits for nothing, and so it stays.
"""

from __future__ import annotations

from typing import Any

from ...base.problems import Problems
from ...lang.types import ListType
from .. import _mlir
from ..dialect.types import from_mlir
from ..library import Library
from .facts import CALLS, LOOPS, PURE, acting, bodies, can_fail, harmless, is_stream, keep_acting, repeatable


def run(module: Any, library: Library) -> Problems:
    for body in bodies(module):
        before = acting(body)
        _Lifting(library).block(body.regions[0].blocks[0], None)
        keep_acting(body, before)
    return ()


class _Lifting:
    """One walk, in order. The level of a value is how many loops it stands in."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._loops: list[Any] = []
        self._levels: dict[Any, int] = {}
        self._constants: dict[Any, Any] = {}

    def block(self, block: Any, loop: Any) -> None:
        """`loop` is the loop whose turns all make what stands in this block."""
        for argument in block.arguments:
            self._levels[argument] = len(self._loops)
        for operation in _mlir.operations(block):
            regions = operation.regions
            if len(regions):
                self._inside(operation)
                level = len(self._loops)
            else:
                level = self._lifted(operation, loop)
            for value in operation.results:
                self._levels[value] = level

    def _inside(self, operation: Any) -> None:
        is_loop = operation.name in LOOPS
        if is_loop:
            self._loops.append(operation)
        for at, region in enumerate(operation.regions):
            for inner in region.blocks:
                self.block(inner, operation if is_loop and at == 0 else None)
        if is_loop:
            self._loops.pop()

    def _lifted(self, operation: Any, loop: Any) -> int:
        """Move the operation out of as many loops as it can; how many it still stands in."""
        here, name = len(self._loops), operation.name
        if name == "agent.constant":
            self._constants[operation.results[0]] = _mlir.plain(operation.attributes["value"])
        if not here or not len(operation.results):
            return here
        needed = max([self._levels[value] for value in operation.operands], default=0)
        if needed == here:
            return here
        if self._free(operation):
            operation.move_before(self._loops[needed])
            return needed
        level = here
        if name == "agent.collect" or (name in CALLS and repeatable(operation, self._library, self._constants)):
            while level > needed and loop is not None and _turns(loop):
                operation.move_before(loop)
                level -= 1
                loop = _around(loop)
        return level

    def _free(self, operation: Any) -> bool:
        """Whether it may be computed though nobody may ask for it."""
        name = operation.name
        if name in PURE:
            return name != "agent.turn" and not can_fail(operation)
        return name in CALLS and not is_stream(operation.results[0]) and harmless(operation, self._library)


def _turns(loop: Any) -> bool:
    """Whether it has a turn for sure, and makes all that stands in its body in each."""
    if loop.name == "agent.repeat":
        return True
    over = loop.operands[0]
    filtered = any(len(region.blocks) for region in list(loop.regions)[1:])
    made = None if filtered or not isinstance(from_mlir(over.type), ListType) else _mlir.owner(over)
    if made is None:
        return False
    if made.name == "agent.constant":
        return bool(_mlir.plain(made.attributes["value"]))
    return made.name == "agent.list" and bool(len(made.operands))


def _around(operation: Any) -> Any:
    """The loop whose body an operation stands in, or None."""
    parent = operation.parent
    if parent is None or parent.name not in LOOPS:
        return None
    first = parent.regions[0].blocks[0]
    return parent if operation.block == first else None
