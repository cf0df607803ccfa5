"""What a program says about failure, time and repetition of a call: operations around a body.

A failure inside a body of these fails that body: its stages are stopped and what it had not sent is dropped. What that
means for the run is the operation's.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...lang.types import TEXT, StreamType
from ..graph import FailureType
from .branches import hands_out
from .spec import Is, View, operation


def _bodies(op: View) -> Iterator[str]:
    for at, _ in enumerate(op.operation.regions):
        body = op.region(at)
        word = f"a body {('value', 'fallback')[at]!r}" if op.operation.name == "agent.try" else "a body"
        if body is None:
            yield f"lacks {word}"
            continue
        # The fallback of an island's `try` may take the failure, to send it.
        takes = (FailureType(),) if op.operation.name == "agent.try" and at else ()
        if body.arguments not in ((), takes):
            yield f"has {word} with arguments"
        yield from hands_out(op, body, word)


@operation(
    "try", attributes={"reasons": Is.TEXTS}, results=(0, 1), regions=("value", "fallback"), verify_regions=_bodies
)
def try_(op: View) -> Iterator[str]:
    """`value otherwise fallback`: the second body where the first fails for one of the reasons (none: any). After the
    first item of a stream it is too late: a failure then ends the stream.

    %1 = "agent.try"() ({ … "agent.yield"(%2) }, { … "agent.yield"(%3) }) {reasons = ["timeout"]} : () -> !agent.text
    """
    if len(set(op.attributes["reasons"])) != len(op.attributes["reasons"]):
        yield "names a reason twice"


SECONDS = ("timeout", "idle", "backoff", "hedge", "breaker_pause", "cache")
COUNTS = ("retries", "breaker", "buffer")
DROPS = ("wait", "oldest")

_POLICIES = (
    dict.fromkeys((*SECONDS, "rate"), Is.ANYTHING)
    | dict.fromkeys(COUNTS, Is.INTEGER)
    | {"drop": Is.TEXT, "place": Is.TEXT, "numbered": Is.BOOLEAN}
)


@operation(
    "guard",
    attributes={"approve": Is.BOOLEAN},
    optional=_POLICIES,
    operands=(0, 1),
    results=(0, 1),
    regions=("body",),
    verify_regions=_bodies,
)
def guard(op: View) -> Iterator[str]:
    """`call with policies`. Durations in seconds, of one attempt; what is not there is not asked for. With `approve`
    the operand is the question to a person, who is asked before anything else.

    %1 = "agent.guard"() ({ … "agent.yield"(%2) }) {approve = false, timeout = 0.8, retries = 1 : i64, backoff = 0.05}
      : () -> !agent.text
    """
    if op.attributes["approve"] != (len(op.operands) == 1):
        yield "asks a person without a question, or has a question for nobody"
    if op.operands and op.operands[0] != TEXT:
        yield f"asks a Text, not {op.operands[0]}"
    for name in (*SECONDS, "rate"):
        value = op.attributes.get(name, 1.0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            yield f"has a {name} that is no amount"
    for name in COUNTS:
        if op.attributes.get(name, 1) < 1:
            yield f"has a {name} of {op.attributes[name]}"
    if op.attributes.get("drop", "wait") not in DROPS:
        yield f"drops {' or '.join(DROPS)}, not {op.attributes['drop']!r}"


@operation("interruptible", results=(0, 1), regions=("body",), verify_regions=_bodies)
def interruptible(op: View) -> Iterator[str]:
    """What a newer input of the same session cancels.

    %1 = "agent.interruptible"() ({ … "agent.yield"(%2) }) : () -> !agent.text
    """
    del op
    yield from ()


@operation("buffered", operands=(1, 1))
def buffered(op: View) -> Iterator[str]:
    """A stream that gives its items when its operand has ended, so that a failure comes before the first of them.

    %1 = "agent.buffered"(%0) : (!agent.stream_of<!agent.text>) -> !agent.stream_of<!agent.text>
    """
    if not isinstance(op.operands[0], StreamType) or op.result != op.operands[0]:
        yield f"does not hold back {op.operands[0]} as {op.result}"
