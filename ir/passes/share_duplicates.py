"""What is computed or asked twice is computed or asked once.

    a    = search(handbook, question)                    a = search(handbook, question)       also b
    b    = search(handbook, question)              =>    note = template "about {question}"
    note = template "about {question}"                   if c { use(note, a) }
    if c { use(template "about {question}", b) }

Two operations are the same if they do the same to the same values. The later one goes; what used it uses the earlier
one, which keeps the names of both (`also`), so that an `assume` block may say either. Labels are a part of what an
operation does: a value that carries one never stands for a value that does not.

- Pure operations that cannot fail, and calls of the library that only compute, are shared with every body inside.
- Pure operations that can fail, and what makes or reads a stream, only in one body: an earlier one that nobody uses
  is not computed, and must not begin to fail.
- Calls that give a value and are repeatable (`Library.repeatable`) as far as a failure is one of the same region:
  into the bodies of `if`, `match`, `for` and `repeat`, not into those of `otherwise`, `with`, `race` and the like.
  Calls that give a stream (a chat) in one body.

Never a tool, a memory, or a call whose answer may be another the next time.
"""

from __future__ import annotations

from typing import Any

from ...base.problems import Problems
from .. import _mlir
from ..library import Library
from .facts import (
    CALLS,
    OPEN,
    PURE,
    WAITING,
    acting,
    bodies,
    can_fail,
    harmless,
    is_stream,
    keep_acting,
    key,
    repeatable,
    stand_for,
)


def run(module: Any, library: Library) -> Problems:
    for body in bodies(module):
        before = acting(body)
        _Sharing(library).block(body.regions[0].blocks[0], {})
        keep_acting(body, before)
    return ()


class _Sharing:
    def __init__(self, library: Library) -> None:
        self._library = library
        # What cannot fail, wherever a body sees it; its keys go when their body ends.
        self._free: dict[Any, Any] = {}
        self._constants: dict[Any, Any] = {}

    def block(self, block: Any, zone: dict[Any, Any]) -> None:
        """`zone` has the calls whose failures are of the same region."""
        here: dict[Any, Any] = {}
        added: list[tuple[dict[Any, Any], Any]] = []
        for operation in _mlir.operations(block):
            regions = operation.regions
            if len(regions):
                inside = zone if operation.name in OPEN else {}
                for region in regions:
                    for inner in region.blocks:
                        self.block(inner, inside)
                continue
            table = self._table(operation, here, zone)
            if table is None:
                continue
            wanted = key(operation)
            known = table.get(wanted)
            if known is not None:
                stand_for(known, operation)
                operation.erase()
            else:
                table[wanted] = operation
                added.append((table, wanted))
                if operation.name == "agent.constant":
                    self._constants[operation.results[0]] = _mlir.plain(operation.attributes["value"])
        for table, wanted in added:
            del table[wanted]

    def _table(self, operation: Any, here: dict[Any, Any], zone: dict[Any, Any]) -> dict[Any, Any] | None:
        """Where its like is to be looked for."""
        name = operation.name
        if name == "agent.open":
            return self._free
        if name in PURE:
            return here if can_fail(operation) else self._free
        if name in WAITING:
            return here
        if name not in CALLS or not len(operation.results):
            return None
        if harmless(operation, self._library):
            return here if is_stream(operation.results[0]) else self._free
        if not repeatable(operation, self._library, self._constants):
            return None
        reads = any(map(is_stream, (*operation.operands, *operation.results)))
        return here if reads else zone
