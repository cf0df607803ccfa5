"""Values of enums: a case by its name alone, where it is the only one of that name or its enum is expected, or behind
the name of its enum."""

from __future__ import annotations

from ...base.problems import Related
from ...base.source import Span
from .. import problems, program, syntax
from ..program import EnumCase, EnumDeclaration
from ..types import EnumType, Type
from .arguments import Given, bind_arguments, labels_of, look_inside
from .body import Body, nothing
from .conversions import inside
from .symbols import ConstantSymbol, EnumSymbol, HandleSymbol, ModuleSymbol

Found = tuple[EnumDeclaration, EnumCase]


def named_case(body: Body, name: str, span: Span, expected: Type | None) -> Found | tuple[()] | None:
    """The case that a bare name means. None where it means none; empty after a report that it could be several."""
    wanted = inside(expected)
    symbol = body.context.names.get(name)
    if isinstance(wanted, EnumType) and not isinstance(symbol, ConstantSymbol | HandleSymbol):
        declared = body.context.enums.get(wanted.name)
        case = None if declared is None else case_of(declared, name)
        if declared is not None and case is not None:
            _use(body, declared)
            body.context.note(span, case, declared.name)
            return declared, case
    if symbol is not None:
        return None
    owners = tuple(body.context.cases.get(name, {}).values())
    for owner in owners:
        _use(body, owner)
    if len(owners) > 1:
        body.context.report(problems.ambiguous_case(name, tuple(owner.name for owner in owners), span))
        return ()
    if not owners:
        return None
    case = case_of(owners[0], name)
    if case is not None:
        body.context.note(span, case, owners[0].name)
    return None if case is None else (owners[0], case)


def qualified_case(body: Body, node: syntax.Access) -> Found | tuple[()] | None:
    """The case that `Intent.Refund` or `shop.Intent.Refund` means. None where no enum stands before the last name;
    empty after a report that the enum has no such case."""
    owner = _enum(body, node.target)
    if owner is None:
        return None
    case = case_of(owner.declaration, node.name.text)
    if case is not None:
        body.context.note(node.name.span, case, owner.declaration.name)
        return owner.declaration, case
    known = tuple(case.name for case in owner.declaration.cases)
    near = body.context.nearest(node.name.text, known)
    body.context.report(problems.unknown_case(owner.name, node.name.text, node.name.span, near, known))
    return ()


def _enum(body: Body, node: syntax.Expr) -> EnumSymbol | None:
    match node:
        case syntax.Name():
            local = body.locals.get(node.text)
            if local is not None and local.visible:
                return None
            symbol = body.context.names.get(node.text) or body.context.language.get(node.text)
        case syntax.Access(target=syntax.Name(text=name)):
            module = body.context.names.get(name)
            local = body.locals.get(name)
            if (local is not None and local.visible) or not isinstance(module, ModuleSymbol):
                return None
            symbol = None if module.interface is None else module.interface.names.get(node.name.text)
            if isinstance(symbol, EnumSymbol):
                module.used = True
                body.context.note(node.target.span, module)
        case _:
            return None
    if not isinstance(symbol, EnumSymbol):
        return None
    symbol.used = True
    body.context.note(node.name.span if isinstance(node, syntax.Access) else node.span, symbol)
    return symbol


def case_of(declared: EnumDeclaration, name: str) -> EnumCase | None:
    return next((case for case in declared.cases if case.name == name), None)


def _use(body: Body, declared: EnumDeclaration) -> None:
    """A case is a use of its enum, which may be an import."""
    symbol = body.context.names.get(declared.name.rsplit(".", 1)[-1])
    if isinstance(symbol, EnumSymbol) and symbol.type.name == declared.name:
        symbol.used = True


# --- building --------------------------------------------------------------------------------------------------------


def bare_case(body: Body, found: Found | tuple[()], span: Span) -> program.Expression:
    """A case that is not called: it holds nothing, or what it holds is missing."""
    if not found:
        return nothing(span)
    known = _complete(body, found, span)
    if known is None:
        return nothing(span, EnumType(found[0].name))
    owner, case = known
    if any(part.default is None for part in case.payload):
        names = tuple(part.name for part in case.payload)
        hint = f"write `{case.name}({', '.join(f'{name}: …' for name in names)})`"
        declared = Related(case.span, "declared here")
        body.context.report(problems.missing_argument(case.name, names, span, (declared,), hint))
        return nothing(span, EnumType(owner.name))
    payload = tuple(program.Argument(p.name, p.default) for p in case.payload if p.default is not None)
    return _build(owner, case, payload, span)


def called_case(body: Body, found: Found, given: Given, span: Span) -> program.Expression:
    known = _complete(body, found, span)
    if known is None:
        return look_inside(body, given, span)
    owner, case = known
    return _build(owner, case, bind_arguments(body, case.name, case.payload, given, span, case.span), span)


def _complete(body: Body, found: Found, span: Span) -> Found | None:
    """The case with the defaults of what it holds; None after a report."""
    owner, case = found
    if not body.context.waiting and not body.context.completing:
        return found
    if not body.context.complete(owner.name, span):
        return None
    owner = body.context.enums.get(owner.name, owner)
    return owner, case_of(owner, case.name) or case


def _build(
    owner: EnumDeclaration, case: EnumCase, payload: tuple[program.Argument, ...], span: Span
) -> program.Expression:
    return program.BuildCase(
        type=EnumType(owner.name),
        span=span,
        labels=labels_of(payload),
        enum=owner.name,
        case=case.name,
        payload=payload,
    )
