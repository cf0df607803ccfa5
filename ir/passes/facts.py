"""What passes ask of an operation: whether it only computes, whether it can fail, whether it is the same each time.

The rules are those of docs/execution.md. A failure belongs to the innermost region around the call, so what can fail
stays in the region where it stands; what cannot may be computed anywhere its operands are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ...lang.types import INT, JSON, NONE, TEXT, ListType, StreamType
from .. import _mlir
from ..dialect.types import from_mlir
from ..library import UNKNOWN, Library
from ..live import ACTING

PURE = frozenset(
    f"agent.{name}"
    for name in (
        *("constant", "template", "build", "field", "list", "binary", "unary", "length", "table", "index", "case"),
        *("convert", "declassify", "parse", "positions", "turn"),
    )
)
"""Operations whose value depends on their operands and nothing else. They are computed only if somebody uses it."""

WAITING = frozenset({"agent.collect", "agent.buffered"})
"""Pure too, but they take streams: when they are through depends on where they stand."""

CALLS = ACTING | {"agent.chat"}
"""Leaves that stand for a whole call of the program. (Those that a chat is split into belong together.)"""

OPEN = frozenset({"agent.if", "agent.match", "agent.arm", "agent.map", "agent.repeat", "agent.generator"})
"""Operations with bodies in which a failure is one of the region around. Of others it is not known."""

LOOPS = frozenset({"agent.map", "agent.repeat"})

_ARITHMETIC = ("+", "-", "*", "/", "%")
# What says who an operation is, not what it does.
_NAMES = frozenset({"id", "binding", "output", "also", "times", "demand", "known_as", "tier"})
MARKED = ("labels", "carried")
"""What says which labels its values have."""


def text(operation: Any, name: str) -> str | None:
    """A text among the attributes, or None."""
    return operation.attributes[name].value if name in operation.attributes else None


def result_type(operation: Any) -> Any:
    return from_mlir(operation.results[0].type) if len(operation.results) else NONE


def is_stream(value: Any) -> bool:
    return isinstance(from_mlir(value.type), StreamType)


def can_fail(operation: Any) -> bool:
    """Whether a pure operation can be without a result."""
    match operation.name:
        case "agent.parse":
            return True
        case "agent.binary":
            if text(operation, "operator") not in _ARITHMETIC:
                return False
            result = result_type(operation)
            whole = all(from_mlir(value.type) == INT for value in operation.operands)
            sums = whole and text(operation, "operator") in ("+", "-", "*")
            return not (sums or result == TEXT or isinstance(result, ListType))
        case "agent.index":
            return isinstance(from_mlir(operation.operands[0].type), ListType)
        case "agent.convert":
            # An Int may be too large for a Float.
            given = from_mlir(operation.operands[0].type)
            return result_type(operation) != JSON and ("Int" in str(given) or given == JSON)
        case _:
            return False


def acts(operation: Any) -> bool:
    """Whether it runs though nobody uses what it gives or sends out: a test looks at it, or it is a call that gives a
    value, and may act on the world."""
    name = operation.name
    if name in ("agent.expect", "agent.emit", "agent.given", "agent.call") or "acts" in operation.attributes:
        return True
    match name:
        case "agent.watch" | "agent.halt":
            return True
        case "agent.send":
            return not len(operation.results)
        case "agent.receive":
            return not len(operation.operands) and not any(map(is_stream, operation.results))
        case _:
            return name in CALLS and not any(map(is_stream, operation.results))


def acting(body: Any) -> set[str]:
    """The ids of operations with bodies in which something acts. They run for that, used or not."""
    found: set[str] = set()
    _acting(body.regions[0].blocks[0], True, lambda operation, acts: found.add(text(operation, "id") or "") or acts)
    return found


def keep_acting(body: Any, before: set[str]) -> None:
    """Bodies out of which a pass took all that acts run as they did: a person is asked, and what fails fails."""

    def kept(operation: Any, acts: bool) -> bool:
        if not acts and text(operation, "id") in before:
            operation.attributes["acts"] = _mlir.attribute(True)
        return acts or text(operation, "id") in before

    _acting(body.regions[0].blocks[0], True, kept, every=True)


def _acting(block: Any, sends: bool, tell: Callable[[Any, bool], bool], every: bool = False) -> bool:
    """Whether anything in a block acts; `tell` hears of each operation with bodies that does (or of every one),
    innermost first, and says whether it does. What is emitted in a generator is the generator's stream."""
    found = False
    for operation in _mlir.operations(block):
        if operation.name == "agent.emit":
            found |= sends
            continue
        if operation.name == "agent.fused":
            continue  # what is in it only computes
        if not len(operation.regions):
            found |= acts(operation)
            continue
        inside = "acts" in operation.attributes
        for region in operation.regions:
            for inner in region.blocks:
                inside |= _acting(inner, sends and operation.name != "agent.generator", tell, every)
        if operation.name != "agent.arm" and (inside or every):
            inside = tell(operation, inside)
        found |= inside
    return found


