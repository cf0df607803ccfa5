"""Agents: their entries, read and checked; then the loop that they stand for (`agent_loop.py`) takes their place."""

from __future__ import annotations

from itertools import count

from ...base.source import Span
from ...base.suggest import suggest
from .. import problems, syntax
from ..program import Parameter
from ..types import INT, TEXT, HandleType, StreamType, Type
from .agent_loop import Loop, Usable
from .agent_words import Tool, instructions
from .constants import constant, outside
from .context import BUILTINS, Context
from .conversions import collected, is_unknown
from .figures import whole
from .signatures import text_of
from .symbols import (
    UNKNOWN,
    ConstantSymbol,
    HandleSymbol,
    Local,
    ModuleSymbol,
    PipelineSymbol,
    StageSymbol,
    Symbol,
    ToolSymbol,
    UncheckedSymbol,
)
from .written import is_data

_MODEL = "llm.Model"
# A loop that long is a slip; each step is a call of a model.
_MOST_STEPS = 1000
Declarations = tuple[syntax.EnumDecl | syntax.RecordDecl | syntax.PipelineDecl, ...]


def loop_of(context: Context, symbol: PipelineSymbol, node: syntax.AgentDecl) -> Loop | None:
    """What the agent's loop is made of, or None after a report of what leaves nothing to loop."""
    entries = _entries(context, node)
    model = _model(context, node, entries.get(syntax.AgentModel))
    tools = _tools(context, node, entries.get(syntax.AgentTools))
    steps = _steps(context, node, entries.get(syntax.AgentSteps))
    system = entries.get(syntax.AgentSystem)
    missing = [
        word
        for kind, word in (
            (syntax.AgentModel, "`model NAME`"),
            (syntax.AgentTools, "`tools [NAME]`"),
            (syntax.AgentSteps, "`at most N steps`"),
        )
        if kind not in entries
    ]
    if missing:
        context.report(problems.agent_incomplete(node.name.text, tuple(missing), node.name.span))
    sound = _data(context, symbol, node)
    if model is None or tools is None or steps is None or not sound:
        if isinstance(system, syntax.AgentSystem):
            _look_into(context, symbol, system)
        return None
    taken = {parameter.name.text for parameter in node.parameters}

    def free(wanted: str) -> str:
        names = (wanted if n == 1 else f"{wanted}_{n}" for n in count(1))
        name = next(n for n in names if n not in taken and n not in context.names and n not in BUILTINS)
        taken.add(name)
        return name

    typed = {parameter.name: parameter.type for parameter in symbol.parameters}
    words = {parameter.name.text: parameter.name for parameter in node.parameters}
    return Loop(
        node,
        model,
        tools,
        steps[0],
        steps[1],
        system.text if isinstance(system, syntax.AgentSystem) else None,
        instructions(context, (item.tool for item in tools), symbol.result),
        tuple((words[name], type) for name, type in typed.items()),
        symbol.result,
        context.qualified,
        free,
    )


def _look_into(context: Context, symbol: PipelineSymbol, system: syntax.AgentSystem) -> None:
    """The faults of a system text that becomes part of no loop."""
    body = outside(context)
    for parameter in symbol.parameters:
        body.locals[parameter.name] = Local(
            parameter.name, parameter.span, "parameter", parameter.type, parameter.labels
        )
    body.value(system.text, TEXT)


# --- entries ---------------------------------------------------------------------------------------------------------

_WORDS = {
    syntax.AgentModel: "model",
    syntax.AgentTools: "tools",
    syntax.AgentSteps: "at most",
    syntax.AgentSystem: "system",
}


def _entries(context: Context, node: syntax.AgentDecl) -> dict[type, syntax.AgentEntry]:
    """The entries by their kind; the first of two is kept."""
    found: dict[type, syntax.AgentEntry] = {}
    for entry in node.entries:
        first = found.setdefault(type(entry), entry)
        if first is not entry:
            hint = "keep the one that is meant"
            what = f"said of agent `{node.name.text}`"
            context.report(problems.bound_twice(_WORDS[type(entry)], entry.span, first.span, what, hint))
            context.use_all(entry)
    return found


