"""The worst case of what a program does: steps, model calls, tool calls, tokens out, each as a bound.

Everything in a program ends, so each has one. A branch counts as the larger of its sides, a fallback and each branch of
a race as if all ran, a retry as often as it may be tried, a loop as often as it may turn: over a list as often as the
list is long, which may be known (`[a, b]`), follow from another list, or be a length that only a run knows.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...base.frozen import frozen
from .. import program as p
from .amounts import ZERO, Bound, amount, length
from .lengths import Lengths
from .timing import DEADLINE, Timing
from .whole import Whole

# Tokens of one chat call, unless it says otherwise; the language's own figure.
_TOKENS = 256


@frozen
class Counts:
    """How often at most. A step is one call of a stage, tool or model."""

    steps: Bound = ZERO
    model_calls: Bound = ZERO
    tool_calls: Bound = ZERO
    tokens_out: Bound = ZERO

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(a + b for a, b in zip(self.all, other.all, strict=True)))

    def __or__(self, other: Counts) -> Counts:
        return Counts(*(a | b for a, b in zip(self.all, other.all, strict=True)))

    def __mul__(self, times: Bound) -> Counts:
        return Counts(*(a * times for a in self.all))

    @property
    def all(self) -> tuple[Bound, Bound, Bound, Bound]:
        return (self.steps, self.model_calls, self.tool_calls, self.tokens_out)


@frozen
class Worst:
    """The worst case of an expression or pipeline. `stated` is the time that its own policies allow, in seconds;
    `seconds` also counts the deadline of 60 s that a call has which states none, where `assumed` says so."""

    counts: Counts
    seconds: Bound
    assumed: bool
    stated: Bound


class Bounds:
    """The worst cases of a program."""

    def __init__(self, program: p.Program) -> None:
        whole = Whole(program)
        self.models = {handle.name for handle in program.handles if handle.keyword == "model"}
        self.pipelines: dict[str, Worst] = {}
        self._counts: dict[str, Counts] = {}
        self.lengths = Lengths(whole)
        self.stated = Timing(whole, self.lengths)
        self._clocks = (Timing(whole, self.lengths, default=DEADLINE), self.stated)
        for pipeline in whole.pipelines:
            counts = self._block(pipeline.name, pipeline.body)
            self._counts[pipeline.name] = counts
            full, stated = (clock.pipelines[pipeline.name] for clock in self._clocks)
            self.pipelines[pipeline.name] = Worst(counts, full.seconds, full.assumed, stated.seconds)

    def worst(self, pipeline: str, node: p.Expression) -> Worst | None:
        """The worst case of an expression inside a pipeline; None where the pipeline is part of a circle."""
        if pipeline not in self.pipelines:
            return None
        full, stated = (clock.of(pipeline, node) for clock in self._clocks)
        return Worst(self._count(pipeline, node), full.seconds, full.assumed, stated.seconds)

    # --- counting

    def _block(self, inside: str, block: p.Block) -> Counts:
        return _total(self._count(inside, node) for node in p.block_expressions(block))

    def _count(self, inside: str, node: p.Expression) -> Counts:
        match node:
            case p.StageCall():
                return self._stage(node) + self._children(inside, node)
            case p.PipelineCall():
                own = self._counts.get(node.pipeline, Counts())
                passed = self.lengths.passing(inside, node)
                return Counts(*(bound.replaced(passed) for bound in own.all)) + self._children(inside, node)
            case p.MapOver():
                turns = self._block(inside, node.body)
                if node.where is not None:
                    turns = turns + self._count(inside, node.where)
                return turns * self.lengths.of(inside, node.over) + self._count(inside, node.over)
            case p.Repeat():
                return self._block(inside, node.body) * amount(node.at_most) + self._count(inside, node.initial)
            case p.If():
                branches = self._block(inside, node.then) | self._block(inside, node.otherwise)
                return self._count(inside, node.condition) + branches
            case p.Match():
                arms = Counts()
                for arm in node.arms:
                    arms = arms | self._block(inside, arm.body)
                return self._count(inside, node.subject) + arms
            case p.With():
                policies = node.policies
                attempts = (1 + policies.retries) * (1 if policies.hedge is None else 2)
                inner = self._count(inside, node.call) * amount(attempts)
                return inner if policies.approve is None else inner + self._count(inside, policies.approve)
            case _:
                return self._children(inside, node)

    def _children(self, inside: str, node: p.Expression) -> Counts:
        return _total(self._count(inside, part) for part in p.children(node))

    def _stage(self, node: p.StageCall) -> Counts:
        first = node.arguments[0].value if node.arguments else None
        asks = isinstance(first, p.HandleReference) and first.name in self.models
        tool = node.stage.keyword == "tool"
        tokens = ZERO
        if node.stage.entry == "llm:chat":
            given = next((a.value for a in node.arguments if a.name == "max_tokens"), None)
            tokens = amount(_TOKENS)
            if given is not None:
                whole = given.value if isinstance(given, p.Literal) and isinstance(given.value, int) else None
                tokens = amount(whole) if whole is not None else length("max_tokens")
        return Counts(amount(1), amount(1 if asks else 0), amount(1 if tool else 0), tokens)


def _total(counts: Iterable[Counts]) -> Counts:
    out = Counts()
    for part in counts:
        out = out + part
    return out
