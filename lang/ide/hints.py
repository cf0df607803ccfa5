"""Types that nobody wrote, to be shown behind the names that have them: bindings, loop variables, what an arm binds."""

from __future__ import annotations

from collections.abc import Iterator

from ...base.frozen import frozen
from .. import syntax
from ..checker.conversions import is_unknown
from ..checker.symbols import Local
from ..syntax.walk import walk
from .analysis import Analysis
from .things import typed


@frozen
class Hint:
    """`text` stands behind the character before `offset`."""

    offset: int
    text: str


def hints(analysis: Analysis, start: int, end: int) -> tuple[Hint, ...]:
    """The hints of a part of the text, in order. None where a literal says it."""
    found: list[Hint] = []
    for node in analysis.file.declarations:
        if isinstance(node, syntax.PipelineDecl | syntax.TestDecl):
            span = analysis.place(node.span)
            if span.start <= end and start <= span.end:
                found += _of(analysis, node.body)
    return tuple(sorted((hint for hint in found if start <= hint.offset <= end), key=lambda hint: hint.offset))


def _of(analysis: Analysis, block: syntax.Block) -> Iterator[Hint]:
    for name in _names(block):
        mention = analysis.facts.mentions.get((name.span.path, name.span.start, name.span.end))
        if mention is None or not isinstance(mention.thing, Local) or mention.thing.span != name.span:
            continue
        local = mention.thing
        if not is_unknown(local.type):
            yield Hint(analysis.place(name.span).end, f": {typed(local.type, local.labels)}")


def _names(block: syntax.Block) -> Iterator[syntax.Ident]:
    for node in walk(block):
        match node:
            case syntax.Bind():
                if not isinstance(node.value, syntax.Number | syntax.Quantity | syntax.Bool | syntax.Template):
                    yield node.name
            case syntax.For():
                yield node.variable
            case syntax.Repeat():
                yield node.state
            case syntax.CasePattern():
                yield from (binder for binder in node.binders if isinstance(binder, syntax.Ident))
            case _:
                pass