def _model(context: Context, node: syntax.AgentDecl, entry: syntax.AgentEntry | None) -> syntax.Ident | None:
    if not isinstance(entry, syntax.AgentModel):
        return None
    word = entry.model
    symbol = context.use(word.text)
    if symbol is not None:
        context.note(word.span, symbol)
    chats = HandleType(_MODEL)
    if symbol is None:
        models = [n for n, s in context.names.items() if isinstance(s, HandleSymbol) and s.type == chats]
        near = context.nearest(word.text, models)
        hint = f"the models are {', '.join(f'`{name}`' for name in models)}" if models else "declare one with `model`"
        context.report(problems.unknown_name(word.text, word.span, near, what="no model", hint=hint))
        return None
    if isinstance(symbol, UncheckedSymbol) or (isinstance(symbol, HandleSymbol) and is_unknown(symbol.type)):
        return None
    if isinstance(symbol, HandleSymbol) and symbol.type == chats:
        return word
    is_what = str(symbol.type) if isinstance(symbol, HandleSymbol) else symbol.what
    what = f"the model of agent `{node.name.text}`"
    hint = "name a model that can chat, as in `model writer = llm.chat(…)`"
    context.report(problems.wrong_type(what, f"an {_MODEL}", is_what, word.span, (), hint))
    return None


def _steps(context: Context, node: syntax.AgentDecl, entry: syntax.AgentEntry | None) -> tuple[int, Span] | None:
    if not isinstance(entry, syntax.AgentSteps):
        return None
    written = entry.count
    what = f"the steps of agent `{node.name.text}`"
    if isinstance(written, syntax.Number):
        steps = whole(context, written, what)
    else:
        symbol = context.use(written.text)
        if symbol is not None:
            context.note(written.span, symbol)
        literal = constant(context, symbol) if isinstance(symbol, ConstantSymbol) else None
        if not isinstance(symbol, ConstantSymbol):
            constants = [n for n, s in context.names.items() if isinstance(s, ConstantSymbol)]
            near = context.nearest(written.text, constants)
            context.report(problems.unknown_name(written.text, written.span, near, what="no constant"))
            return None
        if literal is None:
            return None
        if literal.type != INT or not isinstance(literal.value, int):
            context.report(problems.wrong_type(what, "a whole number", str(literal.type), written.span))
            return None
        steps = literal.value
    if steps is None:
        return None
    if 2 <= steps <= _MOST_STEPS:
        return steps, entry.span
    if steps == 1:
        title = "an agent of one step could use no tool: the step is its answer"
        hint = "write `at most 2 steps` or more, or a pipeline with one call of the model"
    else:
        title = f"an agent cannot take {steps} steps"
        hint = f"write a number from 2 to {_MOST_STEPS:_}"
    context.report(problems.bad_bound(title, written.span, hint))
    return None


def _data(context: Context, symbol: PipelineSymbol, node: syntax.AgentDecl) -> bool:
    """What an agent takes goes into messages, what it gives comes out of one: both must be data."""
    owner = f"agent `{node.name.text}`"
    hint = "use texts, numbers, quantities, records, enums, and lists, maps and options of them"
    sound = symbol.result != UNKNOWN
    for parameter in symbol.parameters:
        if not is_data(parameter.type) and not is_unknown(parameter.type):
            title = f"parameter `{parameter.name}` of {owner} cannot be of type {parameter.type}"
            context.report(problems.not_data(title, parameter.span, hint))
            sound = False
        sound = sound and not is_unknown(parameter.type)
    if not is_data(symbol.result) and not is_unknown(symbol.result):
        context.report(
            problems.not_data(f"{owner} cannot give a value of type {symbol.result}", node.result.span, hint)
        )
        sound = False
    return sound and not is_unknown(symbol.result)


