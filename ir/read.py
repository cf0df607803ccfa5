"""A module to the frozen graph. After this nobody sees MLIR.

MLIR keeps lines and columns, not offsets; where the source is at hand, spans get their offsets back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

from ..base.source import Source, Span
from . import _mlir
from .constants import decoded
from .demand.data import demand_from, size_from
from .dialect.agents import names_of
from .dialect.types import from_mlir
from .formula import parse as parse_formula
from .graph import (
    Channel,
    EnumShape,
    Graph,
    GraphPipeline,
    Handle,
    HandleName,
    Input,
    ModelStep,
    Operation,
    RecordShape,
    Region,
    Tool,
    Value,
)

# Operations with any number of bodies, each in an `agent.arm`.
ARMED = ("agent.match", "agent.race")

# Attributes that become fields of `Operation` or names of values.
_FIELDS = frozenset({"id", "binding", "demand", "times"})


def digest(module: Any) -> str:
    """The SHA-256 (hex) of the module's text without locations."""
    return hashlib.sha256(_mlir.text(module, locations=False).encode()).hexdigest()


def passes(module: Any) -> tuple[str, ...]:
    """The passes that a module says it has been through."""
    with _mlir.working(), suppress(TypeError):  # of something foreign, which verification is to tell
        given: Any = _mlir.attributes_of(module).get("agent.passes")
        return cast("tuple[str, ...]", given) if isinstance(given, tuple) else ()
    return ()


def read_graph(module: Any, sources: Mapping[str, Source] | None = None) -> Graph:
    """The graph of a verified module. Model operations that were nested in it stay behind."""
    with _mlir.working():
        return _Reader(sources or {}).graph(module)


class _Reader:
    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = sources
        self._values: dict[Any, Value] = {}

    def graph(self, module: Any) -> Graph:
        by_kind: dict[str, list[Any]] = {}
        for operation in _mlir.operations(_mlir.body(module)):
            by_kind.setdefault(operation.name, []).append(operation)

        def each(kind: str) -> Iterable[tuple[Any, dict[str, Any]]]:
            return ((operation, _mlir.attributes_of(operation)) for operation in by_kind.get(kind, ()))

        return Graph(
            digest=digest(module),
            handles=tuple(self._handle(operation, given) for operation, given in each("agent.handle")),
            records=tuple(RecordShape(given["name"], _shape(given["fields"])) for _, given in each("agent.record")),
            pipelines=tuple(self._pipeline(operation, given) for operation, given in each("agent.pipeline")),
            goals={given["pipeline"]: _without(given, "pipeline") for _, given in each("agent.goal")},
            fleets={given["name"]: _fleet(operation) for operation, given in each("agent.fleet")},
            enums=tuple(_enum(given) for _, given in each("agent.enum")),
            tests=tuple(self._test(operation, given) for operation, given in each("agent.test")),
            passes=passes(module),
            tools=tuple(self._tool(operation, given) for operation, given in each("agent.tool")),
            channels=tuple(_channel(given) for _, given in each("agent.channel")),
            home=text_of(module, "agent.home"),
            tier=text_of(module, "agent.tier"),
            steps=tuple(self._step(operation, given) for operation, given in each("agent.step")),
        )

    # --- declarations ------------------------------------------------------------------------------------------------

    def _handle(self, operation: Any, given: dict[str, Any]) -> Handle:
        return replace(handle_of(given), span=self._span(operation))

    def _tool(self, operation: Any, given: dict[str, Any]) -> Tool:
        optional = {name: given[name] for name in ("settings", "idempotent_by", "server", "doc") if name in given}
        return Tool(
            given["name"],
            _shape(given["parameters"]),
            _type(given["result"]),
            given["entry"],
            given["effects"],
            **optional,
            span=self._span(operation),
        )

    def _pipeline(self, operation: Any, given: dict[str, Any]) -> GraphPipeline:
        inputs = tuple(
            Input(entry["name"], _type(entry["type"]), entry["required"], decoded(entry.get("default")))
            for entry in given["parameters"]
        )
        result = _type(given["result"])
        return self._body(operation, given, inputs, result, [parameter.name for parameter in inputs])

    def _step(self, operation: Any, given: dict[str, Any]) -> ModelStep:
        self._values = {}
        body = self._region(operation.regions[0], [])
        spread = given["tensor"], given["expert"]
        return ModelStep(given["name"], given["model"], *spread, body, given.get("weights", ()))

    def _test(self, operation: Any, given: dict[str, Any]) -> GraphPipeline:
        from ..lang.types import NONE

        return self._body(operation, given, (), NONE, [])

    def _body(
        self, operation: Any, given: dict[str, Any], inputs: tuple[Input, ...], result: Any, names: list[str]
    ) -> GraphPipeline:
        self._values = {}
        body = self._region(operation.regions[0], names)
        sizes = tuple(size_from(entry) for entry in given.get("sizes", ()))
        unread = given.get("unread", ())
        return GraphPipeline(given["name"], inputs, result, body, self._span(operation), sizes, unread)

    # --- bodies ------------------------------------------------------------------------------------------------------

    def _region(self, region: Any, names: list[str]) -> Region:
        blocks = list(region.blocks)
        if not blocks:
            return Region((), ())
        arguments = tuple(
            self._define(argument, (names[i] or None) if i < len(names) else None)
            for i, argument in enumerate(blocks[0].arguments)
        )
        return Region(arguments, tuple(self._operation(inner) for inner in _mlir.operations(blocks[0])))

    def _operation(self, operation: Any) -> Operation:
        given = _mlir.attributes_of(operation)
        operands = tuple(self._values[value] for value in operation.operands)
        if operation.name in ARMED:
            arms = [(arm, _mlir.attributes_of(arm)) for arm in _mlir.operations(operation.regions[0].blocks[0])]
            regions = tuple(self._region(arm.regions[0], list(own.get("binders", ()))) for arm, own in arms)
            if operation.name == "agent.match":
                given["cases"] = tuple(own["case"] for _, own in arms)
        elif operation.name == "agent.agent":
            said, call = operands[0].name or "said", names_of(given)["call"]
            names = ([said], [call], [said])
            regions = tuple(self._region(region, own) for region, own in zip(operation.regions, names, strict=True))
        else:
            names = [given["variable"]] if "variable" in given else []
            regions = tuple(self._region(region, names) for region in operation.regions)
        if operation.name == "agent.constant":
            given["value"] = decoded(given["value"])
        results = tuple(self._define(value, given.get("binding")) for value in operation.results)
        places = [self._located(span) for span in _mlir.spans(operation.location)]
        return Operation(
            id=given["id"],
            name=operation.name,
            operands=operands,
            results=results,
            attributes={name: value for name, value in given.items() if name not in _FIELDS},
            regions=regions,
            demand=demand_from(given["demand"]) if "demand" in given else None,
            span=places[0] if places else None,
            times=parse_formula(given["times"]) if "times" in given else None,
            callers=tuple(places[1:]),
        )

    def _define(self, value: Any, name: str | None) -> Value:
        made = self._values[value] = Value(len(self._values), from_mlir(value.type), name)
        return made

    # --- places ------------------------------------------------------------------------------------------------------

    def _span(self, operation: Any) -> Span | None:
        return next((self._located(span) for span in _mlir.spans(operation.location)), None)

    def _located(self, span: Span) -> Span:
        source = self._sources.get(span.path)
        if source is None:
            return span
        starts = source.line_starts
        if not (0 < span.line <= len(starts) and 0 < span.end_line <= len(starts)):
            return span
        start = starts[span.line - 1] + span.column - 1
        return replace(span, start=start, end=starts[span.end_line - 1] + span.end_column - 1)