def repeatable(operation: Any, library: Library, constants: dict[Any, Any]) -> bool:
    """Whether a call gives the same answer each time and has no effect on the world. `constants` are the values that
    are known."""
    asked = _asked(operation)
    if asked is None:
        return False
    names = _mlir.plain(operation.attributes["parameters"])
    arguments = {name: constants.get(value, UNKNOWN) for name, value in zip(names, operation.operands, strict=False)}
    return library.repeatable(asked, arguments)


def harmless(operation: Any, library: Library) -> bool:
    """Whether a call only computes, quickly, and always has an answer: then it is like a pure operation."""
    asked = _asked(operation)
    return asked is not None and not any(map(is_stream, operation.operands)) and library.harmless(asked)


def _asked(operation: Any) -> str | None:
    """The entry of a call that the library may be asked about; none of a tool."""
    attributes = operation.attributes
    if operation.name not in CALLS or "tool" in attributes or "settings" in attributes:
        return None
    if "effects" in attributes and len(attributes["effects"]):
        return None
    return "llm:chat" if operation.name == "agent.chat" else text(operation, "entry")


def key(operation: Any) -> tuple[Any, ...]:
    """What two operations must have in common to give the same: all but their names and places."""
    results = [value.type for value in operation.results]
    return (*deed(operation), None, *operation.operands, None, *results)


def deed(operation: Any) -> tuple[Any, ...]:
    """What an operation does, to whatever it takes."""
    return (operation.name, *(item for item in operation.attributes.items() if item[0] not in _NAMES))


def names_of(operation: Any) -> tuple[str, ...]:
    """The names by which an `assume` block may know it: its own, and those of what it stands for."""
    given = operation.attributes
    own = tuple(given[name].value for name in ("binding", "output", "variable", "whole") if name in given)
    also = _mlir.plain(given["also"]) if "also" in given else ()
    binders = _mlir.plain(given["binders"]) if "binders" in given else ()
    return tuple(dict.fromkeys((*own, *also, *filter(None, binders))))


def stand_for(kept: Any, gone: Any) -> None:
    """`kept` does the work of `gone` from now on: its value takes that one's place, and it has its names too."""
    for mine, other in zip(kept.results, gone.results, strict=True):
        other.replace_all_uses_with(mine)
    if "binding" in gone.attributes and "binding" not in kept.attributes:
        kept.attributes["binding"] = gone.attributes["binding"]
    own = names_of(kept)
    also = [name for name in names_of(gone) if name not in own]
    if also:
        known = _mlir.plain(kept.attributes["also"]) if "also" in kept.attributes else ()
        kept.attributes["also"] = _mlir.attribute([*known, *also])


def forget(body: Any, names: Iterable[str]) -> None:
    """Names of a pipeline or test that nothing has any more: an `assume` block may still say something of them."""
    gone = list(names)
    if gone:
        known = _mlir.plain(body.attributes["unread"]) if "unread" in body.attributes else ()
        body.attributes["unread"] = _mlir.attribute(list(dict.fromkeys((*known, *gone))))


def bodies(module: Any) -> list[Any]:
    """The pipelines and tests of a module."""
    return [op for op in _mlir.operations(_mlir.body(module)) if op.name in ("agent.pipeline", "agent.test")]
