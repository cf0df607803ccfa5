"""`given order(1) = Order(…)` in a test: what a call answers there instead of running."""

from __future__ import annotations

from .. import problems, program, syntax
from ..program import Parameter, StageSignature
from ..types import JSON, TEXT, HandleType, StreamType, Type
from .arguments import Given, bind_arguments
from .body import Body
from .conversions import collected, is_unknown
from .judging import ENTRY as JUDGED
from .symbols import (
    HandleSymbol,
    ModuleSymbol,
    PipelineSymbol,
    StageSymbol,
    Symbol,
    ToolSymbol,
    UncheckedSymbol,
)
from .written import is_data

_WHAT = "what can be given an answer: a tool, a pipeline, or a stage such as `writer.chat`"


class _Callee:
    """What a test answers for: its name in the program, and its signature."""

    __slots__ = ("entry", "name", "parameters", "result")

    def __init__(self, name: str, parameters: tuple[Parameter, ...], result: Type, entry: str = "") -> None:
        self.name = name
        self.parameters = parameters
        self.result = result
        self.entry = entry


def check_givens(body: Body, node: syntax.Block) -> tuple[tuple[program.Given, ...], syntax.Block]:
    """The answers that stand at the top of a test, and the rest of its block."""
    statements = node.statements
    first = next((i for i, s in enumerate(statements) if isinstance(s, syntax.Expect)), len(statements))
    top = [statement for statement in statements[:first] if isinstance(statement, syntax.Given)]
    rest = tuple(s for s in statements[:first] if not isinstance(s, syntax.Given)) + statements[first:]
    found = [_given(body, statement) for statement in top]
    return tuple(given for given in found if given is not None), syntax.Block(rest, span=node.span)


def _given(body: Body, node: syntax.Given) -> program.Given | None:
    callee = _callee(body, node.target)
    if callee is None:
        body.use_all(node)
        return None
    arguments = _arguments(body, callee, node)
    what = f"what `{node.target.text}` answers"
    expected = collected(callee.result) if isinstance(callee.result, StreamType) else callee.result
    if callee.entry != "llm:chat":
        return program.Given(callee.name, arguments, body.expect(node.answer, expected, what), node.span)
    # A model answers with a text; a value stands for the document that the model would write for `into`.
    answer = body.settled(body.value(node.answer, TEXT), what)
    if answer.type != TEXT and not is_unknown(answer.type):
        if not is_data(answer.type):
            answer = body.fit(answer, TEXT, what)
        else:
            document = program.Convert(type=JSON, span=answer.span, labels=answer.labels, value=answer)
            answer = program.Template(type=TEXT, span=answer.span, labels=answer.labels, parts=(document,))
    return program.Given(callee.name, arguments, answer, node.span)


def _arguments(body: Body, callee: _Callee, node: syntax.Given) -> tuple[program.Argument, ...]:
    """The arguments that a call must have to be answered. Those left out may be anything, unless none are written."""
    if node.arguments is None:
        return ()
    call = syntax.Call(_name(node.target), node.arguments, span=node.target.span)
    given = Given(call, None)
    named = {name.text for name, _ in given.named}
    count = len(given.positional)
    if not node.arguments:
        return bind_arguments(body, node.target.text, callee.parameters, given, node.target.span)
    wanted = tuple(p for i, p in enumerate(callee.parameters) if i < count or p.name in named)
    # A misspelt name is compared with all of them.
    misspelt = named - {p.name for p in callee.parameters}
    parameters = callee.parameters if misspelt or count > len(callee.parameters) else wanted
    return bind_arguments(body, node.target.text, parameters, given, node.target.span)


def _name(path: syntax.Path) -> syntax.Expr:
    first, *more = path.parts
    found: syntax.Expr = syntax.Name(first.text, span=first.span)
    for part in more:
        found = syntax.Access(found, part, span=first.span.to(part.span))
    return found


# --- who answers -----------------------------------------------------------------------------------------------------


def _callee(body: Body, path: syntax.Path) -> _Callee | None:
    """What a dotted name stands for, or None after a report."""
    context = body.context
    first = path.parts[0]
    symbol = context.use(first.text)
    if symbol is None:
        near = context.nearest(first.text, [name for name, s in context.names.items() if _may_answer(s)])
        context.report(problems.unknown_name(first.text, first.span, near))
        return None
    context.note(first.span, symbol)
    rest = path.parts[1:]
    while rest:
        part, rest = rest[0], rest[1:]
        match symbol:
            case ModuleSymbol(interface=None) | UncheckedSymbol():
                return None
            case ModuleSymbol(interface=interface):
                assert interface is not None
                known: dict[str, Symbol] = {n: s for n, s in interface.names.items() if _may_answer(s)}
                found = known.get(part.text)
                if found is None:
                    near = context.nearest(part.text, known)
                    context.report(
                        problems.unknown_member(symbol.name, "stage", part.text, part.span, near, tuple(known))
                    )
                    return None
                context.note(part.span, found)
                symbol = found
            case HandleSymbol() if isinstance(symbol.type, HandleType) and not rest:
                return _method(body, symbol, symbol.type, part)
            case HandleSymbol() if is_unknown(symbol.type):
                return None
            case _:
                break
    else:
        match symbol:
            case ToolSymbol():
                return _of_tool(symbol)
            case StageSymbol():
                signature = symbol.signature
                return _Callee(signature.name, signature.parameters, signature.result, signature.entry)
            case PipelineSymbol():
                return _Callee(symbol.qualified, symbol.parameters, symbol.result)
            case UncheckedSymbol() | ModuleSymbol(interface=None):
                return None
            case _:
                pass
    context.report(problems.not_callable(f"`{path.text}`", path.span, f"name {_WHAT}"))
    return None


def _may_answer(symbol: Symbol) -> bool:
    return isinstance(symbol, ToolSymbol | StageSymbol | PipelineSymbol | HandleSymbol | ModuleSymbol)


def _of_tool(symbol: ToolSymbol) -> _Callee | None:
    signature: StageSignature | None = symbol.signature
    if signature is None:
        return None
    parameters = signature.parameters[1:] if signature.server is not None else signature.parameters
    return _Callee(signature.name, parameters, signature.result)


def _method(body: Body, symbol: HandleSymbol, type: HandleType, word: syntax.Ident) -> _Callee | None:
    methods = body.context.methods.get(type.name, {})
    signatures = methods.get(word.text)
    if signatures is None:
        near = body.context.nearest(word.text, methods)
        owner = str(type)
        body.context.report(problems.unknown_member(owner, "method", word.text, word.span, near, tuple(methods)))
        return None
    signature = signatures[0]
    if signature.entry == JUDGED:
        hint = f'give `{symbol.name}.chat` an answer: `llm.Verdict(why: "…", ok: true)`'
        body.context.report(
            problems.not_callable(f"`{symbol.name}.{word.text}`, a chat with the model,", word.span, hint)
        )
        return None
    body.context.note(word.span, signature, type.name)
    return _Callee(f"{symbol.qualified}.{word.text}", signature.parameters[1:], signature.result, signature.entry)
