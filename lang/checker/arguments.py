"""The arguments of a call. They leave here complete and in the declared order, so that no later layer knows of defaults
or of names."""

from __future__ import annotations

from collections.abc import Sequence

from ...base.problems import Related
from ...base.source import Span
from .. import problems, program, syntax
from ..program import NO_LABELS, Labels, Parameter
from .body import Body, nothing
from .conversions import convert, is_open, is_unknown
from .generics import Variables, filled, has_variables, unify


class Given:
    """The arguments of one call as they are written; `piped` is what stands before `|>`."""

    __slots__ = ("checked", "named", "piped", "positional", "span")

    def __init__(self, call: syntax.Call, piped: syntax.Expr | None) -> None:
        self.span = call.span
        self.piped = piped
        positional = [argument.value for argument in call.arguments if argument.name is None]
        self.positional: list[syntax.Expr] = positional if piped is None else [piped, *positional]
        self.named: list[tuple[syntax.Ident, syntax.Expr]] = [
            (argument.name, argument.value) for argument in call.arguments if argument.name is not None
        ]
        # Those that had to be checked before it was known what they are given to, by identity.
        self.checked: dict[int, program.Expression] = {}

    @property
    def values(self) -> list[syntax.Expr]:
        return [*self.positional, *(value for _, value in self.named)]

    def early(self, body: Body, value: syntax.Expr) -> program.Expression:
        """An argument, checked without knowing what it is given to."""
        found = self.checked.get(id(value))
        if found is None:
            found = self.checked[id(value)] = body.value(value, open=True)
        return found


def labels_of(arguments: Sequence[program.Argument]) -> Labels:
    return NO_LABELS.union(*(argument.value.labels for argument in arguments))


def look_inside(body: Body, given: Given, span: Span) -> program.Expression:
    """Check the arguments of a call that nothing is known of, for their own faults."""
    for value in given.values:
        given.early(body, value)
    return nothing(span)


def bind_arguments(
    body: Body,
    called: str,
    parameters: tuple[Parameter, ...],
    given: Given,
    span: Span,
    declared: Span | None = None,
    variables: Variables | None = None,
) -> tuple[program.Argument, ...]:
    """The arguments in declared order, defaults filled in. What is wrong is reported and stands as unknown.

    What the type variables of the parameters stand for in this call is added to `variables`.
    """
    known = tuple(parameter.name for parameter in parameters)
    written: dict[str, syntax.Expr] = {}
    at: dict[str, Span] = {}
    for name, value in zip(known, given.positional, strict=False):
        written[name], at[name] = value, value.span
    extra = given.positional[len(parameters) :]
    for value in extra:
        given.early(body, value)
    if extra:
        place = extra[0].span.to(extra[-1].span)
        body.context.report(problems.too_many_arguments(called, len(parameters), len(given.positional), place, known))
    misspelt: set[str] = set()
    for name, value in given.named:
        if name.text not in known:
            suggestion = body.context.nearest(name.text, [n for n in known if n not in written])
            if suggestion:
                misspelt.add(suggestion)
            body.context.report(problems.unknown_argument(called, name.text, name.span, suggestion, known))
            given.early(body, value)
        elif name.text in written:
            body.context.report(problems.argument_twice(called, name.text, name.span, at[name.text]))
            given.early(body, value)
        else:
            written[name.text], at[name.text] = value, name.span
            if body.context.facts is not None:
                body.context.note(name.span, next(p for p in parameters if p.name == name.text), called)
    missing = tuple(p for p in parameters if p.name not in written and p.default is None and p.name not in misspelt)
    if missing:
        where = Related(declared or missing[0].span, "declared here")
        names = tuple(parameter.name for parameter in missing)
        body.context.report(problems.missing_argument(called, names, span, (where,)))
    variables = {} if variables is None else variables
    values = {p.name: _value(body, p, written[p.name], given, variables) for p in parameters if p.name in written}
    arguments: list[program.Argument] = []
    for parameter in parameters:
        value = values.get(parameter.name)
        if value is not None:
            found = _fit(body, called, parameter, value, variables)
        else:
            found = parameter.default or nothing(span, filled(parameter.type, variables))
        arguments.append(program.Argument(parameter.name, found))
    return tuple(arguments)


def _value(
    body: Body, parameter: Parameter, value: syntax.Expr, given: Given, variables: Variables
) -> program.Expression:
    """One argument, before all variables are known."""
    wanted = filled(parameter.type, variables)
    found = given.checked.get(id(value))
    if found is None:
        found = body.value(value, None if has_variables(wanted) else wanted, open=True)
    if has_variables(parameter.type) and not is_unknown(found.type):
        found = body.plain(found)
        unify(parameter.type, found.type, variables)
    return found


def _fit(
    body: Body, called: str, parameter: Parameter, found: program.Expression, variables: Variables
) -> program.Expression:
    wanted = filled(parameter.type, variables)
    if is_open(wanted):
        return body.decided(found)
    converted = convert(found, wanted)
    if converted is not None:
        return converted
    what = f"argument `{parameter.name}` of `{called}`"
    declared = (Related(parameter.span, f"`{parameter.name}` is declared here: {parameter.type}"),)
    return body.fit(found, wanted, what, declared)
