"""What the language calls by itself: `all`, `buffered`, `declassify`, `len` and `secret`."""

from __future__ import annotations

import re

from ...base.source import Span
from .. import problems, program, syntax
from ..program import NO_LABELS
from ..types import INT, TEXT, ListType, MapType, Primitive, StreamType, Type
from .arguments import Given, look_inside
from .body import Body, nothing
from .conversions import collected, is_unknown

SECRET = Primitive("Secret")
# What each takes, and an example of it.
CALLS = {
    "all": ("a stream", "reply"),
    "buffered": ("a stream", "writer.chat(…)"),
    "declassify": ("a value", "value"),
    "len": ("a list, a map or a Text", "items"),
    "secret": ("a name", '"API_KEY"'),
}
_SECRET_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_builtin(body: Body, name: str, given: Given, span: Span, expected: Type | None) -> program.Expression:
    value = _single(body, name, given, span)
    if value is None:
        return nothing(span, INT if name == "len" else nothing(span).type)
    if name == "secret":
        return _secret(body, value, span, expected)
    inside = body.value(value, expected if name == "declassify" else None, open=name == "declassify")
    if is_unknown(inside.type):
        return nothing(span, INT if name == "len" else inside.type)
    match name:
        case "len":
            return _length(body, inside, span)
        case "declassify":
            inside = body.plain(inside)
            return program.Declassify(type=inside.type, span=span, labels=NO_LABELS, value=inside)
        case _:
            return _of_stream(body, name, inside, span)


def _single(body: Body, name: str, given: Given, span: Span) -> syntax.Expr | None:
    """The one argument, or None after a report."""
    for argument, _ in given.named:
        body.context.report(problems.unknown_argument(name, argument.text, argument.span, None, ("one value",)))
    if len(given.positional) == 1 and not given.named:
        return given.positional[0]
    look_inside(body, given, span)
    if len(given.positional) > 1:
        extra = given.positional[1].span.to(given.positional[-1].span)
        body.context.report(problems.too_many_arguments(name, 1, len(given.positional), extra, ("one value",)))
    elif not given.positional and not given.named:
        wanted, example = CALLS[name]
        body.context.report(problems.missing_argument(name, (wanted,), span, (), f"write `{name}({example})`"))
    return None


def _length(body: Body, inside: program.Expression, span: Span) -> program.Expression:
    what = "what `len` takes"
    inside = body.settled(inside, what)
    if not isinstance(inside.type, ListType | MapType) and inside.type != TEXT and not is_unknown(inside.type):
        wanted = CALLS["len"][0]
        body.context.report(problems.wrong_type(what, wanted, str(inside.type), inside.span, body.origin(inside)))
    return program.Length(type=INT, span=span, labels=inside.labels, of=inside)


def _of_stream(body: Body, name: str, inside: program.Expression, span: Span) -> program.Expression:
    if not isinstance(inside.type, StreamType):
        hint = f"it is a value already; leave `{name}` out"
        what = f"what `{name}` takes"
        body.context.report(
            problems.wrong_type(what, "a stream", str(inside.type), inside.span, body.origin(inside), hint)
        )
        return nothing(span, inside.type)
    if name == "buffered":
        return program.Buffered(type=inside.type, span=span, labels=inside.labels, stream=inside)
    return program.Collect(type=collected(inside.type), span=span, labels=inside.labels, stream=inside)


def _secret(body: Body, value: syntax.Expr, span: Span, expected: Type | None) -> program.Expression:
    """A Secret is a literal whose value is its name; what it holds is asked for when it is needed, and never shown."""
    name = value.literal if isinstance(value, syntax.Template) else None
    if name is None or not _SECRET_NAME.fullmatch(name):
        title = "the name of a secret is a text of letters, digits and `_`"
        body.context.report(problems.secret_misplaced(title, value.span, 'write it out, as in `secret("API_KEY")`'))
        if not isinstance(value, syntax.Template):
            body.value(value)
        return nothing(span, SECRET)
    if expected != SECRET:
        title = "a secret can only be given where a Secret is taken"
        hint = "endpoints, and the keys of tools and of the library take one; it has no text form and is no value"
        body.context.report(problems.secret_misplaced(title, span, hint))
        return nothing(span)
    return program.Literal(type=SECRET, span=span, value=name)
