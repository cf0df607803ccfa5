"""Which local names can be used at a place, as the tree tells: those bound before it, in the blocks around it."""

from __future__ import annotations

from collections.abc import Iterator

from .. import syntax
from ..checker.symbols import Local
from ..program import Parameter
from ..syntax.walk import Node, children
from .analysis import Analysis


def declaration_at(file: syntax.File, offset: int) -> syntax.Declaration | None:
    """The declaration around an offset of the tree."""
    around = (node for node in file.declarations if node.span.start <= offset <= node.span.end)
    return next(around, None)


def path_to(node: Node, offset: int) -> list[Node]:
    """The nodes around an offset, from the outermost to the innermost that touches it."""
    found = [node]
    while True:
        inner = [c for c in children(node) if c.span.start <= offset <= c.span.end and not isinstance(c, syntax.Doc)]
        if not inner:
            return found
        # Of two that meet at the offset, the one that ends there is what somebody is writing.
        node = inner[0]
        found.append(node)


def locals_at(analysis: Analysis, inner: int) -> tuple[Local | Parameter, ...]:
    """The parameters, bindings, loop variables and binders that a place of the tree can see, nearest last."""
    declaration = declaration_at(analysis.file, inner)
    if declaration is None:
        return ()
    found: dict[str, Local | Parameter] = {}
    for name in _bound(declaration, inner):
        mention = analysis.facts.mentions.get((name.span.path, name.span.start, name.span.end))
        if mention is not None and isinstance(mention.thing, Local | Parameter):
            found[name.text] = mention.thing
    return tuple(found.values())


def _bound(declaration: syntax.Declaration, offset: int) -> Iterator[syntax.Ident]:
    if isinstance(declaration, syntax.PipelineDecl | syntax.AgentDecl | syntax.ToolDecl | syntax.StageDecl):
        yield from (parameter.name for parameter in declaration.parameters)
    for node in path_to(declaration, offset):
        match node:
            case syntax.Block():
                for statement in node.statements:
                    if isinstance(statement, syntax.Bind) and statement.span.end < offset:
                        yield statement.name
            case syntax.For():
                if offset > node.source.span.end:
                    yield node.variable
            case syntax.Repeat():
                if offset > node.times.span.end:
                    yield node.state
            case syntax.Arm():
                pattern = node.pattern
                if isinstance(pattern, syntax.CasePattern) and offset > pattern.span.end:
                    yield from (binder for binder in pattern.binders if isinstance(binder, syntax.Ident))
            case _:
                pass
