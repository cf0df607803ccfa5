"""Policies that cannot hold inside the deadline around them, and those that never take effect.

Only what the program states is counted. Each deadline is held against all that it encloses, in its own pipeline and in
those that are called; what comes after it is told by the deadline itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...base.frozen import frozen
from ...base.problems import Edit, Fix, Problem, Related
from ...base.source import Span
from .. import program as p
from ..problems import policies as problems
from .lengths import Lengths
from .sources import text_at
from .timing import Part, Time, Timing, seconds
from .whole import Whole

# Sums of floats: what differs by less is equal.
_SAME = 1e-9


@frozen
class _Late:
    """Something that takes effect only after so many seconds: a hedge, a fallback, an idle limit. `way` has the calls
    that lead to it, outermost first."""

    kind: str
    after: float
    span: Span
    way: tuple[Part, ...] = ()


def policy_problems(whole: Whole) -> Iterator[Problem]:
    program = whole.program
    timing = Timing(whole, Lengths(whole))
    free: dict[str, tuple[_Late, ...]] = {}
    for pipeline in whole.pipelines:
        reader = _Reader(program, timing, pipeline.name, free)
        left = [late for node in p.block_expressions(pipeline.body) for late in reader.late(node)]
        free[pipeline.name] = tuple(left)
        yield from reader.found
    yield from _goals(program, timing)


class _Reader:
    """The deadlines of one pipeline."""

    def __init__(self, program: p.Program, timing: Timing, pipeline: str, called: dict[str, tuple[_Late, ...]]) -> None:
        self.program = program
        self.timing = timing
        self.pipeline = pipeline
        self.called = called
        self.found: list[Problem] = []

    def late(self, node: p.Expression) -> list[_Late]:
        """What inside an expression is late and held against no deadline yet."""
        found = [late for part in p.children(node) for late in self.late(part)]
        match node:
            case p.PipelineCall():
                told = Part(node.span, f"`{node.pipeline}` is called here")
                found += [
                    _Late(late.kind, late.after, late.span, (told, *late.way))
                    for late in self.called.get(node.pipeline, ())
                ]
            case p.Otherwise() if not node.reasons or "timeout" in node.reasons:
                first = self.timing.of(self.pipeline, node.value).seconds.plain
                if first:
                    found.append(_Late("fallback", first, node.fallback.span))
            case p.With():
                found += self.own(node)
                if node.policies.timeout is not None:
                    found = self.deadline(node, node.policies.timeout, found)
            case _:
                pass
        return found

    @staticmethod
    def own(node: p.With) -> Iterator[_Late]:
        policies = node.policies
        for kind, after in (("hedge", policies.hedge), ("idle", policies.idle)):
            if after is not None:
                yield _Late(kind, after, policies.spans.get(kind, node.span))

    def deadline(self, node: p.With, limit: float, found: list[_Late]) -> list[_Late]:
        """Report what a deadline cuts off; what is left."""
        deadline = node.policies.spans.get("timeout", node.span)
        left: list[_Late] = []
        fallback = False
        for late in found:
            if late.after < limit - _SAME or (late.kind == "idle" and late.after < limit + _SAME):
                left.append(late)
                continue
            fallback = fallback or late.kind == "fallback"
            way = tuple(Related(part.span, part.text) for part in late.way)
            related = (*way, Related(deadline, "the deadline is set here"))
            after = seconds(late.after)
            match late.kind:
                case "fallback":
                    self.found.append(problems.fallback_never_runs(seconds(limit), after, late.span, related))
                case "hedge":
                    self.found.append(problems.hedge_never_starts(after, seconds(limit), late.span, related))
                case _:
                    self.found.append(problems.idle_never_ends(after, seconds(limit), late.span, related))
        inner = self.timing.of(self.pipeline, node.call)
        if inner.seconds.plain > limit + _SAME and not fallback:
            needs = seconds(inner.seconds.plain)
            fix = self.fix(deadline, inner.seconds.plain)
            related = _related(inner, deadline)
            self.found.append(problems.deadline_too_short(seconds(limit), needs, deadline, related, fix))
        return left

    def fix(self, deadline: Span, needs: float) -> Fix | None:
        """The deadline that what it encloses needs, where the text is at hand."""
        if not text_at(self.program, deadline).startswith("timeout "):
            return None
        text = f"timeout {_written(needs)}"
        return Fix(f"write `{text}`", (Edit(deadline, text),))


def _goals(program: p.Program, timing: Timing) -> Iterator[Problem]:
    for goal in program.goals:
        whole = timing.pipelines.get(goal.pipeline)
        for term in goal.terms if whole else ():
            if whole and term.kind == "finish" and term.limit and whole.seconds.plain > term.limit.value + _SAME:
                share = f" p{term.percentile:g}" if term.percentile is not None else ""
                title = f"finish{share} <= {seconds(term.limit.value)}"
                needs = seconds(whole.seconds.plain)
                yield problems.goal_below_worst_case(title, needs, term.span, _related(whole, term.span))


def _related(time: Time, span: Span) -> tuple[Related, ...]:
    return tuple(Related(part.span, part.text) for part in time.parts if part.span != span)


def _written(time: float) -> str:
    """A duration as the language writes it, rounded up to a whole millisecond."""
    whole = -(-round(time * 1e6) // 1000)
    return f"{whole // 1000} s" if whole % 1000 == 0 else f"{whole} ms"
