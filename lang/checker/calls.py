"""Calls: of stages, methods of handles, pipelines, and the building of records; the arguments of all of them.

Arguments leave here complete and in the declared order, so that no later layer knows of defaults or of names.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...base.problems import Related
from ...base.source import Span
from .. import problems, program, syntax
from ..program import NO_LABELS, Labels, Parameter, StageSignature
from ..types import INT, TEXT, HandleType, ListType, StreamType, Type
from .body import Body, collected, is_unknown, nothing
from .context import BUILTINS, CALLABLE_BUILTINS
from .labels import ends_labels
from .names import unknown_local
from .symbols import (
    HandleSymbol,
    Interface,
    ModuleSymbol,
    PipelineSymbol,
    RecordSymbol,
    StageSymbol,
    Symbol,
    UncheckedSymbol,
)


class Given:
    """The arguments of one call as they are written; `piped` is what stands before `|>`."""

    __slots__ = ("named", "piped", "positional", "span")

    def __init__(self, call: syntax.Call, piped: syntax.Expr | None) -> None:
        self.span = call.span
        self.piped = piped
        positional = [argument.value for argument in call.arguments if argument.name is None]
        self.positional: list[syntax.Expr] = positional if piped is None else [piped, *positional]
        self.named: list[tuple[syntax.Ident, syntax.Expr]] = [
            (argument.name, argument.value) for argument in call.arguments if argument.name is not None
        ]

    @property
    def values(self) -> list[syntax.Expr]:
        return [*self.positional, *(value for _, value in self.named)]


def check_call(body: Body, node: syntax.Call, piped: syntax.Expr | None) -> program.Expression:
    """A call, with `piped` as its first argument where one is given. The span covers both."""
    given = Given(node, piped)
    span = piped.span.to(node.span) if piped is not None else node.span
    function = node.function
    match function:
        case syntax.Name():
            return _by_name(body, function, given, span)
        case syntax.Access():
            return _by_access(body, function, given, span)
        case _:
            found = body.value(function)
            if not is_unknown(found.type):
                body.context.report(
                    problems.not_callable(f"a value of type {found.type}", function.span, "call a stage or a pipeline")
                )
            return _look_inside(body, given, span)


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
        return symbol
    return None


# --- who is called ---------------------------------------------------------------------------------------------------


def _by_name(body: Body, function: syntax.Name, given: Given, span: Span) -> program.Expression:
    name = function.text
    local = body.locals.get(name)
    if local is not None and local.visible:
        local.used = True
        if not is_unknown(local.type):
            hint = "call a stage or a pipeline; a value has fields, and a handle has methods"
            related = (Related(local.span, f"`{name}` is {local.type}"),)
            what = f"`{name}`, a {local.kind} of type {local.type},"
            body.context.report(problems.not_callable(what, function.span, hint, related))
        return _look_inside(body, given, span)
    symbol = body.context.use(name)
    if symbol is None:
        if name in CALLABLE_BUILTINS:
            return _builtin(body, name, given, span)
        if name in BUILTINS and name != "catalog":
            body.context.refuse(name, span)
        elif name == "catalog":
            body.context.report(problems.not_a_value(name, "part of the language", span, "it stands in fleets only"))
        else:
            unknown_local(body, name, function.span)
        return _look_inside(body, given, span)
    return _symbol(body, symbol, name, function.span, given, span)


def _symbol(body: Body, symbol: Symbol, name: str, at: Span, given: Given, span: Span) -> program.Expression:
    match symbol:
        case PipelineSymbol():
            return _pipeline(body, symbol, given, span)
        case StageSymbol():
            return stage_call(body, symbol.signature, name, None, given, span)
        case RecordSymbol():
            return _record(body, symbol, name, given, span)
        case UncheckedSymbol():
            return _look_inside(body, given, span)
        case ModuleSymbol():
            if symbol.interface is None:
                return _look_inside(body, given, span)
            hint = f"call one of its stages, as in `{name}.{first_stage(symbol.interface)}(…)`"
        case HandleSymbol():
            hint = f"call one of its methods, as in `{name}.{_first_method(body, symbol.type)}(…)`"
        case _:
            hint = "call a stage or a pipeline"
    body.context.report(problems.not_callable(f"`{name}`, {symbol.what},", at, hint))
    return _look_inside(body, given, span)


def first_stage(interface: Interface) -> str:
    """An example of what a module offers."""
    return next((name for name, symbol in interface.names.items() if isinstance(symbol, StageSymbol)), "NAME")


def _first_method(body: Body, type: Type) -> str:
    methods = body.context.methods.get(type.name, {}) if isinstance(type, HandleType) else {}
    return next(iter(methods), "name")


def _by_access(body: Body, function: syntax.Access, given: Given, span: Span) -> program.Expression:
    name = function.name.text
    module = module_of(body, function.target)
    if module is not None:
        if module.interface is None:
            return _look_inside(body, given, span)
        member = module.interface.names.get(name)
        if member is not None:
            return _symbol(body, member, f"{module.name}.{name}", function.span, given, span)
        known = tuple(n for n, s in module.interface.names.items() if isinstance(s, StageSymbol | RecordSymbol))
        suggestion = body.context.nearest(name, known)
        body.context.report(problems.unknown_member(module.name, "stage", name, function.name.span, suggestion, known))
        return _look_inside(body, given, span)
    receiver = body.value(function.target)
    if is_unknown(receiver.type):
        return _look_inside(body, given, span)
    if isinstance(receiver.type, HandleType):
        methods = body.context.methods.get(receiver.type.name, {})
        signatures = methods.get(name)
        if signatures is not None:
            called = f"{_spelt(function.target)}.{name}"
            return stage_call(body, signatures[0], called, receiver, given, span)
        suggestion = body.context.nearest(name, methods)
        owner = str(receiver.type)
        body.context.report(
            problems.unknown_member(owner, "method", name, function.name.span, suggestion, tuple(methods))
        )
        return _look_inside(body, given, span)
    owner = str(receiver.type)
    modules = [module for module, _ in body.context.modules_with(name)]
    hint = f"only handles have methods; write `{modules[0]}.{name}(…)`" if modules else "only handles have methods"
    for _, symbol in body.context.modules_with(name):
        symbol.used = True
    body.context.report(
        problems.not_callable(f"`.{name}` of a {owner}", function.name.span, hint, body.origin(receiver))
    )
    return _look_inside(body, given, span)


def _spelt(node: syntax.Expr) -> str:
    return node.text if isinstance(node, syntax.Name) else "…"


def _look_inside(body: Body, given: Given, span: Span) -> program.Expression:
    """Check the arguments of a call that nothing is known of, for their own faults."""
    for value in given.values:
        body.value(value, ListType(nothing(span).type) if isinstance(value, syntax.ListLiteral) else None)
    return nothing(span)


# --- what a call gives -----------------------------------------------------------------------------------------------


def stage_call(
    body: Body, stage: StageSignature, called: str, receiver: program.Expression | None, given: Given, span: Span
) -> program.Expression:
    """A stage inside a pipeline; `receiver` is the handle of a method."""
    parameters = stage.parameters if receiver is None else stage.parameters[1:]
    arguments = bind_arguments(body, called, parameters, given, span)
    if isinstance(stage.result, HandleType):
        body.context.report(problems.handle_not_declared(called, stage.result, span))
        return nothing(span)
    if receiver is not None:
        arguments = (program.Argument(stage.parameters[0].name, receiver), *arguments)
    labels = NO_LABELS if ends_labels(stage) else labels_of(arguments)
    return program.StageCall(
        type=stage.result, span=span, labels=labels | stage.result_labels, stage=stage, arguments=arguments
    )


def _pipeline(body: Body, symbol: PipelineSymbol, given: Given, span: Span) -> program.Expression:
    arguments = bind_arguments(body, symbol.name, symbol.parameters, given, span, symbol.span)
    flowing = [a for a in arguments if symbol.flows is None or a.name in symbol.flows]
    labels = labels_of(flowing) | symbol.labels | symbol.result_labels
    return program.PipelineCall(type=symbol.result, span=span, labels=labels, pipeline=symbol.name, arguments=arguments)


def _record(body: Body, symbol: RecordSymbol, name: str, given: Given, span: Span) -> program.Expression:
    record = body.context.records[symbol.type.name]
    fields = bind_arguments(body, name, record.fields, given, span, symbol.span)
    return program.BuildRecord(type=symbol.type, span=span, labels=labels_of(fields), record=record.name, fields=fields)


def _builtin(body: Body, name: str, given: Given, span: Span) -> program.Expression:
    for argument, value in given.named:
        body.context.report(problems.unknown_argument(name, argument.text, argument.span, None, ("one value",)))
        body.value(value)
    if len(given.positional) != 1:
        for value in given.positional:
            body.value(value)
        if given.positional:
            extra = given.positional[1].span.to(given.positional[-1].span)
            body.context.report(problems.too_many_arguments(name, 1, len(given.positional), extra, ("one value",)))
        elif not given.named:
            wanted, example = ("stream", "reply") if name == "all" else ("list", "items")
            hint = f"write `{name}({example})`"
            body.context.report(problems.missing_argument(name, (wanted,), span, (), hint))
        return nothing(span)
    inside = body.value(given.positional[0])
    if is_unknown(inside.type):
        return nothing(span, INT if name == "len" else nothing(span).type)
    what = f"what `{name}` takes"
    if name == "len":
        inside = body.settled(inside, what)
        if not isinstance(inside.type, ListType) and inside.type != TEXT and not is_unknown(inside.type):
            body.context.report(
                problems.wrong_type(what, "a list or a Text", str(inside.type), inside.span, body.origin(inside))
            )
        return program.Length(type=INT, span=span, labels=inside.labels, of=inside)
    if not isinstance(inside.type, StreamType):
        hint = "it is a value already; leave `all` out"
        body.context.report(
            problems.wrong_type(what, "a stream", str(inside.type), inside.span, body.origin(inside), hint)
        )
        return nothing(span, inside.type)
    return program.Collect(type=collected(inside.type), span=span, labels=inside.labels, stream=inside)


# --- arguments -------------------------------------------------------------------------------------------------------


def labels_of(arguments: Sequence[program.Argument]) -> Labels:
    return NO_LABELS.union(*(argument.value.labels for argument in arguments))


def bind_arguments(
    body: Body,
    called: str,
    parameters: tuple[Parameter, ...],
    given: Given,
    span: Span,
    declared: Span | None = None,
) -> tuple[program.Argument, ...]:
    """The arguments in declared order, defaults filled in. What is wrong is reported and stands as unknown."""
    known = tuple(parameter.name for parameter in parameters)
    written: dict[str, syntax.Expr] = {}
    at: dict[str, Span] = {}
    for name, value in zip(known, given.positional, strict=False):
        written[name], at[name] = value, value.span
    extra = given.positional[len(parameters) :]
    for value in extra:
        body.value(value)
    if extra:
        place = extra[0].span.to(extra[-1].span)
        body.context.report(problems.too_many_arguments(called, len(parameters), len(given.positional), place, known))
    misspelt: set[str] = set()
    for name, value in given.named:
        if name.text not in known:
            suggestion = body.context.nearest(name.text, [n for n in known if n not in written])
            if suggestion:
                misspelt.add(suggestion)
            body.context.report(problems.unknown_argument(called, name.text, name.span, suggestion, known))
            body.value(value)
        elif name.text in written:
            body.context.report(problems.argument_twice(called, name.text, name.span, at[name.text]))
            body.value(value)
        else:
            written[name.text], at[name.text] = value, name.span
    missing = tuple(p for p in parameters if p.name not in written and p.default is None and p.name not in misspelt)
    if missing:
        where = Related(declared or missing[0].span, "declared here")
        names = tuple(parameter.name for parameter in missing)
        body.context.report(problems.missing_argument(called, names, span, (where,)))
    arguments: list[program.Argument] = []
    for parameter in parameters:
        value = written.get(parameter.name)
        if value is not None:
            found = _argument(body, called, parameter, value)
        else:
            found = parameter.default or nothing(span, parameter.type)
        arguments.append(program.Argument(parameter.name, found))
    return tuple(arguments)


def _argument(body: Body, called: str, parameter: Parameter, value: syntax.Expr) -> program.Expression:
    what = f"argument `{parameter.name}` of `{called}`"
    declared = (Related(parameter.span, f"`{parameter.name}` is declared here: {parameter.type}"),)
    return body.expect(value, parameter.type, what, declared)
