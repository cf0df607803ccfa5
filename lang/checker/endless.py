"""Types that hold themselves without end: no value of them could ever be built."""

from __future__ import annotations

from collections.abc import Iterator

from ...base.problems import Related
from .. import problems
from ..program import EnumDeclaration, Parameter, RecordDeclaration
from ..types import EnumType, RecordType
from .context import Context
from .graph import Calls, groups

Declaration = RecordDeclaration | EnumDeclaration
# Types that hold each other, of which each is asked for a circle of its own.
_MOST_TOGETHER = 50


def report_endless(context: Context, own: list[Declaration]) -> None:
    """A record that holds itself, directly or through others, with nothing between that may be empty.

    Such are what is left once every type that can be built has been found: a record whose fields all can, an enum
    with a case whose payload can. Lists, maps and options can always be built, empty.
    """
    endless = {declaration.name: declaration for declaration in own}
    holders: dict[str, list[str]] = {}
    for declaration in own:
        for field in _fields(declaration):
            if _holds(field, endless):
                holders.setdefault(str(field.type), []).append(declaration.name)
    waiting = list(endless)
    while waiting:
        name = waiting.pop()
        if name in endless and _can_be_built(endless[name], endless):
            del endless[name]
            waiting += holders.get(name, ())
    order = {name: position for position, name in enumerate(endless)}
    holds = {name: [(str(f.type), f.span) for f in _fields(d) if _holds(f, endless)] for name, d in endless.items()}
    # A type lies in a circle only with those of its group; one that is alone holds itself, or one that is reported.
    for group in sorted((sorted(group, key=order.__getitem__) for group in groups(holds)), key=lambda g: order[g[0]]):
        within = set(group)
        for name in group[:_MOST_TOGETHER]:
            circle = _circle(name, holds, within)
            if circle is not None and min(circle, key=order.__getitem__) == name:
                held = next(span for held, span in holds[name] if held == circle[1 % len(circle)])
                related = tuple(Related(endless[part].span, f"`{part}` is declared here") for part in circle[1:])
                context.report(problems.endless_type(name, held, tuple(circle[1:]), related))


def _can_be_built(declaration: Declaration, endless: dict[str, Declaration]) -> bool:
    if isinstance(declaration, RecordDeclaration):
        return not any(_holds(field, endless) for field in declaration.fields)
    cases = declaration.cases
    return not cases or any(not any(_holds(field, endless) for field in case.payload) for case in cases)


def _holds(field: Parameter, endless: dict[str, Declaration]) -> bool:
    return isinstance(field.type, RecordType | EnumType) and field.type.name in endless


def _fields(declaration: Declaration) -> Iterator[Parameter]:
    if isinstance(declaration, RecordDeclaration):
        yield from declaration.fields
    else:
        for case in declaration.cases:
            yield from case.payload


def _circle(start: str, holds: Calls, within: set[str]) -> list[str] | None:
    """The shortest way from a type back to itself, the type first; None where there is none."""
    # Nearest first, each with the type that it was found in.
    found: dict[str, str] = {}
    waiting = [start]
    for name in waiting:
        for held, _ in holds[name]:
            if held == start:
                way = [name]
                while way[-1] != start:
                    way.append(found[way[-1]])
                return way[::-1]
            if held in within and held not in found:
                found[held] = name
                waiting.append(held)
    return None
