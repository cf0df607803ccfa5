"""The labels of what each operation takes and gives, on a graph without calls: what those ask who write values down.

Labels follow data through operands, bodies and memories, by the rules of `lang.analysis.flow`; here the values are
those of the whole run, so what a caller gives is seen inside of what it calls. `labels` of an operation are those
that the program says of its result, `carried` those of its operands that no operation says (see `ir.carried`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from .graph import Graph, Operation, Region, walk

Labels = frozenset[str]
NONE: Labels = frozenset()
RESULT = "result"
"""Where `carried` has the labels of the parts of a result."""

_ENDS = frozenset({"text:redact", "text:redact_found"})
# Whose bodies are entered with what it takes. Other operands only decide which body runs, which is no flow of data.
_ENTERED = frozenset({"agent.match", "agent.map", "agent.repeat"})


@dataclass(frozen=True, slots=True)
class Held:
    """The labels of each operand, in order, and of the result: those of its parts included."""

    operands: tuple[Labels, ...]
    result: Labels


def labels_of(graph: Graph) -> Mapping[str, Held]:
    """By the ids of operations, of all pipelines and tests."""
    memories = {handle.name: NONE for handle in graph.handles if handle.keyword == "memory"}
    while True:
        found: dict[str, Held] = {}
        before = dict(memories)
        for pipeline in (*graph.pipelines, *graph.tests):
            body = _Body(memories)
            body.region(pipeline.body, ())
            body.read_backwards(pipeline.body)
            found |= body.found
        # What was stored in a memory, by whichever run, is what it gives back.
        if memories == before:
            return found


class _Body:
    def __init__(self, memories: dict[str, Labels]) -> None:
        self._memories = memories
        self._values: dict[int, Labels] = {}
        self._handles: dict[int, str] = {}
        self.found: dict[str, Held] = {}

    def region(self, region: Region, entered: Iterable[Labels]) -> Labels:
        """The labels of what a body gives; `entered` are those of its arguments."""
        for argument, labels in zip(region.arguments, entered, strict=False):
            self._values[argument.id] = labels
        last = NONE
        for operation in region.operations:
            last = self._operation(operation)
        return last

    def _operation(self, operation: Operation) -> Labels:
        """What it gives; of a terminator, what it hands out."""
        carried = cast("Mapping[str, tuple[str, ...]]", operation.attributes.get("carried") or {})
        operands = tuple(
            self._values.get(value.id, NONE).union(carried.get(str(index), ()))
            for index, value in enumerate(operation.operands)
        )
        everything = NONE.union(*operands)
        given = frozenset(cast("tuple[str, ...]", operation.attributes.get("labels") or ()))
        if operation.name == "agent.open":
            name = cast(str, operation.attributes["name"])
            self._handles[operation.results[0].id] = name
            given |= self._memories.get(name, NONE)
        elif operation.regions:
            given |= self._bodies(operation, operands, everything)
        elif operation.name != "agent.declassify" and operation.attributes.get("entry") not in _ENDS:
            given |= everything
        for value in operation.operands:
            if self._handles.get(value.id) in self._memories:
                self._memories[self._handles[value.id]] |= everything
        for result in operation.results:
            self._values[result.id] = given
        self.found[operation.id] = Held(operands, given.union(carried.get(RESULT, ())))
        return given

    def _bodies(self, operation: Operation, operands: tuple[Labels, ...], everything: Labels) -> Labels:
        if operation.name in ("agent.repeat", "agent.agent"):
            state = operands[0]
            while not (after := self._inside(operation, state)) <= state:
                state |= after
            return state
        given = self._inside(operation, everything if operation.name in _ENTERED else NONE)
        if operation.name == "agent.generator":
            emits = (each for region in operation.regions for each in walk(region) if each.name == "agent.emit")
            given = given.union(*(self.found[each.id].operands[0] for each in emits))
        return given

    def _inside(self, operation: Operation, entered: Labels) -> Labels:
        given = NONE
        for number, region in enumerate(operation.regions):
            last = self.region(region, [entered] * len(region.arguments))
            # The second body of a loop only says which items are taken.
            given |= NONE if operation.name == "agent.map" and number == 1 else last
        return given

    def read_backwards(self, region: Region) -> None:
        """A document was read from a text, which says all that it holds."""
        made = {value.id: operation for operation in walk(region) for value in operation.results}
        for operation in made.values():
            labels = self.found[operation.id].result if operation.name == "agent.parse" else NONE
            text = made.get(operation.operands[0].id) if labels else None
            while text is not None and text.name in ("agent.collect", "agent.detokenize", "agent.buffered"):
                held = self.found[text.id]
                self.found[text.id] = Held(held.operands, held.result | labels)
                text = made.get(text.operands[0].id) if text.name != "agent.detokenize" else None
