"""What waits for a whole stream, though it could work on the items as they come, does.

    scenes = all(shots(film))                          notes = for scene in shots(film), at most 4 at once {
    notes  = for scene in scenes, at most 4 at once {    all(writer.chat("{scene}"))
      all(writer.chat("{scene}"))              =>      }
    }                                                  // a list as before: when the stream has ended, and all turns

The `for` takes each item at once, as `all` does, and so holds nobody back; it begins a turn when there is an item and
fewer than N are under way, and gives the list, in order, when the stream has ended and the last turn is through. So
nothing that it gives is there before the stream is known to have ended well. An `all` that nothing else uses goes.

It is done only where nobody could tell but by the clock:

- Nothing in a turn acts on the world: if the stream fails after some items, their turns were for nothing. Turns of pure
  operations, repeatable calls and chats; none that emits, asks a person, remembers (`with`) or can be interrupted.
- The stream is read by such loops and by `all` alone. What somebody else reads as it comes might have left before a
  turn fails now.
- The `for` stands where the `all` does: a branch that is not taken would not read the stream to its end.
- The list has no labels of its own. (Its name stays with the loop, as `whole`.)

Turns over texts are not meant: `all` of a stream of them is one text. Nor is a loop that gives a stream: its first item
would leave, and be decided on, before the stream has ended. The checker lets `all` stand nowhere else where a stream
could: what takes a stream is not given a list.

A stream of ten items that come every second, with turns of two seconds four at once: 12 s, where it was 16 s.
Programs that read their streams by `for` overlap as they are written, and are left alone.
"""

from __future__ import annotations

from typing import Any

from ...base.problems import Problems
from ...lang.types import ListType, StreamType
from .. import _mlir
from ..dialect.types import from_mlir, to_mlir
from ..library import Library
from .facts import CALLS, MARKED, OPEN, PURE, WAITING, bodies, harmless, is_stream, names_of, repeatable

_CHAT = frozenset(
    f"agent.{part}" for part in ("chat", "tokenize", "prefill", "kv_transfer", "sample", "decode", "detokenize")
)
_QUIET = PURE | WAITING | _CHAT | {"agent.open", "agent.fused", "agent.yield"}
_BODIES = (OPEN - {"agent.generator"}) | {"agent.try"}


def run(module: Any, library: Library) -> Problems:
    for body in bodies(module):
        constants = {
            operation.results[0]: _mlir.plain(operation.attributes["value"])
            for operation in _mlir.walk(body)
            if operation.name == "agent.constant"
        }
        for operation in list(_mlir.walk(body)):
            if operation.name == "agent.collect":
                _overlap(operation, library, constants)
    return ()


def wait(module: Any) -> None:
    """Undo it: loops over streams that give lists wait for them whole."""
    for operation in list(_mlir.walk(module)):
        if operation.name != "agent.map" or not _gathers(operation):
            continue
        stream = operation.operands[0]
        items = from_mlir(stream.type)
        assert isinstance(items, StreamType)
        whole = _mlir.create(
            "agent.collect",
            operands=[stream],
            results=[to_mlir(ListType(items.element))],
            attributes={"id": f"{operation.attributes['id'].value}.all"},
            place=operation.location,
        )
        _mlir.core.InsertionPoint(operation).insert(whole)
        operation.operands[0] = whole.results[0]


def _gathers(operation: Any) -> bool:
    return is_stream(operation.operands[0]) and any(not is_stream(value) for value in operation.results)


def _overlap(collect: Any, library: Library, constants: dict[Any, Any]) -> None:
    stream, whole = collect.operands[0], collect.results[0]
    if not isinstance(from_mlir(whole.type), ListType):
        return
    if not all(use.owner.name == "agent.collect" or _gathered(use.owner.operation) for use in stream.uses):
        return
    users = [use.owner.operation for use in whole.uses]
    loops = [each for each in users if _fits(each, collect, library, constants)]
    if not loops or any(mark in collect.attributes for mark in MARKED):
        return
    goes = len(loops) == len(users)
    names = names_of(collect) if goes else ()
    if len(names) > 1 or (names and len(loops) > 1):
        return
    for loop in loops:
        loop.operands[0] = stream
        if names:
            loop.attributes["whole"] = _mlir.attribute(names[0])
    if goes:
        collect.erase()


def _gathered(operation: Any) -> bool:
    return operation.name == "agent.map" and _gathers(operation)


def _fits(loop: Any, collect: Any, library: Library, constants: dict[Any, Any]) -> bool:
    """Whether it is a loop beside the `all` that gives a list, and whose turns cannot be noticed by what they do."""
    if loop.name != "agent.map" or loop.block != collect.block:
        return False
    if len(loop.results) != 1 or is_stream(loop.results[0]):
        return False
    return all(_quiet(inner, library, constants) for inner in _mlir.walk(loop))


def _quiet(operation: Any, library: Library, constants: dict[Any, Any]) -> bool:
    if "acts" in operation.attributes and operation.name not in PURE:
        return False
    if operation.name in CALLS and operation.name not in _CHAT:
        return harmless(operation, library) or repeatable(operation, library, constants)
    return operation.name in _QUIET or operation.name in _BODIES
