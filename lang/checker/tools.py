"""Tools, and the stages that a program declares: what stands behind them, with what settings.

What stands behind a tool is a call that is not made here: `python("shop:order")`, a stage such as `http.get` that
gives a request, or a declared server. Its texts may hold the tool's parameters; they leave as settings, in which a
text of the program can be told from a value, and a secret is a name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from ...base import units
from ...base.problems import Edit, Fix
from ...base.source import Span
from ...base.suggest import suggest
from .. import problems, program, syntax
from ..program import NO_LABELS, Parameter, Setting, StageSignature, plain
from ..types import TEXT, Primitive, StreamType, Type
from .arguments import Given, bind_arguments
from .body import Body
from .calls import module_of
from .constants import fold, outside
from .context import Context
from .conversions import is_unknown
from .figures import quantity
from .folding import text_of as constant_text
from .secrets import only_text, secret_name
from .signatures import parameters_of, text_of
from .symbols import HandleSymbol, Local, ModuleSymbol, StageSymbol, Symbol, ToolSymbol, UncheckedSymbol
from .tool_effects import check_effects, require
from .written import is_data, resolve

_TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
# What a tool may stand on beside Python and servers, and the effect that it surely has.
_BEHIND = {"http:get": "network", "http:post": "network", "process:run": "process"}
# Parameters of those that take a secret, or a map whose values may be secrets.
_TAKES_SECRETS = ("url", "key", "headers")
_NEEDS = {"cpu": (units.DURATION, "2 ms"), "memory": (units.BYTESIZE, "10 MiB")}
_SECRET_TYPE = Primitive("Secret")


class _Behind:
    """What stands behind a tool or stage."""

    __slots__ = ("behind", "entry", "server", "settings", "type")

    def __init__(
        self, behind: str, entry: str, settings: Mapping[str, Setting], server: str | None = None, type: Type = TEXT
    ) -> None:
        self.behind = behind
        self.entry = entry
        self.settings = settings
        self.server = server
        self.type = type


def declare_tool(context: Context, symbol: ToolSymbol, node: syntax.ToolDecl) -> None:
    """Give a tool its signature, unless nothing could be known of what stands behind it."""
    owner = f"tool `{node.name.text}`"
    parameters, result, labels = _data_signature(context, node, owner)
    effects = check_effects(context, node)
    behind = _behind(context, node.implementation, owner, parameters)
    word = node.idempotent_by
    if word is not None and (by := next((p for p in parameters if p.name == word.text), None)) is not None:
        context.note(word.span, by, node.name.text)
    elif word is not None:
        known = tuple(parameter.name for parameter in parameters)
        near = suggest(word.text, known)
        hint = "name the parameter that tells one call from another"
        context.report(problems.unknown_name(word.text, word.span, near, what=f"no parameter of {owner}", hint=hint))
    if behind is None:
        return
    if behind.entry in _BEHIND:
        require(context, node, _BEHIND[behind.entry], behind.behind)
    if any(effect.kind == "network" for effect in effects):
        # Whoever answers there is a stranger.
        labels |= {"untrusted"}
    if behind.server is not None:
        parameters = (Parameter("self", behind.type, node.implementation.span), *parameters)
    symbol.signature = StageSignature(
        symbol.qualified,
        parameters,
        result,
        behind.behind,
        behind.entry,
        node.name.span,
        labels,
        keyword="tool",
        settings=behind.settings,
        effects=effects,
        idempotent_by=node.idempotent_by.text if node.idempotent_by is not None else None,
        server=behind.server,
        doc=text_of(node.doc),
    )


def declare_program_stage(context: Context, symbol: StageSymbol, node: syntax.StageDecl) -> None:
    """A stage of a program: Python of its own, without effects."""
    owner = f"stage `{symbol.name}`"
    parameters, result, labels = _data_signature(context, node, owner)
    needs = _needs(context, node)
    target = None
    if isinstance(node.implementation, syntax.Call) and _is_python(node.implementation):
        target = _python(context, node.implementation)
    else:
        context.report(problems.bad_implementation(owner, node.implementation.span, stage=True))
    settings: dict[str, Setting] = {"target": target or ""}
    if "memory" in needs:
        settings["memory"] = needs["memory"].value
    signature = StageSignature(symbol.qualified, parameters, result, "python", "python:call", node.name.span, labels)
    symbol.signatures = (replace(signature, settings=settings, needs=needs, doc=text_of(node.doc)),)


def _data_signature(
    context: Context, node: syntax.ToolDecl | syntax.StageDecl, owner: str
) -> tuple[tuple[Parameter, ...], Type, program.Labels]:
    """What crosses into another process: data alone."""
    parameters = parameters_of(context, node.parameters, "parameter", owner.split("`")[1])
    hint = "give and take data: texts, numbers, quantities, records, enums, and lists, maps and options of them"
    for parameter in parameters:
        if not is_data(parameter.type) and not is_unknown(parameter.type):
            title = f"parameter `{parameter.name}` of {owner} cannot be {_article(parameter.type)}"
            context.report(problems.not_data(title, parameter.span, hint))
    result, labels = resolve(context, node.result)
    # A generator in Python gives a stream; programs, addresses and servers answer once.
    given = result.element if isinstance(result, StreamType) and _is_python(node.implementation) else result
    if not is_data(given) and not is_unknown(given):
        context.report(problems.not_data(f"{owner} cannot give {_article(result)}", node.result.span, hint))
    return parameters, result, labels


def _is_python(node: syntax.Expr) -> bool:
    return isinstance(node, syntax.Call) and node.function == _PYTHON


def _article(type: Type) -> str:
    return f"{'an' if str(type)[0] in 'AEIOU' else 'a'} {type}"


# --- what stands behind ----------------------------------------------------------------------------------------------

_NOWHERE = Span("", 0, 0, 1, 1, 1, 1)
_PYTHON = syntax.Name("python", span=_NOWHERE)


def _behind(context: Context, node: syntax.Expr, owner: str, parameters: tuple[Parameter, ...]) -> _Behind | None:
    if isinstance(node, syntax.Call):
        function = node.function
        if function == _PYTHON:
            target = _python(context, node)
            return _Behind("python", "python:call", {"target": target or ""})
        found, called = _callee(context, function)
        match found:
            case UncheckedSymbol():
                return None
            case ModuleSymbol():
                return None  # a module that could not be had, or that has no such member: reported
            case HandleSymbol() if found.keyword == "server":
                tool = only_text(context, node, f"`{found.name}`")
                settings: dict[str, Setting] = {"tool": tool or ""}
                return _Behind(called, "mcp:call", settings, found.qualified, found.type)
            case StageSymbol() if found.signature.entry in _BEHIND:
                settings = _settings(context, node, called, found.signature, parameters)
                return _Behind(called, found.signature.entry, settings)
            case None if isinstance(function, syntax.Name) and function.text not in ("builtin", "secret"):
                servers = [n for n, s in context.names.items() if isinstance(s, HandleSymbol) and s.keyword == "server"]
                near = context.nearest(function.text, ("python", *servers))
                what = "nothing that a tool could stand on"
                hint = 'write `python("module:function")`, `http.get(…)`, `process.run([…])`, or declare a `server`'
                context.report(problems.unknown_name(function.text, function.span, near, what=what, hint=hint))
                return None
            case _:
                pass
    context.report(problems.bad_implementation(owner, node.span))
    return None


def _callee(context: Context, function: syntax.Expr) -> tuple[Symbol | None, str]:
    """What is called, and how it is written."""
    if isinstance(function, syntax.Name):
        found = context.use(function.text)
        if found is not None:
            context.note(function.span, found)
        return found, function.text
    if isinstance(function, syntax.Access):
        module = module_of(outside(context), function.target)
        name = function.name
        if module is not None:
            called = f"{module.name}.{name.text}"
            if module.interface is None:
                return module, called
            found = module.interface.names.get(name.text)
            if found is None:
                known = tuple(n for n, s in module.interface.names.items() if isinstance(s, StageSymbol))
                near = context.nearest(name.text, known)
                context.report(problems.unknown_member(module.name, "stage", name.text, name.span, near, known))
                return module, called
            context.note(name.span, found)
            return found, called
        target = function.target
        if isinstance(target, syntax.Name) and context.names.get(target.text) is None:
            modules = [n for n, s in context.names.items() if isinstance(s, ModuleSymbol)]
            near = context.nearest(target.text, modules)
            hint, fix = _importable(context, target) if near is None else (None, None)
            what = "no imported module"
            context.report(problems.unknown_name(target.text, target.span, near, what=what, hint=hint, fix=fix))
            return ModuleSymbol(target.text, target.span, None), target.text
    return None, ""


def _importable(context: Context, name: syntax.Name) -> tuple[str, Fix | None]:
    if context.library(f"std/{name.text}") is None:
        return "import it with `use`", None
    top = context.source.span(context.top, context.top)
    line = f"use std/{name.text}"
    return f"import it: `{line}`", Fix(f"add `{line}`", (Edit(top, f"{line}\n"),))


def _python(context: Context, call: syntax.Call) -> str | None:
    """The function that `python("module:function")` names."""
    text = only_text(context, call, "`python`")
    if text is None or _TARGET.fullmatch(text):
        return text
    value = call.arguments[0].value
    context.report(problems.bad_target(text, value.span))
    return None


def _needs(context: Context, node: syntax.StageDecl) -> dict[str, units.Quantity]:
    found: dict[str, units.Quantity] = {}
    first: dict[str, Span] = {}
    for need in node.needs:
        kind = need.kind
        if kind.text not in _NEEDS:
            near = suggest(kind.text, _NEEDS)
            hint = "a stage needs `cpu` (time) and `memory`"
            context.report(problems.unknown_name(kind.text, kind.span, near, what="nothing a stage needs", hint=hint))
            continue
        if kind.text in first:
            hint = "keep the one that is meant"
            context.report(problems.bound_twice(kind.text, kind.span, first[kind.text], "stated", hint))
            continue
        first[kind.text] = kind.span
        amount = quantity(context, need.amount)
        dimension, example = _NEEDS[kind.text]
        if amount is not None and amount.dimension != dimension:
            title = f"`{kind.text}` is measured in {dimension}, but this is {amount.dimension}"
            context.report(problems.unit_mismatch(title, need.amount.span, f"write it as in `{kind.text} {example}`"))
        elif amount is not None:
            found[kind.text] = amount
    return found


# --- settings --------------------------------------------------------------------------------------------------------


def _settings(
    context: Context, call: syntax.Call, called: str, stage: StageSignature, parameters: tuple[Parameter, ...]
) -> dict[str, Setting]:
    """The arguments of the stage that a tool stands on, as settings; those left out are left out."""
    body = outside(context)
    for parameter in parameters:
        # Straight into the table: parameters of a tool meet no other name of the file.
        local = Local(parameter.name, parameter.span, "parameter", parameter.type, NO_LABELS)
        body.locals[parameter.name] = local
    given = Given(_without_secrets(context, body, call, stage), None)
    found: dict[str, Setting] = {}
    written = {name.text for name, _ in given.named}
    written |= {parameter.name for parameter, _ in zip(stage.parameters, given.positional, strict=False)}
    for argument in bind_arguments(body, called, stage.parameters, given, call.span):
        if argument.name in written:
            found[argument.name] = _setting(context, argument.value)
    return found


def _without_secrets(context: Context, body: Body, call: syntax.Call, stage: StageSignature) -> syntax.Call:
    """The call with each `secret("NAME")` that stands where one may replaced by a name of its own, whose type fits."""
    taking: list[syntax.Argument] = []
    for position, argument in enumerate(call.arguments):
        at = stage.parameters[position].name if position < len(stage.parameters) else ""
        name = argument.name.text if argument.name is not None else at
        value = argument.value
        if name in _TAKES_SECRETS:
            if isinstance(value, syntax.MapLiteral):
                entries = tuple(replace(e, value=_stand_in(context, body, e.value, TEXT)) for e in value.entries)
                value = replace(value, entries=entries)
            else:
                value = _stand_in(context, body, value, _SECRET_TYPE if name == "key" else TEXT)
        taking.append(replace(argument, value=value))
    return replace(call, arguments=tuple(taking))


def _stand_in(context: Context, body: Body, node: syntax.Expr, type: Type) -> syntax.Expr:
    name = secret_name(context, node)
    if name is None and type == _SECRET_TYPE and isinstance(node, syntax.Template):
        hint = 'write `secret("NAME")`: the key itself is read where it is used'
        context.report(problems.bad_secret("a key would stand in the program", node.span, hint))
        name = ""
    if name is None:
        return node
    # No program can write this name.
    inner = f"secret {name}"
    body.locals[inner] = Local(inner, node.span, "secret", type, NO_LABELS)
    return syntax.Name(inner, span=node.span)


def _setting(context: Context, found: program.Expression) -> Setting:
    """A typed argument as plain data."""
    match found:
        case program.Convert():
            return _setting(context, found.value)
        case program.Reference():
            return _hole(found) if found.name.startswith("secret ") else {"parts": (_hole(found),)}
        case program.Template():
            return {"parts": tuple(_part(context, part) for part in found.parts)}
        case program.ListOf():
            return tuple(_setting(context, item) for item in found.items)
        case program.TableOf():
            return {entry.name: _setting(context, entry.value) for entry in found.entries}
        case _:
            literal = fold(context, found, "what stands behind a tool")
            return plain(literal.value) if literal is not None else None


def _part(context: Context, part: str | program.Expression) -> Setting:
    """A part of a text: what the program says, or a parameter (as Json or not, its text form is the same)."""
    while isinstance(part, program.Convert):
        part = part.value
    if isinstance(part, str):
        return part
    if isinstance(part, program.Reference):
        return _hole(part)
    if isinstance(part, program.Literal):
        return constant_text(part.value, part.type)
    if not is_unknown(part.type):
        context.report(problems.tool_hole(part.span))
    return ""


def _hole(found: program.Reference) -> Setting:
    word, _, name = found.name.partition(" ")
    return {"secret": name} if word == "secret" and name else {"argument": found.name}
