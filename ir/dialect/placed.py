"""Operations of placed modules: what crosses from one tier to another, and the islands that a module becomes.

In a whole module a `send` hands its value to the one `receive` of its channel, and both are the identity. In the module
of an island the other end is elsewhere: a `send` has no result, a `receive` no operand. Which turn of the loops around
it a value belongs to goes with it, so ends that are entered equally often meet.

A failure crosses as a value: where a body of an island fails for which another tier answers, its `try` takes the
failure and sends it, and who receives it fails.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...lang.types import BOOL, HandleType, Primitive, StreamType
from ..graph import InTransitType, KvType, ValueType
from .spec import Is, View, operation
from .types import from_mlir


def crosses(given: ValueType) -> bool:
    """Whether a value of that type can go to another tier. An opened model or resource stays where it is open, and a
    secret where it is known."""
    return not isinstance(given, HandleType | InTransitType) and given != Primitive("Secret")


_FROM = {"from": Is.TEXT}  # required too; no parameter of Python can have that name


def _from(op: View) -> Iterator[str]:
    if "from" not in op.attributes:
        yield "lacks the attribute 'from'"


@operation(
    "send",
    attributes={"channel": Is.TEXT, "to": Is.TEXT},
    optional={"layout": Is.TEXT, "dtype": Is.TEXT},
    operands=(1, 1),
    results=(0, 1),
)
def send(op: View) -> Iterator[str]:
    """A value, or a stream item by item, to another tier. A KV cache says how it lies in memory (`layout`) and what its
    numbers are (`dtype`).

    %1 = "agent.send"(%0) {channel = "answer.best", tier = "cpu", to = "gpu"} : (!agent.text)
      -> !agent.in_transit<!agent.text>
    """
    (given,) = op.operands
    if not crosses(given):
        yield f"cannot send {given} to another tier"
    if op.results and op.result != InTransitType(given):
        yield f"sends {given}, but gives {op.result}"
    if op.attributes["to"] == op.attributes.get("tier"):
        yield f"sends to the tier it is on, {op.attributes['to']!r}"
    for name in ("layout", "dtype"):
        if name in op.attributes and not isinstance(given, KvType):
            yield f"has a {name}, which only a KV cache has"


@operation("receive", attributes={"channel": Is.TEXT}, optional=_FROM, operands=(0, 1))
def receive(op: View) -> Iterator[str]:
    """What was sent, on the tier that it was sent to. It fails where a failure was sent.

    %2 = "agent.receive"(%1) {channel = "answer.best", tier = "gpu", from = "cpu"}
      : (!agent.in_transit<!agent.text>) -> !agent.text
    """
    yield from _from(op)
    if not crosses(op.result):
        yield f"cannot receive {op.result} from another tier"
    if op.operands and op.operands[0] != InTransitType(op.result):
        yield f"receives {op.operands[0]} as {op.result}"
    if op.attributes.get("from") == op.attributes.get("tier", ""):
        yield f"receives from the tier it is on, {op.attributes['from']!r}"


@operation("watch", attributes={"channel": Is.TEXT, "to": Is.TEXT}, results=(0, 0))
def watch(op: View) -> Iterator[str]:
    """In an island: fails, with the reason `stopped`, when nobody receives from the channel any more. It ends what was
    done for a body of another tier that is through, or was stopped.

    "agent.watch"() {channel = "answer.guard.done", tier = "gpu", to = "cpu"} : () -> ()
    """
    if op.attributes["to"] == op.attributes.get("tier"):
        yield f"watches the tier it is on, {op.attributes['to']!r}"


@operation("halt", operands=(1, 1), results=(0, 0))
def halt(op: View) -> Iterator[str]:
    """In an island: fails, with the reason `stopped`, as soon as its operand is there.

    "agent.halt"(%0) : (!agent.bool) -> ()
    """
    if op.operands[0] != BOOL:
        yield f"waits for a Bool, not {op.operands[0]}"


@operation("over", attributes={"of": Is.TEXT})
def over(op: View) -> Iterator[str]:
    """In an island: true, when the operation with the id `of` is over, in the same body. One with a stream may be over
    before all of it was made, when nobody reads on.

    %1 = "agent.over"() {of = "answer.otherwise"} : () -> !agent.bool
    """
    if op.result != BOOL:
        yield f"gives a Bool, not {op.result}"
    if not op.attributes["of"]:
        yield "is of no operation"


@operation(
    "channel",
    attributes={"name": Is.TEXT, "to": Is.TEXT, "type": Is.TYPE, "buffer": Is.INTEGER},
    optional=_FROM,
    results=(0, 0),
    inside=("builtin.module", "agent.island"),
)
def channel(op: View) -> Iterator[str]:
    """A connection between two tiers, for what one `send` sends and one `receive` receives: a value in each turn of the
    loops around them, or a stream with at most `buffer` items under way.

    "agent.channel"() {name = "answer.best", from = "cpu", to = "gpu", type = !agent.text, buffer = 1 : i64} : () -> ()
    """
    yield from _from(op)
    if op.attributes.get("from") == op.attributes["to"]:
        yield f"leads from {op.attributes['to']!r} to itself"
    if op.attributes["buffer"] < 1:
        yield "has room for nothing"
    given = from_mlir(op.attributes["type"])
    if not crosses(given):
        yield f"is for {given}, which cannot cross"
    if not isinstance(given, StreamType) and op.attributes["buffer"] != 1:
        yield "has a buffer for a value that is no stream"


def _island_body(op: View) -> Iterator[str]:
    body = op.region(0)
    if body is None:
        yield "has no body"
        return
    for inner in body.operations:
        if inner.name not in ("agent.channel", "agent.pipeline"):
            yield f"holds channels and pipelines, not {inner.name}"
        elif inner.name == "agent.channel" and op.attributes["tier"] not in (
            inner.attributes["from"].value if "from" in inner.attributes else "",
            inner.attributes["to"].value,
        ):
            yield f"has the channel {inner.attributes['name'].value!r}, which does not end on its tier"


@operation(
    "island",
    attributes={"name": Is.TEXT},
    results=(0, 0),
    regions=("body",),
    inside=("builtin.module",),
    unterminated=True,
    verify_regions=_island_body,
)
def island(op: View) -> Iterator[str]:
    """What of a module runs on one tier: its part of each pipeline, and the channels that it has with others. Handles,
    records and the like stand beside the islands, for all.

    "agent.island"() ({ "agent.channel"() {…} "agent.pipeline"() ({ … }) {…} }) {name = "gpu", tier = "gpu"} : () -> ()
    """
    if not op.attributes["name"]:
        yield "has no name"
    if not op.attributes.get("tier"):
        yield "is on no tier"
