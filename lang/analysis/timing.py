"""How long an expression may take: the longest way through what depends on each other.

Independent lines run at the same time, so times add along dependencies and not along the text. A time is kept for each
parameter that it may wait for, and for the start of the pipeline, and a caller adds it to when its own arguments are
there; so each body is looked at once.

Two clocks use this. That of stated times counts what policies say and nothing else (a call without a policy takes no
time, a list of unknown length has one item): what is too long even then is too long. The other also counts the
deadline that every call has, which gives a bound for everything. Neither counts a wait for a person, for a rate or for
a breaker.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...base.frozen import frozen
from ...base.source import Span
from ...base.units import DURATION, Quantity
from .. import program as p
from ..types import StreamType
from .amounts import ZERO, Bound, amount
from .lengths import Lengths
from .whole import Whole

# The deadline of a call that states none, in seconds; the language's own figure.
DEADLINE = 60.0
_START = ""
_MOST_PARTS = 6


@frozen
class Part:
    """A policy or a call that a time comes from."""

    span: Span
    text: str


@frozen
class Time:
    """`assumed` says that the deadline of a call that states none is in it."""

    seconds: Bound = ZERO
    assumed: bool = False
    parts: tuple[Part, ...] = ()

    def __add__(self, other: Time) -> Time:
        parts = (*self.parts, *other.parts)[:_MOST_PARTS]
        return Time(self.seconds + other.seconds, self.assumed or other.assumed, parts)

    def __or__(self, other: Time) -> Time:
        if not other.seconds.terms:
            return self
        if not self.seconds.terms:
            return other
        longer = other if other.seconds.plain > self.seconds.plain else self
        return Time(self.seconds | other.seconds, self.assumed or other.assumed, longer.parts)


_NO_TIME = Time()
# When something is done: so long after each parameter is there, and so long after the start.
_When = Mapping[str, Time]
_AT_ONCE: _When = {_START: _NO_TIME}


class Timing:
    """The times of a program's pipelines. `default` is the deadline of a call that states none; None leaves it out."""

    def __init__(self, whole: Whole, lengths: Lengths, default: float | None = None) -> None:
        self.lengths = lengths
        self.default = default
        self.pipelines: dict[str, Time] = {}
        self._results: dict[str, _When] = {}
        for pipeline in whole.pipelines:
            names: dict[str, _When] = {q.name: {q.name: _NO_TIME, _START: _NO_TIME} for q in pipeline.parameters}
            result, rest = self._block(pipeline.name, pipeline.body, names, _AT_ONCE)
            self._results[pipeline.name] = result
            self.pipelines[pipeline.name] = _longest(_latest((result, rest)))

    def of(self, inside: str, node: p.Expression) -> Time:
        """From when all that it uses is there to when it is done."""
        return _longest(self._when(inside, node, {}, _AT_ONCE))

    # --- walking

    def _block(self, inside: str, block: p.Block, names: dict[str, _When], floor: _When) -> tuple[_When, _When]:
        """When the value of a block is there, and when all else in it is done."""
        rest = floor
        for statement in block.statements:
            value = statement.condition if isinstance(statement, p.Expect) else statement.value
            done = self._when(inside, value, names, floor)
            if isinstance(statement, p.Bind):
                names[statement.name] = done
            rest = _latest((rest, done))
        return (rest if block.result is None else self._when(inside, block.result, names, floor)), rest

    def _when(self, inside: str, node: p.Expression, names: dict[str, _When], floor: _When) -> _When:
        match node:
            case p.Literal() | p.HandleReference():
                return floor
            case p.Reference():
                return _latest((floor, names.get(node.name, _AT_ONCE)))
            case p.StageCall():
                ready = self._all(inside, p.children(node), names, floor)
                # A call that reads a stream lasts as long as the stream.
                reads = any(isinstance(a.value.type, StreamType) for a in node.arguments)
                if self.default is None or reads:
                    return ready
                return _after(ready, Time(amount(self.default), True))
            case p.PipelineCall():
                return self._call(inside, node, names, floor)
            case p.If():
                decided = self._when(inside, node.condition, names, floor)
                return _latest(self._block(inside, branch, names, decided)[0] for branch in (node.then, node.otherwise))
            case p.Match():
                decided = self._when(inside, node.subject, names, floor)
                for arm in node.arms:
                    for binder in arm.binders:
                        if binder is not None:
                            names[binder.name] = decided
                return _latest([decided, *(self._block(inside, arm.body, names, decided)[0] for arm in node.arms)])
            case p.MapOver():
                ready = _latest((self._when(inside, node.over, names, floor), _used((node.body, node.where), names)))
                turn = self._alone(inside, node.body)
                if node.where is not None:
                    turn = self.of(inside, node.where) + turn
                return _after(ready, self._turns(turn, self._rounds(inside, node)))
            case p.Repeat():
                ready = _latest((self._when(inside, node.initial, names, floor), _used((node.body,), names)))
                return _after(ready, self._turns(self._alone(inside, node.body), amount(node.at_most)))
            case p.Otherwise():
                tried = self._when(inside, node.value, names, floor)
                return self._when(inside, node.fallback, names, tried)
            case p.Interruptible():
                return self._block(inside, node.body, names, floor)[0]
            case p.With():
                return self._guarded(inside, node, names, floor)
            case _:
                return self._all(inside, p.children(node), names, floor)

    def _all(self, inside: str, nodes: Iterable[p.Expression], names: dict[str, _When], floor: _When) -> _When:
        return _latest([floor, *(self._when(inside, node, names, floor) for node in nodes)])

    def _alone(self, inside: str, block: p.Block) -> Time:
        """How long a block takes by itself."""
        return _longest(_latest(self._block(inside, block, {}, _AT_ONCE)))

    def _call(self, inside: str, node: p.PipelineCall, names: dict[str, _When], floor: _When) -> _When:
        arguments = {a.name: self._when(inside, a.value, names, floor) for a in node.arguments}
        out = _latest((floor, *arguments.values()))
        passed = self.lengths.passing(inside, node)
        for name, time in self._results.get(node.pipeline, {}).items():
            if time.seconds.terms:
                own = Time(time.seconds.replaced(passed), time.assumed, time.parts)
                if own.parts:
                    told = Part(node.span, f"`{node.pipeline}` may take {seconds(own.seconds)}")
                    own = Time(own.seconds, own.assumed, (told, *own.parts)[:_MOST_PARTS])
                out = _latest((out, _after(_latest((floor, arguments.get(name, floor))), own)))
        return out

    # --- policies and loops

    def _guarded(self, inside: str, node: p.With, names: dict[str, _When], floor: _When) -> _When:
        """Starts when all that the call uses is there: what is outside of it is no part of an attempt."""
        ready = _latest((floor, _used((node,), names)))
        policies = node.policies
        attempt = self.of(inside, node.call)
        if policies.timeout is not None:
            inner = attempt.seconds.number
            if self.default is None or inner is None or inner >= policies.timeout:
                attempt = Time(amount(policies.timeout))
        total = attempt
        if policies.retries:
            # Doubled for each, so that n of them sum up to 2^n - 1 times the first. Jitter only shortens.
            waits = policies.backoff * (2.0 ** min(policies.retries, 1000) - 1)
            total = Time(attempt.seconds * (1.0 + policies.retries) + amount(waits), attempt.assumed, attempt.parts)
        spans = [policies.spans[name] for name in ("timeout", "retries") if name in policies.spans]
        if policies.timeout is not None or policies.retries:
            told = Part(
                spans[0].to(spans[-1]) if spans and spans[0] <= spans[-1] else node.span, _told(policies, total)
            )
            kept = attempt.parts if policies.timeout is None else ()
            total = Time(total.seconds, total.assumed, (told, *kept)[:_MOST_PARTS])
        return _after(ready, total)

    def _rounds(self, inside: str, node: p.MapOver) -> Bound:
        rounds = self.lengths.of(inside, node.over).turns(node.at_most)
        if self.default is None:
            return amount(1) if rounds.number is None else rounds
        return rounds

    @staticmethod
    def _turns(turn: Time, times: Bound) -> Time:
        return Time(turn.seconds * times, turn.assumed, turn.parts)


