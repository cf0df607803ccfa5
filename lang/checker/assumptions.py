"""What a goal assumes of its pipeline: sizes of texts and lists, and how often a case is taken."""

from __future__ import annotations

from collections.abc import Callable

from ...base import units
from ...base.problems import Related
from ...base.source import Span
from ...base.suggest import suggest
from .. import problems, program, syntax
from ..program import Assumption
from ..types import TEXT, EnumType, ListType, MapType, OptionType, Primitive, StreamType, Type
from .context import Context
from .conversions import is_unknown
from .figures import quantity
from .graph import Calls, reachable
from .symbols import Local, PipelineSymbol

# Shares are written in whole or tenths of percents.
_ROUNDING = 1e-9
Once = Callable[[tuple[str, str], str, Span], bool]


class Assumptions:
    """Reads the assumptions of one goal. `once` is false, after a report, for the second about one thing."""

    def __init__(self, context: Context, pipeline: PipelineSymbol, calls: Calls, once: Once) -> None:
        self.context = context
        self.pipeline = pipeline
        self.within = reachable(calls, pipeline.name)
        # By the value whose cases they are: its cases, and what was said of them.
        self.shares: dict[str, tuple[tuple[str, ...], list[tuple[float, syntax.Assumption]]]] = {}
        self._once = once

    def read(self, node: syntax.Assumption) -> list[Assumption]:
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
            self.context.note(name.span, self.pipeline)
            if not node.output:
                title = f"`{name.text}` is the pipeline, of which only the output can be assumed"
                self.context.report(problems.goal_unfit(title, node.span, f"write `{name.text} output 100 tokens`"))
                return []
            return self.accepted(node, amount, key, units.TOKENS, "100 tokens", "what it writes")
        if not owner.sound:
            return []
        local = owner.locals.get(name.text)
        if local is None:
            self.unknown(owner, name)
            return []
        self.context.note(name.span, local)
        if is_unknown(local.type):
            return []
        if len(rest) > 1:
            return self.share(node, amount, local, rest)
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
        if amount is None or not self._once(("assume", key), key, node.span):
            return []
        if amount.dimension != wanted:
            title = (
                f"`{node.subject.text}` ({what}) is assumed in {named(wanted)}, but this is {named(amount.dimension)}"
            )
            self.context.report(problems.unit_mismatch(title, node.amount.span, f"write it as in `{example}`"))
            return []
        return [Assumption(node.subject.text, amount, node.span, None, node.output)]

    def output(
        self, node: syntax.Assumption, amount: units.Quantity | None, local: Local, key: str
    ) -> list[Assumption]:
        value = _call(local.value)
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
            self.context.note(name.span, symbol)
            return symbol
        if isinstance(symbol, PipelineSymbol):
            title = f"`{self.pipeline.name}` never calls `{name.text}`, so nothing of it can be assumed here"
            hint = "a goal assumes only of its own pipeline and of those it calls"
            self.context.report(problems.goal_unfit(title, name.span, hint))
        else:
            self.unknown(self.pipeline, name, (*sorted(self.within),))
        return None

    def share(
        self, node: syntax.Assumption, amount: units.Quantity | None, local: Local, rest: tuple[syntax.Ident, ...]
    ) -> list[Assumption]:
        """`intent.Refund 10 %`: how many of the runs take that case of an enum or of an option."""
        case = rest[1]
        declared = (Related(local.span, f"`{local.name}` is {local.type}"),)
        match local.type:
            case EnumType():
                known = tuple(c.name for c in self.context.enums[local.type.name].cases)
            case OptionType():
                known = ("none", "some")
            case _:
                title = f"`{local.name}` has no cases, so none can have a share"
                hint = "only a value of an enum, or an optional one, takes one of several ways"
                self.context.report(problems.goal_unfit(title, node.span, hint, declared))
                return []
        if case.text not in known or len(rest) > 2:
            near = suggest(case.text, known)
            owner = str(local.type)
            word = rest[2] if len(rest) > 2 else case
            self.context.report(problems.unknown_member(owner, "case", word.text, word.span, near, known))
            return []
        if node.output:
            title = f"a case has no output, only a share, as in `{node.subject.text} 10 %`"
            self.context.report(problems.goal_unfit(title, node.span, "leave `output` out"))
            return []
        if isinstance(local.type, EnumType):
            declared_case = next(c for c in self.context.enums[local.type.name].cases if c.name == case.text)
            self.context.note(case.span, declared_case, local.type.name)
        name = node.subject.text.rsplit(".", 1)[0]
        key = f"`{node.subject.text}`"
        if amount is None or not self._once(("assume", key), key, node.span):
            return []
        if amount.dimension != units.NUMBER:
            title = f"the share of a case is a part of the runs, but this is {named(amount.dimension)}"
            self.context.report(problems.unit_mismatch(title, node.amount.span, "write it as in `10 %`"))
            return []
        self.shares.setdefault(name, (known, []))[1].append((amount.value, node))
        return [Assumption(name, amount, node.span, case.text)]

    def check_shares(self) -> None:
        """The cases of one value share its runs: no more than all of them, and all where every case has a share."""
        for name, (known, given) in self.shares.items():
            total = sum(share for share, _ in given)
            last = given[-1][1]
            if total > 1.0 + _ROUNDING:
                title = f"the shares of the cases of `{name}` come to {100 * total:.4g} %"
                hint = "let their shares come to 100 % at most"
            elif len(given) == len(known) and total < 1.0 - _ROUNDING:
                title = f"the shares of all cases of `{name}` come to only {100 * total:.4g} %"
                hint = "let their shares come to 100 %, or leave one out: it gets the rest"
            else:
                continue
            first = given[0][1].span if len(given) > 1 else None
            self.context.report(problems.goal_contradictory(title, last.span, hint, first))

    def unknown(self, owner: PipelineSymbol, name: syntax.Ident, also: tuple[str, ...] = ()) -> None:
        """A name that the pipeline does not bind."""
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


def _call(value: program.Expression | None) -> program.Expression | None:
    """The call whose text a binding holds, in whatever way it is held."""
    while True:
        match value:
            case program.Collect() | program.Buffered():
                value = value.stream
            case program.With() | program.Into():
                value = value.call
            case program.Otherwise():
                value = value.value
            case _:
                return value


def _assumable(type: Type) -> tuple[units.Dimension, str] | None:
    """In what a value of a type is assumed, with an example; None for a type that has no size."""
    match type:
        case StreamType(element=Primitive(name="Audio")) | Primitive(name="Audio"):
            return units.DURATION, "3 s"
        case OptionType():
            return _assumable(type.element)
        case ListType() | MapType():
            return units.COUNT, "4 items"
        case StreamType() if type.element != TEXT:
            return units.COUNT, "4 items"
        case StreamType():
            return units.TOKENS, "120 tokens"
        case _:
            return (units.TOKENS, "40 tokens") if type == TEXT else None


def named(dimension: units.Dimension) -> str:
    return "items" if dimension == units.COUNT else str(dimension)
