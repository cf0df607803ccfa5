"""`Message`, `Role` and what a judge says belong to a program that uses them, and to no other."""

from __future__ import annotations

from collections.abc import Iterator

from ...base.frozen import replace
from .. import program
from ..program import Program, walk
from ..types import MESSAGE, ROLE, VERDICT, ListType, MapType, OptionType, StreamType, Type


def without_unused_language(whole: Program) -> Program:
    """The program without the records and enums of the language that nothing in it is of."""
    # Most values share the one object of their type.
    types = {id(type): type for type in _types(whole)}
    found = {_innermost(type) for type in types.values()}
    messages = MESSAGE in found
    roles = messages or ROLE in found
    unused = {record.name for record in (MESSAGE, VERDICT) if record not in found}
    return replace(
        whole,
        records={n: r for n, r in whole.records.items() if n not in unused} if unused else whole.records,
        enums=whole.enums if roles else {n: e for n, e in whole.enums.items() if n != ROLE.name},
    )


def _innermost(type: Type) -> Type:
    while isinstance(type, ListType | MapType | OptionType | StreamType):
        type = type.element
    return type


def _types(whole: Program) -> Iterator[Type]:
    for record in whole.records.values():
        if record.name not in (MESSAGE.name, VERDICT.name):
            yield from (field.type for field in record.fields)
    for enum in whole.enums.values():
        yield from (field.type for case in enum.cases for field in case.payload)
    for signature in (*whole.tools, *whole.pipelines):
        yield signature.result
        yield from (parameter.type for parameter in signature.parameters)
    for given in (given for test in whole.tests for given in test.givens):
        stated = tuple(
            program.Evaluate(value, given.span) for value in (given.answer, *(a.value for a in given.arguments))
        )
        yield from (part.type for part in walk(program.Block(stated, None, given.span)))
    for block in (*(pipeline.body for pipeline in whole.pipelines), *(test.body for test in whole.tests)):
        yield from (part.type for part in walk(block))
