"""Types that hold themselves without end: no value of them could ever be built."""

from __future__ import annotations

from collections.abc import Iterator

from ...base.problems import Related
from .. import problems
from ..program import EnumDeclaration, Parameter, RecordDeclaration
from ..types import EnumType, RecordType
from .context import Context

Declaration = RecordDeclaration | EnumDeclaration


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
    for name, declaration in endless.items():
        circle = _circle(name, endless)
        if circle is None:
            continue  # it only holds one that is reported
        first = min(circle, key=order.__getitem__)
        if first == name:
            held = next(field for field in _fields(declaration) if str(field.type) == circle[1 % len(circle)])
            related = tuple(Related(endless[part].span, f"`{part}` is declared here") for part in circle[1:])
            context.report(problems.endless_type(name, held.span, tuple(circle[1:]), related))


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


def _circle(start: str, endless: dict[str, Declaration]) -> list[str] | None:
    """The shortest way from a type back to itself, the type first; None where there is none."""
    # Nearest first, each with the type that it was found in.
    found: dict[str, str] = {}
    waiting = [start]
    for name in waiting:
        for field in _fields(endless[name]):
            if not _holds(field, endless):
                continue
            held = str(field.type)
            if held == start:
                way = [name]
                while way[-1] != start:
                    way.append(found[way[-1]])
                return way[::-1]
            if held not in found:
                found[held] = name
                waiting.append(held)
    return None
