"""Calls: of stages, tools, methods of handles and pipelines, and the building of records."""

from __future__ import annotations

from ...base.problems import Related
from ...base.source import Span
from .. import problems, program, syntax
from ..program import NO_LABELS, StageSignature
from ..types import HandleType, OptionType, StreamType, Type
from .arguments import Given, bind_arguments, labels_of, look_inside
from .body import Body, nothing
from .builtins import CALLS, check_builtin
from .cases import called_case, named_case, qualified_case
from .context import BUILTINS
from .conversions import collected, is_unknown
from .generics import Variables, accepts, instance
from .judging import ENTRY as JUDGED
from .judging import judged
from .labels import ends_labels
from .names import unknown_local
from .ranges import check_ranges
from .symbols import (
    EnumSymbol,
    HandleSymbol,
    Interface,
    ModuleSymbol,
    PipelineSymbol,
    RecordSymbol,
    StageSymbol,
    Symbol,
    ToolSymbol,
    UncheckedSymbol,
)

__all__ = ["Given", "bind_arguments", "check_call", "first_stage", "labels_of", "module_of", "stage_call"]


def check_call(
    body: Body, node: syntax.Call, piped: syntax.Expr | None, expected: Type | None = None
) -> program.Expression:
    """A call, with `piped` as its first argument where one is given. The span covers both."""
    given = Given(node, piped)
    span = piped.span.to(node.span) if piped is not None else node.span
    function = node.function
    match function:
        case syntax.Name():
            return _by_name(body, function, given, span, expected)
        case syntax.Access():
            return _by_access(body, function, given, span)
        case _:
            found = body.value(function)
            if not is_unknown(found.type):
                body.context.report(
                    problems.not_callable(f"a value of type {found.type}", function.span, "call a stage or a pipeline")
                )
            return look_inside(body, given, span)


def module_of(body: Body, target: syntax.Expr) -> ModuleSymbol | None:
    """The module that `target` names, if it does."""
    if not isinstance(target, syntax.Name):
        return None
    local = body.locals.get(target.text)
    if local is not None and local.visible:
        return None
    symbol = body.context.names.get(target.text)
    if isinstance(symbol, ModuleSymbol):
        symbol.used = True
        body.context.note(target.span, symbol)
        return symbol
    return None


# --- who is called ---------------------------------------------------------------------------------------------------


def _by_name(body: Body, function: syntax.Name, given: Given, span: Span, expected: Type | None) -> program.Expression:
    name = function.text
    local = body.locals.get(name)
    if local is not None and local.visible:
        local.used = True
        body.context.note(function.span, local)
        if not is_unknown(local.type):
            hint = "call a stage or a pipeline; a value has fields, and a handle has methods"
            related = (Related(local.span, f"`{name}` is {local.type}"),)
            what = f"`{name}`, a {local.kind} of type {local.type},"
            body.context.report(problems.not_callable(what, function.span, hint, related))
        return look_inside(body, given, span)
    case = named_case(body, name, function.span, expected)
    if case is not None:
        return called_case(body, case, given, span) if case else look_inside(body, given, span)
    symbol = body.context.use(name)
    if symbol is not None:
        body.context.note(function.span, symbol)
        return _symbol(body, symbol, name, function.span, given, span)
    if name in CALLS:
        return check_builtin(body, name, given, span, expected)
    if name == "some":
        hint = "a value may stand where an optional one is wanted as it is; leave `some` out"
        body.context.report(problems.not_callable("`some`, an arm of `match`,", function.span, hint))
    elif name in BUILTINS:
        hint = "it stands in fleets only" if name in ("catalog", "endpoint") else "it stands behind tools and stages"
        body.context.report(problems.not_a_value(name, "part of the language", span, hint))
    else:
        unknown_local(body, name, function.span)
    return look_inside(body, given, span)


