"""What to say about a name that nothing here is called by."""

from __future__ import annotations

from ...base.problems import Edit, Fix, Related
from ...base.source import Span
from .. import problems
from .body import Body
from .builtins import CALLS
from .context import Context


def unknown_local(body: Body, name: str, span: Span) -> None:
    """Report a name that is no local, no name of the file and no builtin."""
    elsewhere = _bound_elsewhere(body, name, span)
    if elsewhere is not None:
        hint, related = elsewhere
        body.context.report(problems.unknown_name(name, span, hint=hint, related=(related,)))
        return
    hint, fix = _imported(body.context, name, span)
    suggestion: str | None = None
    if hint is None:
        visible = [local.name for local in body.locals.values() if local.visible]
        suggestion = body.context.nearest(name, (*visible, *body.context.names, *CALLS, "none", *body.context.cases))
        if suggestion is not None and suggestion in body.locals:
            body.locals[suggestion].used = True
    body.context.report(problems.unknown_name(name, span, suggestion, hint=hint, fix=fix))


def _bound_elsewhere(body: Body, name: str, span: Span) -> tuple[str, Related] | None:
    local = body.locals.get(name)
    if local is not None:
        local.used = True
        hint = "what is bound inside a block is not seen outside it; let the block's last line be the value"
        return hint, Related(local.span, f"`{name}` is bound here")
    node = body.binding(name)
    if node is None:
        return None
    if node.span.start <= span.start and node.span.end >= span.end:
        return "a value cannot be made from itself", Related(node.name.span, f"`{name}` is being bound here")
    body.early.add(name)
    return "move the line that binds it up", Related(node.name.span, f"`{name}` is only bound here")


def _imported(context: Context, name: str, span: Span) -> tuple[str | None, Fix | None]:
    """A name that some module offers, or that is a module of the library which was not imported."""
    for module, symbol in context.modules_with(name):
        symbol.used = True
        qualified = f"{module}.{name}"
        return f"did you mean `{qualified}`?", Fix(f"write `{qualified}`", (Edit(span, qualified),))
    if context.library(f"std/{name}") is not None:
        line = f"use std/{name}\n"
        top = context.source.span(context.top, context.top)
        return f"import it: `use std/{name}`", Fix(f"add `use std/{name}`", (Edit(top, line),))
    return None, None
