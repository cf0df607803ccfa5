"""Operations that choose or repeat bodies. What has any number of bodies holds them as `agent.arm`."""

from __future__ import annotations

from collections.abc import Iterator

from ...lang.types import EnumType, OptionType, TurnType
from .spec import Is, RegionView, View, fits, operation


def _only_arms(op: View) -> Iterator[str]:
    held = op.region(0)
    if held is None or not held.operations:
        yield "has no arm"
    elif any(inner.name != "agent.arm" for inner in held.operations):
        yield "holds arms, and nothing else"


def hands_out(op: View, body: RegionView, word: str) -> Iterator[str]:
    """The rule of a body whose value becomes the operation's."""
    if len(body.results) != len(op.results):
        yield f"has {len(op.results)} results, but {word} that yields {len(body.results)}"
    elif op.results and not fits(body.results[0], op.result):
        yield f"gives {op.result}, but {word} yields {body.results[0]}"


def _match_arms(op: View) -> Iterator[str]:
    wrong = list(_only_arms(op))
    if wrong:
        yield from wrong
        return
    subject, seen = op.operands[0], set[str]()
    for case, body in op.arms:
        if case is None:
            yield "has an arm without a case"
            continue
        if case in seen or "_" in seen:
            yield f"never comes to its arm {case!r}"
        seen.add(case)
        if isinstance(subject, OptionType):
            if case not in ("none", "some", "_"):
                yield f"has an arm {case!r}, which no option is"
            elif body.arguments != ((subject.element,) if case == "some" else ()):
                yield f"has an arm {case!r} that takes {', '.join(map(str, body.arguments)) or 'nothing'}"
        elif case == "_" and body.arguments:
            yield "has an arm '_' with arguments"
        yield from hands_out(op, body, f"an arm {case!r}")
    if isinstance(subject, OptionType) and "_" not in seen and len(seen) < 2:
        yield "does not cover every case"


@operation("match", operands=(1, 1), results=(0, 1), regions=("arms",), unterminated=True, verify_regions=_match_arms)
def match(op: View) -> Iterator[str]:
    """The arm of the subject's case, an enum's or an option's (`none`, `some`); `_` is any other. The body of an arm
    has the case's payload as arguments, all of it, in order. That an enum's cases are covered is a law of the module.

    %1 = "agent.match"(%0) ({ "agent.arm"() ({ ^bb0(%order: !agent.int): … "agent.yield"(%2) }) {case = "Refund", …}
                              "agent.arm"() ({ … "agent.yield"(%3) }) {case = "_"} })
      : (!agent.enum_of<"Intent">) -> !agent.text
    """
    if not isinstance(op.operands[0], EnumType | OptionType):
        yield f"is over an enum or an option, not {op.operands[0]}"


def _race_arms(op: View) -> Iterator[str]:
    wrong = list(_only_arms(op))
    yield from wrong
    for _, body in () if wrong else op.arms:
        if body.arguments:
            yield "has a branch with arguments"
        yield from hands_out(op, body, "a branch")


@operation("race", results=(0, 1), regions=("arms",), unterminated=True, verify_regions=_race_arms)
def race(op: View) -> Iterator[str]:
    """Several bodies at once: the first that gives a value (for a stream: its first item) wins, and the others are
    cancelled. It fails where all fail.

    %1 = "agent.race"() ({ "agent.arm"() ({ … "agent.yield"(%2) }) "agent.arm"() ({ … "agent.yield"(%3) }) })
      : () -> !agent.text
    """
    del op
    yield from ()


def _arm_body(op: View) -> Iterator[str]:
    body = op.region(0)
    if body is None:
        yield "has no body"
    elif len(op.attributes.get("binders", ())) not in (0, len(body.arguments)):
        yield "has not one binder for each argument"


@operation(
    "arm",
    optional={"case": Is.TEXT, "binders": Is.TEXTS},
    results=(0, 0),
    regions=("body",),
    inside=("agent.match", "agent.race"),
    verify_regions=_arm_body,
)
def arm(op: View) -> Iterator[str]:
    """One body of a match or race: `case` says of which case, `binders` what the program calls the payload ("" for what
    it does not name).

    "agent.arm"() ({ ^bb0(%order: !agent.int): … "agent.yield"(%1) }) {case = "Refund", binders = ["order"]} : () -> ()
    """
    if op.attributes.get("case") == "":
        yield "has a case without a name"


def _repeat_body(op: View) -> Iterator[str]:
    body, state = op.region(0), op.result
    if body is None or body.arguments != (state,):
        yield f"has no body that takes {state}"
        return
    turns = body.results[0] if body.results else None
    if not isinstance(turns, TurnType) or turns.element != state:
        yield f"has a body that yields {', '.join(map(str, body.results)) or 'nothing'}, not a turn of {state}"


@operation(
    "repeat",
    attributes={"variable": Is.TEXT, "at_most": Is.INTEGER},
    operands=(1, 1),
    regions=("body",),
    verify_regions=_repeat_body,
)
def repeat(op: View) -> Iterator[str]:
    """`repeat state = initial, at most N times { … }`: each turn takes the state and yields whether to stop, with the
    next. The result is the state of the turn that stops, or of the last.

    %1 = "agent.repeat"(%0) ({ ^bb0(%text: !agent.text): … "agent.yield"(%3) }) {variable = "text", at_most = 3 : i64}
      : (!agent.text) -> !agent.text
    """
    if not fits(op.operands[0], op.result):
        yield f"begins with {op.operands[0]}, but its state is {op.result}"
    if op.attributes["at_most"] < 1:
        yield "must allow at least one turn"
    if not op.attributes["variable"]:
        yield "has a variable without a name"


@operation("turn", attributes={"stop": Is.BOOLEAN}, operands=(1, 1), pure=True)
def turn(op: View) -> Iterator[str]:
    """How a turn of `agent.repeat` ends: the state, and whether to stop there.

    %1 = "agent.turn"(%0) {stop = true} : (!agent.text) -> !agent.turn_of<!agent.text>
    """
    result = op.result
    if not isinstance(result, TurnType) or not fits(op.operands[0], result.element):
        yield f"does not make {result} of {op.operands[0]}"