def _symbol(body: Body, symbol: Symbol, name: str, at: Span, given: Given, span: Span) -> program.Expression:
    match symbol:
        case PipelineSymbol():
            return _pipeline(body, symbol, name, given, span)
        case StageSymbol():
            return overloaded(body, symbol.signatures, name, None, given, span)
        case ToolSymbol():
            if symbol.signature is None:
                return look_inside(body, given, span)
            return stage_call(body, symbol.signature, name, _server(body, symbol.signature, at), given, span)
        case RecordSymbol():
            return _record(body, symbol, name, given, span)
        case UncheckedSymbol():
            return look_inside(body, given, span)
        case ModuleSymbol():
            if symbol.interface is None:
                return look_inside(body, given, span)
            hint = f"call one of its stages, as in `{name}.{first_stage(symbol.interface)}(…)`"
        case HandleSymbol():
            hint = f"call one of its methods, as in `{name}.{_first_method(body, symbol.type)}(…)`"
        case EnumSymbol():
            example = symbol.declaration.cases[0].name if symbol.declaration.cases else "CASE"
            hint = f"name one of its cases, as in `{name}.{example}`"
        case _:
            hint = "call a stage or a pipeline"
    body.context.report(problems.not_callable(f"`{name}`, {symbol.what},", at, hint))
    return look_inside(body, given, span)


def _server(body: Body, signature: StageSignature, at: Span) -> program.Expression | None:
    """The server of a tool of one: its first argument."""
    if signature.server is None:
        return None
    body.context.use(signature.server.split(".")[0])
    return program.HandleReference(type=signature.parameters[0].type, span=at, name=signature.server)


def first_stage(interface: Interface) -> str:
    """An example of what a module offers."""
    return next((name for name, symbol in interface.names.items() if isinstance(symbol, StageSymbol)), "NAME")


def _first_method(body: Body, type: Type) -> str:
    methods = body.context.methods.get(type.name, {}) if isinstance(type, HandleType) else {}
    return next(iter(methods), "name")


def _by_access(body: Body, function: syntax.Access, given: Given, span: Span) -> program.Expression:
    name = function.name.text
    case = qualified_case(body, function)
    if case is not None:
        return called_case(body, case, given, span) if case else look_inside(body, given, span)
    module = module_of(body, function.target)
    if module is not None:
        if module.interface is None:
            return look_inside(body, given, span)
        member = module.interface.names.get(name)
        if member is not None:
            body.context.note(function.name.span, member)
            return _symbol(body, member, f"{module.name}.{name}", function.span, given, span)
        known = tuple(n for n, s in module.interface.names.items() if not isinstance(s, ModuleSymbol))
        suggestion = body.context.nearest(name, known)
        body.context.report(problems.unknown_member(module.name, "stage", name, function.name.span, suggestion, known))
        return look_inside(body, given, span)
    receiver = body.value(function.target)
    if is_unknown(receiver.type):
        return look_inside(body, given, span)
    if isinstance(receiver.type, HandleType):
        methods = body.context.methods.get(receiver.type.name, {})
        signatures = methods.get(name)
        if signatures is not None:
            called = f"{_spelt(function.target)}.{name}"
            found = overloaded(body, signatures, called, receiver, given, span)
            chosen = found.stage if isinstance(found, program.StageCall) else signatures[0]
            body.context.note(function.name.span, chosen, receiver.type.name)
            return judged(body, found) if isinstance(found, program.StageCall) and chosen.entry == JUDGED else found
        suggestion = body.context.nearest(name, methods)
        owner = str(receiver.type)
        body.context.report(
            problems.unknown_member(owner, "method", name, function.name.span, suggestion, tuple(methods))
        )
        return look_inside(body, given, span)
    _no_method(body, function, receiver, given, span)
    return look_inside(body, given, span)


def _no_method(body: Body, function: syntax.Access, receiver: program.Expression, given: Given, span: Span) -> None:
    """A method of a value, which has none."""
    from .foreign_methods import instead_of_method

    name = function.name.text
    values = given.positional if given.piped is None else ()
    found = instead_of_method(body.context, function.target, receiver.type, name, values, span)
    if found is not None and (given.named or given.piped is not None):
        found = found[0], None
    modules = list(body.context.modules_with(name))
    for _, symbol in modules:
        symbol.used = True
    hint, fix = found or ("only handles have methods", None)
    if found is None and modules:
        hint += f"; write `{modules[0][0]}.{name}(…)`"
    what = f"`.{name}` of a {receiver.type}"
    body.context.report(problems.not_callable(what, function.name.span, hint, body.origin(receiver), fix))


