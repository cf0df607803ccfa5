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
    found = True
    while found:
        found = [name for name, declaration in endless.items() if _can_be_built(declaration, endless)]
        for name in found:
            del endless[name]
    for name, declaration in endless.items():
        circle = _circle(name, endless)
        if circle is None:
            continue  # it only holds one that is reported
        first = min(circle, key=lambda part: list(endless).index(part))
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
    ways = [[start]]
    seen: set[str] = set()
    for way in ways:
        for field in _fields(endless[way[-1]]):
            if not _holds(field, endless):
                continue
            held = str(field.type)
            if held == start:
                return way
            if held not in seen:
                seen.add(held)
                ways.append([*way, held])
    return None
