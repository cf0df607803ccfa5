"""The labels of what an operation is called with and of what it answers, for those who write values down.

An operation carries the labels of its result. A value that a body is entered with (the item of a `for`, the payload of
a case) has those of what it was taken from. `@untrusted` says where a value comes from, not that it is nobody's
business, so it is left out here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from ..ir.graph import Graph, Operation, Region, Value
from ..lang.program import Program
from .machine.semantics import LEAVES, leaf

Labels = tuple[str, ...]
_UNTRUSTED = "untrusted"


def labels_of(graph: Graph, program: Program) -> Callable[[Operation, str | None], Labels]:
    """Looks up an operation of the graph: the labels of its argument by name, or of its answer (None). The graph is
    that of the program, which knows the labels of parameters."""
    declared = {pipeline.name: pipeline.parameters for pipeline in program.pipelines}
    arguments: dict[str, dict[str, Labels]] = {}
    answers: dict[str, Labels] = {}
    for pipeline in (*graph.pipelines, *graph.tests):
        known: dict[int, Labels] = {}
        for argument, parameter in zip(pipeline.body.arguments, declared.get(pipeline.name, ()), strict=False):
            known[argument.id] = tuple(sorted(parameter.labels))
        _region(pipeline.body, known, arguments, answers)

    def find(operation: Operation, name: str | None) -> Labels:
        return answers.get(operation.id, ()) if name is None else arguments.get(operation.id, {}).get(name, ())

    return find


def _region(
    region: Region, known: dict[int, Labels], arguments: dict[str, dict[str, Labels]], answers: dict[str, Labels]
) -> None:
    made: dict[int, Operation] = {}
    for operation in region.operations:
        said = cast("Labels", operation.attributes.get("labels") or ())
        own = tuple(label for label in said if label != _UNTRUSTED)
        for result in operation.results:
            known[result.id] = own
            made[result.id] = operation
        if operation.name == "agent.parse" and own:
            # The labels of a document are those of the text that it is read from.
            _backwards(operation.operands[0], own, made, known, answers)
        if operation.name in LEAVES:
            names = leaf(operation)[1]
            found = {name: known.get(value.id, ()) for name, value in zip(names, operation.operands, strict=False)}
            arguments[operation.id] = {name: labels for name, labels in found.items() if labels}
            answers[operation.id] = own
        entered = tuple(sorted({label for value in operation.operands for label in known.get(value.id, ())}))
        for inner in operation.regions:
            for argument in inner.arguments:
                known[argument.id] = entered
            _region(inner, known, arguments, answers)


def _backwards(
    value: Value, labels: Labels, made: dict[int, Operation], known: dict[int, Labels], answers: dict[str, Labels]
) -> None:
    operation = made.get(value.id)
    while operation is not None and operation.name in ("agent.collect", "agent.detokenize"):
        known[operation.results[0].id] = labels
        if operation.name in LEAVES:
            answers[operation.id] = labels
            return
        operation = made.get(operation.operands[0].id)
