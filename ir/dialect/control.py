"""Operations with bodies, and what stands at the end of a body. Regions see the values around them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...lang.types import BOOL, HandleType, ListType, StreamType
from ..graph import KvType, SamplerType, TokensType, ValueType
from .spec import MOST_OPERANDS, Is, View, fits, operation

YIELDING = (
    *("agent.map", "agent.if", "agent.arm", "agent.repeat", "agent.generator", "agent.fused"),
    *("agent.try", "agent.guard", "agent.interruptible", "agent.agent"),
)
"""The operations whose bodies end in `agent.yield`."""


def _map_regions(op: View) -> Iterator[str]:
    body, where, over = op.region(0), op.region(1), op.operands[0]
    if not isinstance(over, (ListType, StreamType)):
        return
    if body is None or len(body.arguments) != 1:
        yield "has a body that takes one item"
        return
    if body.arguments[0] != over.element:
        yield f"goes over {over} with a body that takes {body.arguments[0]}"
    if where is not None and where.arguments != body.arguments:
        yield "has a filter that takes something else than its body"
    if where is not None and where.results != (BOOL,):
        yield "has a filter that yields no Bool"
    if len(op.results) != len(body.results):
        yield f"has {len(op.results)} results, but a body that yields {len(body.results)}"
    elif op.results:
        result, item = op.result, body.results[0]
        if not isinstance(result, (ListType, StreamType)):
            yield f"gives a list or a stream, not {result}"
        elif not fits(item, result.element) and not (isinstance(result, StreamType) and fits(item, result)):
            yield f"gives {result}, but its body yields {item}"


@operation(
    "map",
    attributes={"variable": Is.TEXT, "at_most": Is.INTEGER},
    optional={"whole": Is.TEXT},
    operands=(1, 1),
    results=(0, 1),
    regions=("body", "where"),
    verify_regions=_map_regions,
)
def map_(op: View) -> Iterator[str]:
    """`for variable in list, at most N at once { … }`: the body for each item; the results in the list's order. Over a
    stream one item at a time, giving a stream; a body that gives a stream is flattened. Over a stream, giving a list:
    the bodies as the items come, at most N at once, and the list when the stream has ended and all are through;
    `whole` is then the program's name for the list of all items. The second region is the filter (`where`), empty if
    there is none.

    %1 = "agent.map"(%0) ({ ^bb0(%hit: !agent.text): … "agent.yield"(%2) }, {})
      {variable = "hit", at_most = 16 : i64} : (!agent.list_of<!agent.text>) -> !agent.list_of<!agent.text>
    """
    if not isinstance(op.operands[0], (ListType, StreamType)):
        yield f"goes over a list or stream, not {op.operands[0]}"
    if op.attributes["at_most"] < 1:
        yield "must allow at least one body at once"
    if not op.attributes["variable"]:
        yield "has a variable without a name"


def _if_regions(op: View) -> Iterator[str]:
    for name, region in (("then", op.region(0)), ("otherwise", op.region(1))):
        if region is None:
            yield f"has no branch {name!r}"
        elif region.arguments:
            yield f"has a branch {name!r} with arguments"
        elif len(region.results) != len(op.results):
            yield f"has {len(op.results)} results, but a branch {name!r} that yields {len(region.results)}"
        elif op.results and not fits(region.results[0], op.result):
            yield f"gives {op.result}, but its branch {name!r} yields {region.results[0]}"


@operation("if", operands=(1, 1), results=(0, 1), regions=("then", "otherwise"), verify_regions=_if_regions)
def if_(op: View) -> Iterator[str]:
    """One of two bodies, by a condition.

    %1 = "agent.if"(%0) ({ … "agent.yield"(%2) }, { … "agent.yield"(%3) }) : (!agent.bool) -> !agent.text
    """
    if op.operands[0] != BOOL:
        yield f"takes a Bool, not {op.operands[0]}"


@operation("emit", operands=(1, 1), results=(0, 0))
def emit(op: View) -> Iterator[str]:
    """Sends an item (or the items of a stream) out now: of the `agent.generator` around it, or of the pipeline.

    "agent.emit"(%0) : (!agent.text) -> ()
    """
    if isinstance(op.operands[0], HandleType | KvType | SamplerType | TokensType):
        yield f"cannot send {op.operands[0]} out"


def sender(emit_: Any) -> Any:
    """Whose stream an `agent.emit` sends into: the innermost generator around it, else its pipeline or test."""
    around = emit_.parent
    while around.name not in ("agent.generator", "agent.pipeline", "agent.test"):
        around = around.parent
    return around


def goes_into(given: ValueType, stream: ValueType) -> bool:
    """Whether what is given to `emit`, an item or a stream of them, may leave by that stream."""
    return isinstance(stream, StreamType) and (fits(given, stream.element) or fits(given, stream))


def _generator_body(op: View) -> Iterator[str]:
    body, result = op.region(0), op.result
    if body is None:
        yield "has no body"
    elif body.arguments:
        yield "has a body with arguments"
    elif body.results and not fits(body.results[0], result):
        yield f"gives {result}, but its body yields {body.results[0]}"


@operation("generator", regions=("body",), verify_regions=_generator_body)
def generator(op: View) -> Iterator[str]:
    """The stream that a body makes: what it emits, in the order of the program, then the stream that it yields, if it
    yields one. It stands for the call of a pipeline that emits.

    %1 = "agent.generator"() ({ … "agent.emit"(%2) … "agent.yield"(%3) }) : () -> !agent.stream_of<!agent.text>
    """
    if not isinstance(op.result, StreamType):
        yield f"gives a stream, not {op.result}"


@operation("expect", optional={"shown": Is.TEXTS, "operator": Is.TEXT}, operands=(1, MOST_OPERANDS), results=(0, 0))
def expect(op: View) -> Iterator[str]:
    """In a test: what must hold. The operands after the condition are values that people see where it does not; `shown`
    has the text of each as it is written. With an `operator`, they are the two sides of the comparison.

    "agent.expect"(%0, %1, %2) {operator = "==", shown = ["f(1)", "\\"x\\""]}
      : (!agent.bool, !agent.text, !agent.text) -> ()
    """
    if op.operands[0] != BOOL:
        yield f"takes a Bool, not {op.operands[0]}"
    if len(op.attributes.get("shown", ())) != len(op.operands) - 1:
        yield "names each of the values that it shows"
    if "operator" in op.attributes and len(op.operands) != 3:
        yield "compares two values"


@operation("yield", operands=(0, 1), results=(0, 0), inside=YIELDING, terminator=True)
def yield_(op: View) -> Iterator[str]:
    """The value of a body, or none.

    "agent.yield"(%0) : (!agent.text) -> ()
    """
    if op.operands and isinstance(op.operands[0], KvType | SamplerType | TokensType):
        yield f"cannot hand out {op.operands[0]}"


@operation("return", operands=(0, 1), results=(0, 0), inside=("agent.pipeline", "agent.test"), terminator=True)
def return_(op: View) -> Iterator[str]:
    """The result of a pipeline, or none.

    "agent.return"(%0) : (!agent.text) -> ()
    """
    if op.operands and isinstance(op.operands[0], KvType | SamplerType | TokensType):
        yield f"cannot hand out {op.operands[0]}"
