"""Goals that the text itself rules out: more arrivals than a rate limit lets through, or less time than it takes.

Only what every run does is counted: what stands behind a condition, in a fallback or in a branch of a race may not
happen, and a list that is not written out may be empty.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...base.frozen import frozen
from ...base.problems import Problem, Related
from ...base.source import Span
from .. import program as p
from ..problems import policies as problems
from ..types import StreamType
from .timing import seconds
from .whole import Whole


@frozen
class Limited:
    """A call that every run makes `times` times, and that at most `rate` a second may be made of."""

    rate: float
    times: float
    span: Span
    way: tuple[Related, ...] = ()


def goal_problems(whole: Whole) -> Iterator[Problem]:
    wanted = {goal.pipeline: goal for goal in whole.program.goals}
    forced: dict[str, tuple[Limited, ...]] = {}
    for pipeline in whole.pipelines if wanted else ():
        forced[pipeline.name] = _block(pipeline.body, forced)
        goal = wanted.get(pipeline.name)
        if goal is not None:
            yield from _against(goal, forced[pipeline.name])


def _against(goal: p.Goal, forced: tuple[Limited, ...]) -> Iterator[Problem]:
    for term in goal.terms:
        for call in forced if term.limit else ():
            limit = term.limit.value if term.limit else 0.0
            told = f"at most {call.rate:g} calls per s, and a run makes {call.times:g}"
            related = (*call.way, Related(call.span, told))
            if term.kind == "rate" and limit * call.times > call.rate * (1 + 1e-9):
                calls = f"{limit:g} runs per s make {limit * call.times:g} calls per s"
                title = f"{calls}, where a policy lets {call.rate:g} through"
                most = f"{call.rate / call.times:g} per s"
                hint = f"let the rate of the goal be at most {most}, or that of the policy higher"
            elif term.kind == "finish" and (call.times - 1) / call.rate > limit * (1 + 1e-9):
                needs = seconds((call.times - 1) / call.rate)
                title = f"no run can finish within {seconds(limit)}: its own rate limit alone takes {needs}"
                hint = "let the policy's rate be higher, or the goal's limit"
            else:
                continue
            yield problems.goal_ruled_out(title, term.span, hint, related)


def _block(block: p.Block, forced: dict[str, tuple[Limited, ...]]) -> tuple[Limited, ...]:
    """What every run of a block does. A stream that nobody uses is never started, so only values count."""
    out: list[Limited] = []
    for statement in block.statements:
        value = statement.condition if isinstance(statement, p.Expect) else statement.value
        if isinstance(statement, p.Emit) or not isinstance(value.type, StreamType):
            out += _always(value, forced)
    if block.result is not None:
        out += _always(block.result, forced)
    return tuple(out)


def _always(node: p.Expression, forced: dict[str, tuple[Limited, ...]]) -> Iterator[Limited]:
    match node:
        case p.With():
            if node.policies.rate is not None and node.policies.cache is None:
                yield Limited(node.policies.rate, 1.0, node.policies.spans.get("rate", node.span))
            yield from _always(node.call, forced)
        case p.If():
            yield from _always(node.condition, forced)
        case p.Match():
            yield from _always(node.subject, forced)
        case p.Otherwise():
            yield from _always(node.value, forced)
        case p.Race():
            return
        case p.Repeat():
            yield from _always(node.initial, forced)
            yield from _block(node.body, forced)
        case p.MapOver():
            yield from _always(node.over, forced)
            if isinstance(node.over, p.ListOf) and node.where is None:
                for call in _block(node.body, forced):
                    yield Limited(call.rate, call.times * len(node.over.items), call.span, call.way)
        case p.PipelineCall():
            for part in p.children(node):
                yield from _always(part, forced)
            for call in forced.get(node.pipeline, ()):
                told = Related(node.span, f"`{node.pipeline}` is called here")
                yield Limited(call.rate, call.times, call.span, (told, *call.way))
        case _:
            for part in p.children(node):
                yield from _always(part, forced)