def handle_of(given: Mapping[str, Any]) -> Handle:
    """A declared handle by the attributes of its operation, without its place."""
    return Handle(
        given["name"],
        given["type"],
        given["entry"],
        {name: _handle_argument(value) for name, value in given["arguments"].items()},
        keyword=given["keyword"],
        demand=demand_from(given["demand"]) if "demand" in given else None,
    )


def text_of(module: Any, name: str) -> str | None:
    """A text among the attributes of a module, or None."""
    return module.attributes[name].value if name in module.attributes else None


def _channel(given: dict[str, Any]) -> Channel:
    return Channel(given["name"], given["from"], given["to"], from_mlir(given["type"]), given["buffer"])


def _handle_argument(value: Any) -> Any:
    return HandleName(str(value)) if isinstance(value, _mlir.SymbolName) else decoded(value)


def _type(given: Any) -> Any:
    """A type of the language: declarations hold no `tokens` or `kv`."""
    return from_mlir(given)


def _shape(fields: Any) -> tuple[tuple[str, Any], ...]:
    return tuple((field["name"], _type(field["type"])) for field in fields)


def _enum(given: dict[str, Any]) -> EnumShape:
    return EnumShape(given["name"], tuple((case["name"], _shape(case["payload"])) for case in given["cases"]))


def _fleet(operation: Any) -> Mapping[str, Any]:
    inner = _mlir.operations(operation.regions[0].blocks[0])
    return {
        "tiers": tuple(_mlir.attributes_of(tier) for tier in inner if tier.name == "agent.tier"),
        "links": tuple(_mlir.attributes_of(link) for link in inner if link.name == "agent.link"),
    }


def _without(given: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key != name}
