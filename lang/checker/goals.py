"""Goals: terms with the dimension of what they bound, and what in them cannot hold together."""

from __future__ import annotations

import re

from ...base import units
from ...base.problems import Edit, Fix, Related
from ...base.source import Span
from ...base.suggest import suggest
from .. import problems, syntax
from ..program import Assumption, Goal, GoalTerm
from ..types import TEXT, StreamType
from .assumptions import Assumptions, named
from .context import Context
from .conversions import is_unknown
from .figures import number, quantity
from .graph import Calls
from .symbols import PipelineSymbol, UncheckedSymbol

# Runs a second. Beyond them nobody runs programs, and counts of devices are no numbers that people read.
_RATES = (1e-6, 1e6)
# metric: (what its limit measures, an example limit, whether it has a percentile)
_METRICS: dict[str, tuple[units.Dimension, str, bool]] = {
    "first_token": (units.DURATION, "800 ms", True),
    "first_item": (units.DURATION, "800 ms", True),
    "token_gap": (units.DURATION, "60 ms", True),
    "finish": (units.DURATION, "6 s", True),
    "cost": (units.MONEY_PER_COUNT, "$0.40 per 1000 runs", False),
    "energy": (units.ENERGY_PER_COUNT, "2 Wh per run", False),
}
_AIMS = ("cheapest", "fastest", "greenest")
# What has come by the time that a run ends.
_EARLY = ("first_token", "first_item", "token_gap")
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?)")


def check_goals(context: Context, nodes: list[syntax.GoalDecl], calls: Calls) -> tuple[Goal, ...]:
    """The goals that can be kept; one for each pipeline."""
    goals: list[Goal] = []
    first: dict[str, Span] = {}
    for node in nodes:
        name = node.pipeline.text
        symbol = context.names.get(name)
        if isinstance(symbol, UncheckedSymbol):
            continue
        if not isinstance(symbol, PipelineSymbol):
            known = tuple(n for n, s in context.names.items() if isinstance(s, PipelineSymbol))
            context.report(problems.goal_unknown_pipeline(name, node.pipeline.span, suggest(name, known), known))
            continue
        context.note(node.pipeline.span, symbol)
        if name in first:
            context.report(problems.goal_twice(name, node.pipeline.span, first[name]))
            continue
        first[name] = node.pipeline.span
        goals.append(_Reader(context, symbol, calls).goal(node))
    return tuple(goals)