# --- tools -----------------------------------------------------------------------------------------------------------


def _tools(context: Context, node: syntax.AgentDecl, entry: syntax.AgentEntry | None) -> tuple[Usable, ...] | None:
    if not isinstance(entry, syntax.AgentTools):
        return None
    found: list[Usable] = []
    first: dict[str, Span] = {}
    cases: set[str] = set()
    sound = True
    for path in entry.tools:
        if path.text in first:
            hint = "name it once"
            what = f"a tool of agent `{node.name.text}`"
            context.report(problems.bound_twice(path.text, path.span, first[path.text], what, hint))
            continue
        first[path.text] = path.span
        name = path.parts[-1].text
        case = name if name not in cases else path.text.replace(".", "_")
        item = _tool(context, node, path, case)
        if item is None:
            sound = False
        else:
            cases.add(case)
            found.append(item)
    if not entry.tools:
        context.report(problems.agent_incomplete(node.name.text, ("a tool",), entry.span))
    return tuple(found) if sound and found else None


def _tool(context: Context, node: syntax.AgentDecl, path: syntax.Path, case: str) -> Usable | None:
    symbol = _lookup(context, path)
    match symbol:
        case ToolSymbol() if symbol.signature is not None:
            signature = symbol.signature
            parameters = signature.parameters[1:] if signature.server is not None else signature.parameters
            return _callable(context, path, case, parameters, signature.result, signature.doc)
        case PipelineSymbol():
            doc = text_of(symbol.declaration.doc)
            return _callable(context, path, case, symbol.parameters, symbol.result, doc)
        case StageSymbol() if len(symbol.signatures) == 1 and symbol.signature.entry == "python:call":
            signature = symbol.signature
            return _callable(context, path, case, signature.parameters, signature.result, signature.doc)
        case None | ToolSymbol() | UncheckedSymbol():
            return None
        case _:
            context.report(problems.not_a_tool(path.text, symbol.what, node.name.text, path.span))
            return None


def _lookup(context: Context, path: syntax.Path) -> Symbol | None:
    """What a dotted name stands for; None after a report."""
    first, *rest = path.parts
    symbol = context.use(first.text)
    if symbol is None:
        tools = [n for n, s in context.names.items() if isinstance(s, ToolSymbol | PipelineSymbol)]
        near = context.nearest(first.text, tools)
        hint = "declare it with `tool`, or name a pipeline or another agent"
        context.report(problems.unknown_name(first.text, first.span, near, what="no tool", hint=hint))
        return None
    context.note(first.span, symbol)
    for part in rest:
        if not isinstance(symbol, ModuleSymbol):
            return symbol
        if symbol.interface is None:
            return None
        names = symbol.interface.names
        found = names.get(part.text)
        if found is None:
            known = tuple(n for n, s in names.items() if isinstance(s, ToolSymbol | PipelineSymbol))
            near = suggest(part.text, known)
            context.report(problems.unknown_member(first.text, "tool", part.text, part.span, near, known))
            return None
        context.note(part.span, found)
        symbol = found
    return symbol


def _callable(
    context: Context, path: syntax.Path, case: str, parameters: tuple[Parameter, ...], result: Type, doc: str | None
) -> Usable | None:
    streams = isinstance(result, StreamType)
    given = collected(result) if isinstance(result, StreamType) else result
    if is_unknown(given) or any(is_unknown(parameter.type) for parameter in parameters):
        return None
    hint = "a model writes its arguments and reads its result, so both must be data"
    for parameter in parameters:
        if not is_data(parameter.type):
            title = f"`{path.text}` takes {parameter.type} (`{parameter.name}`), which no model can write"
            context.report(problems.not_data(title, path.span, hint))
            return None
    if not is_data(given):
        title = f"`{path.text}` gives {given}, which no model can read"
        context.report(problems.not_data(title, path.span, hint))
        return None
    return Usable(Tool(case, parameters, given, doc), path, streams)
