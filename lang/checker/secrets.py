"""`secret("NAME")`: a name in the program, a value only where it is used."""

from __future__ import annotations

import re

from .. import problems, syntax
from ..types import TEXT
from .constants import constant_value
from .context import Context

_SECRET = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def is_secret(node: syntax.Expr) -> bool:
    return isinstance(node, syntax.Call) and isinstance(node.function, syntax.Name) and node.function.text == "secret"


def secret_name(context: Context, node: syntax.Expr) -> str | None:
    """The name in `secret("NAME")`; empty after a report, None for any other expression."""
    if not isinstance(node, syntax.Call) or not is_secret(node):
        return None
    name = only_text(context, node, "`secret`")
    if name is not None and not _SECRET.fullmatch(name):
        title = f'"{name}" is no name of a secret'
        hint = 'use letters, digits and `_`, as in `secret("SHOP_KEY")`'
        context.report(problems.bad_secret(title, node.arguments[0].value.span, hint))
        return ""
    return name or ""


def only_text(context: Context, call: syntax.Call, called: str) -> str | None:
    """The one argument of a call, a text without holes."""
    name = called.strip("`")
    for argument in call.arguments:
        if argument.name is not None:
            known = ("one text",)
            context.report(problems.unknown_argument(name, argument.name.text, argument.name.span, None, known))
    values = [argument.value for argument in call.arguments if argument.name is None]
    if not values:
        if not call.arguments:
            hint = 'write `python("module:function")`' if name == "python" else f'write `{name}("NAME")` with its tool'
            context.report(problems.missing_argument(name, ("a text",), call.span, (), hint))
        return None
    if len(values) > 1:
        place = values[1].span.to(values[-1].span)
        context.report(problems.too_many_arguments(name, 1, len(values), place, ("one text",)))
    literal = constant_value(context, values[0], TEXT, f"what {called} takes")
    return literal.value if literal is not None and isinstance(literal.value, str) else None