class _Reader:
    """Reads one goal."""

    def __init__(self, context: Context, pipeline: PipelineSymbol, calls: Calls) -> None:
        self.context = context
        self.pipeline = pipeline
        self.seen: dict[tuple[str, str], Span] = {}
        self.calls = calls

    def goal(self, node: syntax.GoalDecl) -> Goal:
        terms: list[GoalTerm] = []
        assumptions: list[Assumption] = []
        assumed = Assumptions(self.context, self.pipeline, self.calls, self.once)
        for term in node.terms:
            match term:
                case syntax.RateTerm():
                    terms += self.rate(term)
                case syntax.BoundTerm():
                    terms += self.bound(term)
                case syntax.PreferTerm():
                    terms += self.prefer(term)
                case syntax.AssumeTerm():
                    for assumption in term.assumptions:
                        assumptions += assumed.read(assumption)
                case syntax.KeepTerm():
                    terms += self.keep(term)
                case syntax.SoftTerm():
                    terms += self.soft(term, node)
        assumed.check_shares()
        self.check_order(terms)
        return Goal(self.pipeline.name, tuple(terms), tuple(assumptions), node.span)

    def once(self, key: tuple[str, str], called: str, span: Span) -> bool:
        """False, with a problem, for the second term about one thing."""
        first = self.seen.setdefault(key, span)
        if first is span:
            return True
        title = f"the goal of `{self.pipeline.name}` says two things of {called}"
        self.context.report(problems.goal_contradictory(title, span, "keep the one that is meant", first))
        return False

    # --- terms

    def rate(self, term: syntax.RateTerm) -> list[GoalTerm]:
        limit = quantity(self.context, term.rate)
        if limit is None or not self.once(("rate", ""), "`rate`", term.span):
            return []
        if limit.dimension != units.RATE:
            self.wrong_unit("`rate`", units.RATE, "4 per s", limit, term.rate.span)
            return []
        if not self.positive(limit, "rate", term.rate.span):
            return []
        if not _RATES[0] <= limit.value <= _RATES[1]:
            title = f"a `rate` of {limit.value:g} per s is none that a program is run at"
            hint = "state at most 1_000_000 per s, and at least 0.000_001 per s"
            self.context.report(problems.goal_contradictory(title, term.rate.span, hint))
            return []
        return [GoalTerm("rate", limit, term.span)]

    def bound(self, term: syntax.BoundTerm) -> list[GoalTerm]:
        name = term.metric.text
        if name not in _METRICS:
            near = suggest(name, _METRICS)
            self.context.report(problems.goal_unknown_term(name, "the term", term.metric.span, near, tuple(_METRICS)))
            return []
        dimension, example, has_percentile = _METRICS[name]
        percentile = self.percentile(term, has_percentile, example)
        limit = quantity(self.context, term.limit)
        if not self.fits_result(term):
            return []
        if limit is not None and limit.dimension != dimension:
            self.wrong_unit(f"`{name}`", dimension, example, limit, term.limit.span)
            return []
        written = term.percentile.text if term.percentile else ""
        called = f"`{name} {written}`" if written else f"`{name}`"
        if limit is None or not self.once((name, written), called, term.span):
            return []
        if not self.positive(limit, name, term.limit.span):
            return []
        return [GoalTerm(name, limit, term.span, percentile)]

    def positive(self, limit: units.Quantity, name: str, span: Span) -> bool:
        if limit.value > 0:
            return True
        title = f"no run can keep a `{name}` of nothing"
        self.context.report(problems.goal_contradictory(title, span, "write a figure above zero"))
        return False

    def percentile(self, term: syntax.BoundTerm, wanted: bool, example: str) -> float | None:
        name, written = term.metric.text, term.percentile
        if written is None:
            if wanted:
                place = Span(
                    *(term.metric.span.path, term.metric.span.end, term.metric.span.end),
                    *(term.metric.span.end_line, term.metric.span.end_column),
                    *(term.metric.span.end_line, term.metric.span.end_column),
                )
                fix = Fix("say 95 of 100 runs", (Edit(place, " p95"),))
                title = f"`{name}` does not say for how many of the runs"
                hint = f"write a percentile, as in `{name} p95 <= {example}`"
                self.context.report(problems.goal_percentile(title, term.span, hint, fix))
            return None
        found = _PERCENTILE.fullmatch(written.text)
        if found is None or float(found[1]) == 0:
            title = f"`{written.text}` is no percentile"
            self.context.report(problems.goal_percentile(title, written.span, "write p50, p95 or p99, for example"))
            return None
        if not wanted:
            title = f"`{name}` is of all runs together and has no percentile"
            fix = Fix("leave it out", (Edit(written.span, ""),))
            self.context.report(problems.goal_percentile(title, written.span, f"leave `{written.text}` out", fix))
            return None
        return float(found[1])

    def fits_result(self, term: syntax.BoundTerm) -> bool:
        """`first_token` and `token_gap` are of streams of Text, `first_item` of the other streams."""
        name, result = term.metric.text, self.pipeline.result
        if name not in ("first_token", "token_gap", "first_item") or is_unknown(result):
            return True
        declared = (Related(self.pipeline.declaration.result.span, f"it returns {result}"),)
        owner = f"`{self.pipeline.name}`"
        if not isinstance(result, StreamType):
            title = f"`{name}` means nothing for {owner}, which returns no stream"
            hint = f"bound `finish` instead, or let {owner} return a stream"
            self.context.report(problems.goal_unfit(title, term.metric.span, hint, declared))
            return False
        right = "first_token" if result.element == TEXT else "first_item"
        if name == right or (name == "token_gap" and result.element == TEXT):
            return True
        title = f"`{name}` means nothing for {owner}, which returns {result}"
        fix = Fix(f"write `{right}`", (Edit(term.metric.span, right),)) if name != "token_gap" else None
        hint = f"the first of a {result} is bounded by `{right}`"
        self.context.report(problems.goal_unfit(title, term.metric.span, hint, declared, fix))
        return False

    def prefer(self, term: syntax.PreferTerm) -> list[GoalTerm]:
        aim = term.aim.text
        if aim not in _AIMS:
            self.context.report(problems.goal_unknown_term(aim, "the aim", term.aim.span, suggest(aim, _AIMS), _AIMS))
            return []
        if not self.once(("prefer", ""), "`prefer`", term.span):
            return []
        return [GoalTerm("prefer", None, term.span, word=aim)]

    def wrong_unit(self, what: str, wanted: units.Dimension, example: str, found: units.Quantity, span: Span) -> None:
        title = f"{what} is measured in {wanted}, but this is {named(found.dimension)}"
        self.context.report(problems.unit_mismatch(title, span, f"write it as in `{example}`"))

    def keep(self, term: syntax.KeepTerm) -> list[GoalTerm]:
        """`keep @pii on [onprem]`: the tiers are those of a fleet. The analyses tell whether anything has the label."""
        label = term.label.name
        tiers: dict[str, Span] = {}
        for tier in term.tiers:
            if tier.text in tiers:
                hint = "name it once"
                self.context.report(problems.bound_twice(tier.text, tier.span, tiers[tier.text], "in this list", hint))
            elif tier.text not in self.context.tiers:
                near = suggest(tier.text, self.context.tiers)
                names = ", ".join(f"`{name}`" for name in self.context.tiers)
                hint = (
                    f"the tiers are {names}" if names else "declare a `fleet` with the tiers that the label may be on"
                )
                self.context.report(problems.unknown_name(tier.text, tier.span, near, what="no tier", hint=hint))
            elif self.context.facts is not None:
                self.context.note_tier(tier)
            tiers.setdefault(tier.text, tier.span)
        if not self.once(("keep", label.text), f"`keep @{label.text}`", term.span):
            return []
        return [GoalTerm("keep", None, term.span, word=label.text, tiers=tuple(tiers))]

    def soft(self, term: syntax.SoftTerm, goal: syntax.GoalDecl) -> list[GoalTerm]:
        """`soft finish 10`: a limit of this goal that may be missed, and how much a miss weighs."""
        name = term.metric.text
        if name not in _METRICS:
            near = suggest(name, _METRICS)
            self.context.report(problems.goal_unknown_term(name, "the term", term.metric.span, near, tuple(_METRICS)))
            return []
        if not any(isinstance(other, syntax.BoundTerm) and other.metric.text == name for other in goal.terms):
            title = f"`soft {name}` softens a limit that the goal of `{self.pipeline.name}` does not set"
            hint = f"add the limit, as in `{name} <= {_METRICS[name][1]}`, or leave the line out"
            self.context.report(problems.goal_unfit(title, term.span, hint))
            return []
        weight = number(self.context, term.weight)
        if weight is None or not self.once(("soft", name), f"`soft {name}`", term.span):
            return []
        if not self.positive(units.Quantity(float(weight), units.NUMBER), f"soft {name}", term.weight.span):
            return []
        return [GoalTerm("soft", units.Quantity(float(weight), units.NUMBER), term.span, word=name)]

    def check_order(self, terms: list[GoalTerm]) -> None:
        """What comes before the end of a run cannot be allowed more time than the whole of it."""
        finish = [term for term in terms if term.kind == "finish" and term.limit is not None]
        for term in terms:
            if term.kind not in _EARLY or term.limit is None:
                continue
            for end in finish:
                assert end.limit is not None
                if term.limit.value > end.limit.value and (end.percentile or 0) >= (term.percentile or 0):
                    title = f"`{term.kind}` may take {term.limit}, but the whole run only {end.limit}"
                    hint = f"lower `{term.kind}`, or give `finish` more time"
                    self.context.report(problems.goal_contradictory(title, term.span, hint, end.span))
                    break
