"""`with`: the policies of a call, each once, with a figure of the right dimension that is known before the run."""

from __future__ import annotations

from ...base import units
from ...base.source import Span
from .. import problems, program, syntax
from ..program import Policies
from ..types import StreamType, Type, dimension_of
from .body import Body, nothing
from .conversions import is_unknown
from .figures import quantity
from .loops import bound

_DROPS = ("oldest",)


def check_with(body: Body, node: syntax.With, expected: Type | None) -> program.Expression:
    found = body.value(node.value, expected, open=True)
    policies = _Reader(body).read(node)
    if is_unknown(found.type):
        return nothing(node.span, found.type)
    found = body.plain(found)
    whole = node.policies[0].span.to(node.policies[-1].span)
    if not _calls(found):
        title = "policies stand behind a call, and nothing is called here"
        hint = "write them where the call is"
        if isinstance(found, program.Reference):
            hint = f"write them where `{found.name}` is bound: what a name stands for is not run again"
        body.context.report(problems.policy_misplaced(title, whole, hint, body.origin(found)))
        return found
    _report_unfit(body, policies, found)
    return program.With(type=found.type, span=node.span, labels=found.labels, call=found, policies=policies)


def _calls(expression: program.Expression) -> bool:
    waiting = [expression]
    while waiting:
        part = waiting.pop()
        if isinstance(part, program.StageCall | program.PipelineCall):
            return True
        waiting += program.children(part)
    return False


def _report_unfit(body: Body, policies: Policies, found: program.Expression) -> None:
    """What only streams have."""
    if isinstance(found.type, StreamType):
        return
    about = {"idle": "the time between two items of a stream", "buffer": "the items of a stream that wait"}
    for name, what in about.items():
        if name in policies.spans:
            title = f"`{name}` bounds {what}, and this is {found.type}"
            hint = "leave it out" if name == "buffer" else "leave it out; `timeout` bounds the whole call"
            body.context.report(problems.policy_misplaced(title, policies.spans[name], hint, body.origin(found)))


class _Reader:
    """Reads the policies of one `with`."""

    __slots__ = ("body", "spans")

    def __init__(self, body: Body) -> None:
        self.body = body
        self.spans: dict[str, Span] = {}

    def read(self, node: syntax.With) -> Policies:
        values: dict[str, object] = {}
        for policy in node.policies:
            name, found = self.policy(policy)
            if name in self.spans:
                self.body.context.report(problems.said_twice(f"policy `{name}`", policy.span, self.spans[name]))
                continue
            self.spans[name] = policy.span
            values.update(found)
        return _policies(values, self.spans)

    def policy(self, node: syntax.Policy) -> tuple[str, dict[str, object]]:
        """Its name, which is that of its first field in `Policies`, and the fields it sets."""
        match node:
            case syntax.Timeout():
                return "timeout", {"timeout": self.duration(node.after, "`timeout`", "800 ms")}
            case syntax.Idle():
                return "idle", {"idle": self.duration(node.after, "`idle`", "2 s")}
            case syntax.Hedge():
                return "hedge", {"hedge": self.duration(node.after, "`hedge after`", "300 ms")}
            case syntax.Cache():
                return "cache", {"cache": self.duration(node.duration, "`cache`", "1 h")}
            case syntax.Retry():
                backoff = None if node.backoff is None else self.duration(node.backoff, "`backoff`", "50 ms")
                count = self.count(node.count, "`retry`", "retry 1")
                return "retries", {"retries": count or 0, "backoff": backoff or 0.0}
            case syntax.Breaker():
                pause = self.duration(node.pause, "`pause`", "30 s")
                count = self.count(node.failures, "`breaker`", "breaker 5")
                return "breaker", {"breaker": count, "breaker_pause": pause or 0.0}
            case syntax.RateLimit():
                return "rate", {"rate": self.rate(node.rate)}
            case syntax.Buffer():
                return "buffer", {"buffer": self.count(node.size, "`buffer`", "buffer 64"), "drop": self.drop(node)}
            case syntax.Latest():
                return "buffer", {"buffer": 1, "drop": "oldest"}
            case syntax.Place():
                return "place", {"place": self.place(node.tier)}
            case syntax.Approve():
                return "approve", {"approve": self.body.value(node.question)}

    def duration(self, node: syntax.Figure, what: str, example: str) -> float | None:
        """Seconds, above zero; None after a report."""
        found = self.body.value(node)
        if is_unknown(found.type):
            return None
        if dimension_of(found.type) != units.DURATION:
            title = f"{what} is measured in Duration, but this is {found.type}"
            hint = f"write it as in `{example}`"
            self.body.context.report(problems.unit_mismatch(title, node.span, hint, self.body.origin(found)))
            return None
        if not isinstance(found, program.Literal) or not isinstance(found.value, units.Quantity):
            self.body.context.report(problems.not_constant(f"the figure of {what}", node.span))
            return None
        if found.value.value <= 0:
            hint = "write a time above zero, or leave the policy out"
            self.body.context.report(problems.bad_bound(f"{what} leaves no time", node.span, hint))
            return None
        return found.value.value

    def count(self, node: syntax.Figure, what: str, example: str) -> int | None:
        """A whole number, at least 1; None after a report."""
        if isinstance(node, syntax.Quantity):
            title = f"{what} takes a number without a unit"
            self.body.context.report(problems.unit_mismatch(title, node.span, f"write it as in `{example}`"))
            return None
        found = bound(self.body, node, f"the figure of {what}")
        if found is not None and found < 1:
            hint = f"write it as in `{example}`, or leave the policy out"
            self.body.context.report(problems.bad_bound(f"{what} of {found} does nothing", node.span, hint))
            return None
        return found

    def rate(self, node: syntax.Quantity) -> float | None:
        """Calls a second."""
        found = quantity(self.body.context, node)
        if found is None:
            return None
        if found.dimension not in (units.RATE, units.RATE * units.COUNT):
            title = f"`rate` is measured in calls per time, but this is {found.dimension}"
            self.body.context.report(problems.unit_mismatch(title, node.span, "write it as in `rate 4 per s`"))
            return None
        if found.value <= 0:
            hint = "write a rate above zero, or leave the policy out"
            self.body.context.report(problems.bad_bound("`rate` lets nothing run", node.span, hint))
            return None
        return found.value

    def drop(self, node: syntax.Buffer) -> str:
        if node.drop is None:
            return "wait"
        if node.drop.text not in _DROPS:
            near = self.body.context.nearest(node.drop.text, _DROPS)
            hint = "write `drop oldest`; without it, a full buffer makes the writer wait"
            what = "nothing that a full buffer can drop"
            self.body.context.report(problems.unknown_name(node.drop.text, node.drop.span, near, what=what, hint=hint))
            return "wait"
        return node.drop.text

    def place(self, tier: syntax.Ident) -> str | None:
        """A tier of some fleet of the file."""
        known = self.body.context.tiers
        if tier.text in known:
            self.body.context.note_tier(tier)
            return tier.text
        near = self.body.context.nearest(tier.text, known)
        hint = (
            f"the tiers here are {', '.join(f'`{name}`' for name in known)}" if known else "declare a `fleet` with it"
        )
        self.body.context.report(problems.unknown_name(tier.text, tier.span, near, what="no tier", hint=hint))
        return None


def _policies(values: dict[str, object], spans: dict[str, Span]) -> Policies:
    return Policies(**values, spans=spans)  # pyright: ignore[reportArgumentType]
