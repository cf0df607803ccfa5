"""What stands directly in a module: handles, shapes of records and enums, tools, pipelines, tests and goals.

They are named operations without MLIR's symbol traits (which dynamic operations cannot have); that names are unique and
that uses resolve are laws of the module.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...lang.types import NONE, StreamType
from ..constants import decoded
from ..graph import ValueType
from .spec import Is, View, fits, operation, value_fits
from .stages import effects
from .types import from_mlir

_MODULE = ("builtin.module",)
KEYWORDS = ("model", "resource", "memory", "server")


def _keys(entry: Any, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> bool:
    return isinstance(entry, dict) and set(required) <= set(entry) <= {*required, *optional}  # pyright: ignore[reportUnknownArgumentType]


@operation(
    "handle",
    attributes={"name": Is.TEXT, "keyword": Is.TEXT, "type": Is.TEXT, "entry": Is.TEXT, "arguments": Is.MAP},
    results=(0, 0),
    inside=_MODULE,
)
def handle(op: View) -> Iterator[str]:
    """A declared model, resource, memory or server: the constructor and its arguments; `@name` stands for another
    handle.

    "agent.handle"() {name = "writer", keyword = "model", type = "llm.Model", entry = "llm:model",
                      arguments = {name = "smollm2-135m-instruct"}} : () -> ()
    """
    if op.attributes["keyword"] not in KEYWORDS:
        yield f"is a model, resource, memory or server, not a {op.attributes['keyword']!r}"
    if ":" not in op.attributes["entry"]:
        yield f"has an entry {op.attributes['entry']!r} that is not 'module:name'"


def _fields(fields: tuple[Any, ...], word: str = "field") -> Iterator[str]:
    names: list[str] = []
    for entry in fields:
        if not _keys(entry, ("name", "type")):
            yield f"has a {word} that is not a name and a type"
            return
        names.append(entry["name"])
        from_mlir(entry["type"])
    if len(set(names)) != len(names):
        yield f"has a {word} twice"


@operation("record", attributes={"name": Is.TEXT, "fields": Is.ARRAY}, results=(0, 0), inside=_MODULE)
def record(op: View) -> Iterator[str]:
    """The shape of a record.

    "agent.record"() {name = "Source", fields = [{name = "path", type = !agent.text}]} : () -> ()
    """
    yield from _fields(op.attributes["fields"])


@operation("enum", attributes={"name": Is.TEXT, "cases": Is.ARRAY}, results=(0, 0), inside=_MODULE)
def enum(op: View) -> Iterator[str]:
    """The shape of an enum: its cases, each with its payload.

    "agent.enum"() {name = "Intent", cases = [{name = "Refund", payload = [{name = "order", type = !agent.int}]}]}
    """
    names: list[str] = []
    for case in op.attributes["cases"]:
        if not _keys(case, ("name", "payload")):
            yield "has a case that is not a name and a payload"
            return
        names.append(case["name"])
        yield from _fields(case["payload"])
    if len(set(names)) != len(names):
        yield "has a case twice"


@operation(
    "tool",
    attributes={"name": Is.TEXT, "parameters": Is.ARRAY, "result": Is.TYPE, "entry": Is.TEXT, "effects": Is.TEXTS},
    optional={"settings": Is.MAP, "idempotent_by": Is.TEXT, "server": Is.TEXT, "doc": Is.TEXT},
    results=(0, 0),
    inside=_MODULE,
)
def tool(op: View) -> Iterator[str]:
    """A declared tool, for whoever lists or explains them; a call (`agent.stage`) says all that it needs itself.

    "agent.tool"() {name = "order", entry = "python:call", settings = {target = "shop:order"},
                    effects = ["reads orders"], parameters = [{name = "id", type = !agent.int}],
                    result = !agent.record_of<"Order">} : () -> ()
    """
    if ":" not in op.attributes["entry"]:
        yield f"has an entry {op.attributes['entry']!r} that is not 'module:name'"
    yield from effects(op.attributes["effects"])
    yield from _fields(op.attributes["parameters"], "parameter")
    names = [entry["name"] for entry in op.attributes["parameters"] if _keys(entry, ("name", "type"))]
    if op.attributes.get("idempotent_by", names[0] if names else None) not in (*names, None):
        yield f"is idempotent by {op.attributes['idempotent_by']!r}, which is no parameter of it"


def _body(op: View, inputs: tuple[ValueType, ...], result: ValueType) -> Iterator[str]:
    body = op.region(0)
    if body is None:
        yield "has no body"
        return
    if body.arguments != inputs:
        yield f"has {len(inputs)} parameters, but a body that takes {', '.join(map(str, body.arguments)) or 'nothing'}"
    if not body.results:
        if result != NONE and not isinstance(result, StreamType):
            yield f"returns nothing, but its result is {result}"
    elif not fits(body.results[0], result):
        yield f"returns {body.results[0]}, but its result is {result}"


def _pipeline_body(op: View) -> Iterator[str]:
    inputs = tuple(from_mlir(entry["type"]) for entry in op.attributes["parameters"])
    yield from _body(op, inputs, from_mlir(op.attributes["result"]))


@operation(
    "pipeline",
    attributes={"name": Is.TEXT, "parameters": Is.ARRAY, "result": Is.TYPE},
    optional={"sizes": Is.ARRAY, "unread": Is.TEXTS},
    results=(0, 0),
    regions=("body",),
    inside=(*_MODULE, "agent.island"),
    verify_regions=_pipeline_body,
)
def pipeline(op: View) -> Iterator[str]:
    """A pipeline. Its body's arguments are its parameters, in order; `sizes` is what `annotate_demand` found,
    `unread` are names of the program that no operation has any more.

    "agent.pipeline"() ({ ^bb0(%name: !agent.text): … "agent.return"(%1) })
      {name = "hello", result = !agent.stream_of<!agent.text>,
       parameters = [{name = "name", type = !agent.text, required = false, default = "world"}]} : () -> ()
    """
    names: list[str] = []
    for entry in op.attributes["parameters"]:
        if not _keys(entry, ("name", "type", "required"), ("default",)):
            yield "has a parameter that is not a name, a type, whether it is required, and a default"
            return
        names.append(entry["name"])
        if entry["required"] == ("default" in entry):
            yield f"has a parameter {entry['name']!r} that is required and has a default, or neither"
        if "default" in entry and not value_fits(decoded(entry["default"]), from_mlir(entry["type"])):
            yield f"has a default for {entry['name']!r} that is no {from_mlir(entry['type'])}"
    if len(set(names)) != len(names):
        yield "has a parameter twice"


def _test_body(op: View) -> Iterator[str]:
    yield from _body(op, (), NONE)


@operation(
    "test",
    attributes={"name": Is.TEXT},
    optional={"sizes": Is.ARRAY, "unread": Is.TEXTS},
    results=(0, 0),
    regions=("body",),
    inside=_MODULE,
    verify_regions=_test_body,
)
def test(op: View) -> Iterator[str]:
    """A test: a body with `agent.expect` in it.

    "agent.test"() ({ … "agent.return"() }) {name = "greets"} : () -> ()
    """
    if not op.attributes["name"]:
        yield "has no name"


@operation(
    "goal", attributes={"pipeline": Is.TEXT, "terms": Is.ARRAY, "assume": Is.ARRAY}, results=(0, 0), inside=_MODULE
)
def goal(op: View) -> Iterator[str]:
    """What a pipeline must promise, and the work that one run is assumed to bring. Limits are in base units.

    "agent.goal"() {pipeline = "answer", assume = [{name = "best", value = 3.0, unit = "count"}],
                    terms = [{kind = "first_token", percentile = 95.0, limit = 1.5, unit = "Duration"}]} : () -> ()
    """
    for term in op.attributes["terms"]:
        if not _keys(term, ("kind",), ("percentile", "limit", "unit", "word", "tiers")):
            yield "has a term without a kind"
        elif not 0 < term.get("percentile", 50.0) <= 100:
            yield f"has a percentile {term['percentile']}"
        elif ("limit" in term) != ("unit" in term):
            yield "has a limit without its unit"
    for entry in op.attributes["assume"]:
        if not _keys(entry, ("name", "value", "unit"), ("case", "output")):
            yield "assumes something that is not a name, a value and a unit"