def _spelt(node: syntax.Expr) -> str:
    return node.text if isinstance(node, syntax.Name) else "…"


# --- what a call gives -----------------------------------------------------------------------------------------------


def overloaded(
    body: Body,
    signatures: tuple[StageSignature, ...],
    called: str,
    receiver: program.Expression | None,
    given: Given,
    span: Span,
) -> program.Expression:
    """A call of a stage that may have several signatures, told apart by the type of the first argument."""
    chosen = signatures[0]
    if len(signatures) > 1:
        chosen = _choose(body, signatures, called, 0 if receiver is None else 1, given)
    return stage_call(body, chosen, called, receiver, given, span)


def _choose(body: Body, signatures: tuple[StageSignature, ...], called: str, skip: int, given: Given) -> StageSignature:
    """The signature whose first parameter takes the first argument. Where none does, that is reported, unless it is
    one away (a stream of what is taken, an optional one), which is said when it is made to fit."""
    named = {name.text: value for name, value in given.named}
    firsts = [(signature, signature.parameters[skip]) for signature in signatures if len(signature.parameters) > skip]
    for away in (False, True):
        for signature, first in firsts:
            value = given.positional[0] if given.positional else named.get(first.name)
            if value is None:
                continue
            type = given.early(body, value).type
            if away and isinstance(type, StreamType):
                type = collected(type)
            elif away and isinstance(type, OptionType):
                type = type.element
            if accepts(first, type):
                return signature
    value = given.positional[0] if given.positional else next((v for _, p in firsts if (v := named.get(p.name))), None)
    if value is not None:
        found = given.early(body, value)
        wanted = " or ".join(dict.fromkeys(str(first.type) for _, first in firsts))
        first = firsts[0][1]
        related = (Related(first.span, "declared here"), *body.origin(found))
        what = f"argument `{first.name}` of `{called}`"
        body.context.report(problems.wrong_type(what, wanted, str(found.type), found.span, related))
        given.checked[id(value)] = nothing(found.span)
    return signatures[0]


def stage_call(
    body: Body, stage: StageSignature, called: str, receiver: program.Expression | None, given: Given, span: Span
) -> program.Expression:
    """A stage or tool inside a pipeline; `receiver` is the handle of a method or the server of a tool."""
    parameters = stage.parameters if receiver is None else stage.parameters[1:]
    variables: Variables = {}
    arguments = bind_arguments(body, called, parameters, given, span, variables=variables)
    if isinstance(stage.result, HandleType):
        body.context.report(problems.handle_not_declared(called, stage.result, span))
        return nothing(span)
    if receiver is not None:
        arguments = (program.Argument(stage.parameters[0].name, receiver), *arguments)
    stage = instance(stage, variables)
    labels = NO_LABELS if ends_labels(stage) else labels_of(arguments)
    call = program.StageCall(
        type=stage.result, span=span, labels=labels | stage.result_labels, stage=stage, arguments=arguments
    )
    check_ranges(body.context, call)
    return call


def _pipeline(body: Body, symbol: PipelineSymbol, name: str, given: Given, span: Span) -> program.Expression:
    arguments = bind_arguments(body, name, symbol.parameters, given, span, symbol.span)
    flowing = [a for a in arguments if symbol.flows is None or a.name in symbol.flows]
    labels = labels_of(flowing) | symbol.labels | symbol.result_labels
    called = symbol.qualified
    return program.PipelineCall(type=symbol.result, span=span, labels=labels, pipeline=called, arguments=arguments)


def _record(body: Body, symbol: RecordSymbol, name: str, given: Given, span: Span) -> program.Expression:
    if not body.context.complete(symbol.type.name, span):
        return look_inside(body, given, span)
    record = body.context.records[symbol.type.name]
    fields = bind_arguments(body, name, record.fields, given, span, symbol.span)
    return program.BuildRecord(type=symbol.type, span=span, labels=labels_of(fields), record=record.name, fields=fields)
