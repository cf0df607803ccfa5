"""Parameters, fields, and the signatures of stages."""

from __future__ import annotations

from ...base.frozen import replace
from .. import problems, program, syntax
from ..program import Parameter, StageSignature
from ..types import StreamType, Type
from .constants import constant_value
from .context import Context
from .symbols import UNKNOWN, HandleTypeSymbol, StageSymbol
from .written import resolve


def text_of(doc: syntax.Doc | None) -> str | None:
    return doc.text if doc is not None else None


def parameters_of(
    context: Context,
    nodes: tuple[syntax.Parameter, ...] | tuple[syntax.FieldDecl, ...],
    kind: str,
    owner: str,
    *,
    handles: bool = False,
    defaults: bool = True,
) -> tuple[Parameter, ...]:
    """Parameters or fields with their types, labels and defaults; the first of two with one name is kept.

    Defaults can wait until all types have their fields, which they may be values of (`with_defaults`).
    """
    found: dict[str, Parameter] = {}
    for node in nodes:
        type, labels = resolve(context, node.type, handles=handles)
        if kind == "field" and isinstance(type, StreamType):
            context.report(problems.stream_inside("a record", f"a {type}", node.type.span))
            type = UNKNOWN
        default = _default(context, node, kind, type) if defaults else None
        first = found.get(node.name.text)
        if first is not None:
            hint = f"give one of the two {kind}s another name"
            what = f"a {kind} of `{owner}`"
            context.report(problems.bound_twice(node.name.text, node.name.span, first.span, what, hint))
            continue
        found[node.name.text] = Parameter(node.name.text, type, node.name.span, labels, default)
        context.note(node.name.span, found[node.name.text], owner)
    return tuple(found.values())


def with_defaults(
    context: Context, nodes: tuple[syntax.FieldDecl, ...], fields: tuple[Parameter, ...]
) -> tuple[Parameter, ...]:
    """Fields whose types are known, with the defaults that they were declared with."""
    written = {node.name.span: node for node in nodes if node.default is not None}
    return tuple(
        replace(field, default=_default(context, written[field.span], "field", field.type))
        if field.span in written
        else field
        for field in fields
    )


def _default(
    context: Context, node: syntax.Parameter | syntax.FieldDecl, kind: str, type: Type
) -> program.Literal | None:
    if node.default is None:
        return None
    what = f"the default of {kind} `{node.name.text}`"
    literal = constant_value(context, node.default, type, what)
    # A default with a fault is still a default: the argument may be left out.
    return literal or program.Literal(type=type, span=node.default.span, value=None)


def declare_stage(context: Context, node: syntax.StageDecl) -> None:
    """A stage of an interface file, or a method of one of its handle types; several of one name differ in the type of
    their first argument."""
    assert context.interface is not None
    module = context.interface.module
    parameters = parameters_of(context, node.parameters, "parameter", node.name.text, handles=True)
    result, labels = resolve(context, node.result, handles=True)
    match node.implementation:
        case syntax.Call(
            syntax.Name(text=("builtin" | "python") as behind), (syntax.Argument(None, syntax.Template() as t),)
        ):
            entry = t.literal or ""
        case _:
            context.report(
                problems.bad_implementation(f"stage `{node.name.text}`", node.implementation.span, stage=True)
            )
            return
    doc = text_of(node.doc)
    last = node.name.parts[-1]
    if node.name.parts == (last,):
        name = f"{module}.{last.text}"
        signature = StageSignature(name, parameters, result, behind, entry, last.span, labels, doc=doc)
        known = context.names.get(last.text)
        if isinstance(known, StageSymbol):
            known.signatures = (*known.signatures, signature)
        else:
            context.bind(StageSymbol(last.text, last.span, signature))
        return
    first = node.name.parts[0]
    owner = context.names.get(first.text)
    if not isinstance(owner, HandleTypeSymbol) or len(node.name.parts) > 2:
        context.report(problems.unknown_name(first.text, first.span, what="no type of handle here"))
        return
    receiver = Parameter("self", owner.type, first.span)
    name = f"{owner.type.name}.{last.text}"
    signature = StageSignature(name, (receiver, *parameters), result, behind, entry, last.span, labels, doc=doc)
    methods = context.methods[owner.type.name]
    methods[last.text] = (*methods.get(last.text, ()), signature)
