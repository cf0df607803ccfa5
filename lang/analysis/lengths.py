"""How long the lists and streams of a program may be: a number, a bound in other lengths, or a length of their own.

A `for` gives no more items than it takes, a list that is written out has as many as it has, and what a pipeline gives
follows from what it is passed. All else is a length that only a run knows, named after what holds it.
"""

from __future__ import annotations

from collections.abc import Mapping

from .. import program as p
from ..types import ListType, StreamType, Type
from .amounts import Bound, amount, length
from .whole import Whole


class Lengths:
    """How long lists and streams may be. Names are unique in a pipeline, so what a binding holds is found by name."""

    def __init__(self, whole: Whole) -> None:
        self.results: dict[str, Bound] = {}
        self._names: dict[str, dict[str, Bound]] = {}
        for pipeline in whole.pipelines:
            names = self._names[pipeline.name] = {
                parameter.name: length(f"len({parameter.name})")
                for parameter in pipeline.parameters
                if _has_length(parameter.type)
            }
            self._block(pipeline.name, pipeline.body, names)
            if pipeline.body.result is not None and _has_length(pipeline.result):
                self.results[pipeline.name] = self.of(pipeline.name, pipeline.body.result)

    def _block(self, inside: str, block: p.Block, names: dict[str, Bound]) -> None:
        for statement in block.statements:
            value = statement.condition if isinstance(statement, p.Expect) else statement.value
            self._inside(inside, value, names)
            if isinstance(statement, p.Bind) and _has_length(value.type):
                names[statement.name] = self._known(inside, value) or length(f"len({statement.name})")
        if block.result is not None:
            self._inside(inside, block.result, names)

    def _inside(self, inside: str, node: p.Expression, names: dict[str, Bound]) -> None:
        """The names that the blocks inside an expression bind."""
        match node:
            case p.MapOver():
                self._inside(inside, node.over, names)
                if _has_length(node.variable_type):
                    names[node.variable] = length(f"len({node.variable})")
                self._block(inside, node.body, names)
            case p.Repeat():
                self._inside(inside, node.initial, names)
                if _has_length(node.state_type):
                    names[node.state] = length(f"len({node.state})")
                self._block(inside, node.body, names)
            case p.Match():
                for arm in node.arms:
                    for binder in arm.binders:
                        if binder is not None and _has_length(binder.type):
                            names[binder.name] = length(f"len({binder.name})")
                    self._block(inside, arm.body, names)
            case p.If():
                self._block(inside, node.then, names)
                self._block(inside, node.otherwise, names)
            case p.Interruptible():
                self._block(inside, node.body, names)
            case _:
                for part in p.children(node):
                    self._inside(inside, part, names)

    def of(self, inside: str, node: p.Expression) -> Bound:
        """At most so many items."""
        return self._known(inside, node) or length(f"len({_spelt(node)})")

    def _known(self, inside: str, node: p.Expression) -> Bound | None:
        """What follows from the program; None where it is a length of its own."""
        match node:
            case p.ListOf():
                return amount(len(node.items))
            case p.Literal() if isinstance(node.value, tuple):
                return amount(len(node.value))
            case p.Reference():
                return self._names.get(inside, {}).get(node.name)
            case p.MapOver() if not isinstance(node.body.result and node.body.result.type, StreamType):
                return self.of(inside, node.over)
            case p.Binary() if node.operator == "+":
                return self.of(inside, node.left) + self.of(inside, node.right)
            case p.If() if node.then.result is not None and node.otherwise.result is not None:
                return self.of(inside, node.then.result) | self.of(inside, node.otherwise.result)
            case p.Otherwise():
                return self.of(inside, node.value) | self.of(inside, node.fallback)
            case p.With():
                return self.of(inside, node.call)
            case p.Buffered() | p.Collect():
                return self.of(inside, node.stream)
            case p.Declassify():
                return self.of(inside, node.value)
            case p.PipelineCall() if node.pipeline in self.results:
                return self.results[node.pipeline].replaced(self.passing(inside, node))
            case _:
                return None

    def passing(self, inside: str, node: p.PipelineCall) -> Passing:
        """What stands for the lengths of a called pipeline here."""
        arguments = {f"len({a.name})": self.of(inside, a.value) for a in node.arguments if _has_length(a.value.type)}
        return Passing(node.pipeline, arguments)


class Passing:
    """A length of a parameter becomes that of the argument; any other gets the pipeline's name before its own."""

    __slots__ = ("arguments", "pipeline")

    def __init__(self, pipeline: str, arguments: Mapping[str, Bound]) -> None:
        self.pipeline = pipeline
        self.arguments = arguments

    def __call__(self, name: str) -> Bound:
        found = self.arguments.get(name)
        if found is not None:
            return found
        inner = name[4:-1] if name.startswith("len(") else None
        return length(f"len({self.pipeline}.{inner})") if inner else length(f"{self.pipeline}.{name}")


def _has_length(type: Type) -> bool:
    return isinstance(type, ListType | StreamType)


def _spelt(node: p.Expression) -> str:
    match node:
        case p.Reference():
            return node.name
        case p.FieldOf():
            return f"{_spelt(node.base)}.{node.field_name}"
        case p.StageCall():
            return f"{node.stage.name}(…)"
        case p.PipelineCall():
            return f"{node.pipeline}(…)"
        case _:
            return f"the list in line {node.span.line}"