# --- when -----------------------------------------------------------------------------------------------------------


def _latest(times: Iterable[_When]) -> _When:
    out: dict[str, Time] = {}
    for when in times:
        for name, time in when.items():
            held = out.get(name)
            out[name] = time if held is None else held | time
    return out


def _after(when: _When, time: Time) -> _When:
    return {name: before + time for name, before in when.items()} if time.seconds.terms else when


def _longest(when: _When) -> Time:
    out = _NO_TIME
    for time in when.values():
        out = out | time
    return out


def _used(parts: Iterable[p.Expression | p.Block | None], names: Mapping[str, _When]) -> _When:
    """When all that they use from outside is there."""
    found: set[str] = set()
    stack: list[p.Expression] = []
    for part in parts:
        if isinstance(part, p.Block):
            stack += p.block_expressions(part)
        elif part is not None:
            stack.append(part)
    while stack:
        node = stack.pop()
        if isinstance(node, p.Reference):
            found.add(node.name)
        stack += p.children(node)
    return _latest([_AT_ONCE, *(names[name] for name in found if name in names)])


# --- words ----------------------------------------------------------------------------------------------------------


def seconds(time: Bound | float) -> str:
    """A time for people."""
    if isinstance(time, Bound):
        return time.show(seconds)
    return str(Quantity(time, DURATION))


def _told(policies: p.Policies, total: Time) -> str:
    attempts = f"{1 + policies.retries} attempts" if policies.retries else "one attempt"
    each = f" of {seconds(policies.timeout)}" if policies.timeout is not None else ""
    waits = " and the waits between them" if policies.retries and policies.backoff else ""
    if not policies.retries:
        return f"this may take {seconds(total.seconds)}"
    return f"{attempts}{each}{waits} may take {seconds(total.seconds)}"
