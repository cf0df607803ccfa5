"""A fused operation (`agent.fused`) made ready: what is in it as a list of steps over one list of values.

    values = [what it takes …, constants …, what each step gives …]

Where only plain operations are in it, the machine computes it here. Where stages of the library are, it goes out as one
stage, and the shell runs the same list (`executor.fusing`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from ...ir.fused import ENTRY, given, inside, stages, taken
from ...ir.graph import Operation
from ..values import Shapes
from .semantics import CONVERSIONS, PLAIN, leaf

Compute = Callable[[Sequence[object]], object]


@dataclass(frozen=True, slots=True)
class Part:
    """One operation of a fused one: where its operands lie. `compute` is of a plain one; a stage of the library has an
    `entry`, and `arguments`: the name of each operand beside where it lies."""

    operation: Operation
    slots: tuple[int, ...]
    compute: Compute | None
    entry: str = ""
    arguments: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Code:
    """`start` are the constants, which come behind the values that it takes; each part adds one."""

    start: tuple[object, ...]
    parts: tuple[Part, ...]
    result: int
    taken: int


def code_of(operation: Operation, shapes: Shapes) -> Code:
    outside = taken(operation)
    places = {value.id: place for place, value in enumerate(outside)}
    constants = [each for each in inside(operation) if each.name == "agent.constant"]
    parts: list[Part] = []
    for each in (*constants, *(one for one in inside(operation) if one.name != "agent.constant")):
        slots = tuple(places[value.id] for value in each.operands)
        places[each.results[0].id] = len(places)
        if each.name == "agent.constant":
            continue
        if "entry" in each.attributes:
            entry, names = leaf(each)
            parts.append(Part(each, slots, None, entry, tuple(zip(names, slots, strict=True))))
        else:
            parts.append(Part(each, slots, _plain(each, shapes)))
    start = tuple(each.attributes["value"] for each in constants)
    return Code(start, tuple(parts), places[given(operation).id], len(outside))


def _plain(operation: Operation, shapes: Shapes) -> Compute:
    plain = PLAIN.get(operation.name)
    if plain is not None:
        return partial(plain, operation)
    convert = CONVERSIONS[operation.name]
    return lambda operands: convert(operation, operands, shapes)


def only_plain(operation: Operation) -> bool:
    return not stages(operation)


def step_of(operation: Operation) -> tuple[tuple[int, ...], str, tuple[str, ...]]:
    """Of a fused operation, as of a leaf: the values that it takes, its entry ("" where the machine computes it), and a
    name for each value."""
    values = tuple(value.id for value in taken(operation))
    return values, "" if only_plain(operation) else ENTRY, tuple(map(str, range(len(values))))


class Codes:
    """Of one graph, each made when it first runs."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        # The operation is kept with it, so that no other gets its identity.
        self._known: dict[int, tuple[Operation, Code]] = {}

    def get(self, operation: Operation) -> Code:
        known = self._known.get(id(operation))
        if known is None:
            known = self._known[id(operation)] = (operation, code_of(operation, self._shapes))
        return known[1]
