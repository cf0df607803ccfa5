"""Goals: terms with the dimension of what they bound, and assumptions about names of the pipeline."""

from __future__ import annotations

import re

from ...base import units
from ...base.problems import Edit, Fix, Related
from ...base.source import Span
from ...base.suggest import suggest
from .. import problems, program, syntax
from ..program import Assumption, Goal, GoalTerm
from ..syntax.walk import walk
from ..types import TEXT, ListType, Primitive, StreamType, Type
from .context import Context
from .conversions import is_unknown
from .figures import quantity
from .graph import Calls, reachable
from .symbols import Local, PipelineSymbol, UncheckedSymbol

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
        self.within = reachable(calls, pipeline.name)
        self.binders: dict[str, set[str]] = {}

    def goal(self, node: syntax.GoalDecl) -> Goal:
        terms: list[GoalTerm] = []
        assumptions: list[Assumption] = []
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
                        assumptions += self.assumption(assumption)
                case syntax.KeepTerm():
                    self.context.refuse("keep", term.span)
                case syntax.SoftTerm():
                    self.context.refuse("soft", term.span)
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
        title = f"{what} is measured in {wanted}, but this is {_named(found.dimension)}"
        self.context.report(problems.unit_mismatch(title, span, f"write it as in `{example}`"))

    # --- assumptions

    def assumption(self, node: syntax.Assumption) -> list[Assumption]:
        amount = quantity(self.context, node.amount)
        parts = node.subject.parts
        owner, rest = self.pipeline, parts
        if len(parts) > 1 and parts[0].text not in self.pipeline.locals:
            called = self.called(parts[0])
            if called is None:
                return []
            owner, rest = called, parts[1:]
        name = rest[0]
        key = f"`{node.subject.text}`{' output' if node.output else ''}"
        if len(parts) == 1 and name.text == self.pipeline.name:
            if not node.output:
                title = f"`{name.text}` is the pipeline, of which only the output can be assumed"
                self.context.report(problems.goal_unfit(title, node.span, f"write `{name.text} output 100 tokens`"))
                return []
            return self.accepted(node, amount, key, units.TOKENS, "100 tokens", "what it writes")
        local = owner.locals.get(name.text)
        if local is None:
            self.unknown(owner, name)
            return []
        if len(rest) > 1:
            self.context.refuse("case share", node.subject.span)
            return []
        if is_unknown(local.type):
            return []
        if node.output:
            return self.output(node, amount, local, key)
        wanted = _assumable(local.type)
        if wanted is None:
            title = f"nothing can be assumed of `{node.subject.text}`, which is {local.type}"
            hint = "texts have a number of tokens, lists a number of items"
            declared = (Related(local.span, f"`{name.text}` is bound here"),)
            self.context.report(problems.goal_unfit(title, node.span, hint, declared))
            return []
        return self.accepted(node, amount, key, *wanted, str(local.type))

    def accepted(
        self,
        node: syntax.Assumption,
        amount: units.Quantity | None,
        key: str,
        wanted: units.Dimension,
        example: str,
        what: str,
    ) -> list[Assumption]:
        if amount is None or not self.once(("assume", key), key, node.span):
            return []
        if amount.dimension != wanted:
            title = (
                f"`{node.subject.text}` ({what}) is assumed in {_named(wanted)}, but this is {_named(amount.dimension)}"
            )
            self.context.report(problems.unit_mismatch(title, node.amount.span, f"write it as in `{example}`"))
            return []
        return [Assumption(node.subject.text, amount, node.span, None, node.output)]

    def output(
        self, node: syntax.Assumption, amount: units.Quantity | None, local: Local, key: str
    ) -> list[Assumption]:
        value = local.value
        while isinstance(value, program.Collect):
            value = value.stream
        if isinstance(value, program.StageCall) and value.type == StreamType(TEXT):
            return self.accepted(node, amount, key, units.TOKENS, "120 tokens", "what it writes")
        title = f"`{node.subject.text}` is not bound to a call that writes text, so it has no output"
        hint = "name a binding such as `reply = writer.chat(…)`; leave `output` out to assume the size of a value"
        declared = (Related(local.span, f"`{local.name}` is bound here"),)
        self.context.report(problems.goal_unfit(title, node.span, hint, declared))
        return []

    def called(self, name: syntax.Ident) -> PipelineSymbol | None:
        """The pipeline that a dotted name begins with, if a run of the goal's pipeline calls it."""
        symbol = self.context.names.get(name.text)
        if name.text in self.within and isinstance(symbol, PipelineSymbol):
            return symbol
        if isinstance(symbol, PipelineSymbol):
            title = f"`{self.pipeline.name}` never calls `{name.text}`, so nothing of it can be assumed here"
            hint = "a goal assumes only of its own pipeline and of those it calls"
            self.context.report(problems.goal_unfit(title, name.span, hint))
        else:
            self.unknown(self.pipeline, name, (*sorted(self.within),))
        return None

    def unknown(self, owner: PipelineSymbol, name: syntax.Ident, also: tuple[str, ...] = ()) -> None:
        """A name that the pipeline does not bind. Silent where it is bound in a part that is not checked yet."""
        if owner.name not in self.binders:
            self.binders[owner.name] = _binders(owner.declaration)
        if name.text in self.binders[owner.name]:
            return
        known = (*owner.locals, *also, *((owner.name,) if owner is self.pipeline else ()))
        suggestion = self.context.nearest(name.text, known)
        hint = f"`{owner.name}` binds " + (", ".join(f"`{n}`" for n in list(owner.locals)[:8]) or "no names")
        if suggestion is None and owner is self.pipeline:
            for inner in sorted(self.within):
                symbol = self.context.names.get(inner)
                if isinstance(symbol, PipelineSymbol) and name.text in symbol.locals:
                    suggestion = f"{inner}.{name.text}"
        what = f"nothing in pipeline `{owner.name}`"
        self.context.report(problems.unknown_name(name.text, name.span, suggestion, what=what, hint=hint))


def _assumable(type: Type) -> tuple[units.Dimension, str] | None:
    """In what a value of a type is assumed, with an example; None for a type that has no size."""
    match type:
        case StreamType(element=Primitive(name="Audio")) | Primitive(name="Audio"):
            return units.DURATION, "3 s"
        case ListType():
            return units.COUNT, "4 items"
        case StreamType() if type.element != TEXT:
            return units.COUNT, "4 items"
        case StreamType():
            return units.TOKENS, "120 tokens"
        case _:
            return (units.TOKENS, "40 tokens") if type == TEXT else None


def _named(dimension: units.Dimension) -> str:
    return "items" if dimension == units.COUNT else str(dimension)


def _binders(node: syntax.PipelineDecl) -> set[str]:
    """Every name that the text of a pipeline binds, in parts that are not checked yet as well."""
    found: set[str] = set()
    for part in walk(node.body):
        match part:
            case syntax.Bind():
                found.add(part.name.text)
            case syntax.For():
                found.add(part.variable.text)
            case syntax.Repeat():
                found.add(part.state.text)
            case syntax.CasePattern():
                found.update(binder.text for binder in part.binders if isinstance(binder, syntax.Ident))
            case _:
                pass
    return found
