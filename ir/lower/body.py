"""Blocks and expressions to operations.

Every operation gets the span where its expression is written, and an id (see `names`). Handles are opened once per
pipeline, at its top, so that bodies of loops use them from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ...base.source import Span
from ...base.units import Quantity
from ...lang import program as p
from ...lang.types import NONE, Type
from .. import _mlir
from ..dialect.types import to_mlir
from .limits import within_limits
from .names import Ids
from .split import constant_list, in_chunks

CHAT = "llm:chat"


@dataclass(frozen=True, slots=True)
class Hint:
    """What is known of an expression from where it stands: `word` for its id, `binding` if a name is bound to it,
    `output` the name by which an `assume` block would call a chat's reply."""

    word: str | None = None
    binding: str | None = None
    output: str | None = None


@dataclass(slots=True)
class Scope:
    """Where operations go and what names mean there. `ids` is for stages and for what is bound; `inner` for the parts
    of the expression at hand."""

    block: Any
    names: Mapping[str, Any]
    ids: Ids
    inner: Ids


@dataclass(slots=True)
class BodyLowering:
    """Lowers one body. `root` is its outermost block."""

    program: p.Program
    pipeline: str
    root: Any = None
    _opened: dict[str, Any] = field(default_factory=dict[str, Any])
    _last_open: Any = None
    _outputs: set[str] = field(default_factory=set[str])

    def fill(self, root: Any, body: p.Block, names: Mapping[str, Any]) -> None:
        """Fill the outermost block of a pipeline or test."""
        self.root = root
        ids = Ids(self.pipeline)
        self._block(body, Scope(root, names, ids, ids), "agent.return", self.pipeline)

    # --- statements --------------------------------------------------------------------------------------------------

    def _block(self, block: p.Block, scope: Scope, terminator: str, output: str | None) -> None:
        for statement in block.statements:
            match statement:
                case p.Bind(name, value):
                    made = self._value(value, scope, Hint(name, name, name))
                    scope.names = {**scope.names, name: made}
                case p.Evaluate(value):
                    self._expression(value, scope, Hint())
                case p.Emit(value, span):
                    self._operation("agent.emit", span, scope, operands=(self._value(value, scope, Hint()),))
                case p.Expect(condition, span):
                    self._operation("agent.expect", span, scope, operands=(self._value(condition, scope, Hint()),))
        operands: tuple[Any, ...] = ()
        span = block.span
        if block.result is not None:
            operands = (self._value(block.result, scope, Hint(output=output)),)
            span = block.result.span
        self._operation(terminator, span, scope, operands=operands)

    # --- expressions -------------------------------------------------------------------------------------------------

    def _value(self, expression: p.Expression, scope: Scope, hint: Hint) -> Any:
        made = self._expression(expression, scope, hint)
        assert made is not None, f"{expression.span}: an expression without a value is used as one"
        return made

    def _expression(self, expression: p.Expression, scope: Scope, hint: Hint) -> Any:
        match expression:
            case p.Reference(name=name):
                return scope.names[name]
            case p.HandleReference(name=name):
                return self._open(expression, name)
            case p.ListOf() if (items := constant_list(expression)) is not None:
                return self._result("agent.constant", expression, scope, hint, attributes={"value": constant(items)})
            case p.Template() | p.ListOf() if (smaller := in_chunks(expression)) is not None:
                return self._expression(smaller, scope, hint)
            case p.Literal(value=value):
                return self._result("agent.constant", expression, scope, hint, attributes={"value": constant(value)})
            case p.StageCall():
                return self._stage(expression, scope, hint)
            case p.PipelineCall():
                return self._call(expression, scope, hint)
            case p.MapOver():
                return self._map(expression, scope, hint)
            case p.If():
                return self._if(expression, scope, hint)
            case _:
                return self._plain(expression, scope, hint)

    def _plain(self, expression: p.Expression, scope: Scope, hint: Hint) -> Any:
        """Operations without a body whose operands are simply their parts."""
        operation_id, part = self._named(expression, scope, hint)
        output = hint.output if isinstance(expression, p.Collect) else None

        def parts(*values: p.Expression) -> tuple[Any, ...]:
            return tuple(self._value(value, part, Hint(output=output)) for value in values)

        attributes: dict[str, Any] = {}
        match expression:
            case p.Template(parts=pieces):
                holes = [piece for piece in pieces if not isinstance(piece, str)]
                operands = parts(*holes)
                index = iter(range(len(holes)))
                attributes["parts"] = [piece if isinstance(piece, str) else next(index) for piece in pieces]
            case p.BuildRecord(record=record, fields=fields):
                operands = tuple(self._value(f.value, part, Hint(f.name)) for f in fields)
                attributes |= {"record": record, "fields": [f.name for f in fields]}
            case p.FieldOf(base=base, field_name=name):
                operands = parts(base)
                attributes["name"] = name
            case p.ListOf(items=items):
                operands = parts(*items)
            case p.Binary(operator=operator, left=left, right=right):
                operands = parts(left, right)
                attributes["operator"] = operator
            case p.Unary(operator=operator, operand=operand):
                operands = parts(operand)
                attributes["operator"] = operator
            case p.Collect(stream=stream):
                operands = parts(stream)
            case p.Length(of=of):
                operands = parts(of)
            case _:
                raise TypeError(f"{expression.span}: no operation for {type(expression).__name__}")
        return self._emit_result(_WORDS[type(expression)], expression, scope, operation_id, hint, operands, attributes)

    def _stage(self, call: p.StageCall, scope: Scope, hint: Hint) -> Any:
        operation_id = scope.ids.take(call.stage.name.rsplit(".", 1)[-1])
        operands, names = self._arguments(call.arguments, scope, Ids(operation_id), str)
        attributes: dict[str, Any] = {"parameters": names}
        if call.stage.entry == CHAT:
            attributes["output"] = self._output(hint, operation_id)
            name = "agent.chat"
        else:
            attributes["entry"] = call.stage.entry
            name = "agent.stage"
        return self._emit_result(name, call, scope, operation_id, hint, operands, attributes)

    def _call(self, call: p.PipelineCall, scope: Scope, hint: Hint) -> Any:
        operation_id = scope.ids.take(call.pipeline)
        # Not below the call's own id: that is where the callee's operations go when it is inlined.
        prefix = operation_id.rsplit(".", 1)[-1]
        operands, names = self._arguments(call.arguments, scope, scope.ids, lambda name: f"{prefix}_{name}")
        attributes: dict[str, Any] = {"callee": call.pipeline, "parameters": names}
        if hint.output is not None:
            attributes["output"] = hint.output
        return self._emit_result("agent.call", call, scope, operation_id, hint, operands, attributes)

    def _arguments(
        self, arguments: tuple[p.Argument, ...], scope: Scope, inner: Ids, word: Callable[[str], str]
    ) -> tuple[tuple[Any, ...], list[str]]:
        below = replace(scope, inner=inner)
        values = tuple(self._value(a.value, below, Hint(word(a.name))) for a in arguments)
        return values, [a.name for a in arguments]

    def _output(self, hint: Hint, operation_id: str) -> str:
        """The name of a chat's reply: as `assume` would write it, or by its path where two would share that."""
        name = hint.output
        if name is None or name in self._outputs:
            name = operation_id.removeprefix(f"{self.pipeline}.")
        self._outputs.add(name)
        return name

    def _map(self, loop: p.MapOver, scope: Scope, hint: Hint) -> Any:
        operation_id, part = self._named(loop, scope, hint)
        over = self._value(loop.over, part, Hint())
        made = self._make(
            "agent.map",
            loop.span,
            operation_id,
            operands=(over,),
            results=() if loop.body.result is None else (loop.type,),
            attributes={"variable": loop.variable, "at_most": loop.at_most, **_binding(hint)},
            regions=2,
        )
        path = scope.ids.take(loop.variable)
        item = (to_mlir(loop.variable_type),), (_mlir.location(loop.span),)
        body = _mlir.block_of(made.regions[0], *item)
        inside = Ids(path)
        names = {**scope.names, loop.variable: body.arguments[0]}
        self._block(loop.body, Scope(body, names, inside, inside), "agent.yield", hint.output)
        if loop.where is not None:
            filtered = _mlir.block_of(made.regions[1], *item)
            below = Ids(f"{path}.where")
            names = {**scope.names, loop.variable: filtered.arguments[0]}
            self._block(
                p.Block((), loop.where, loop.where.span), Scope(filtered, names, below, below), "agent.yield", None
            )
        return self._append(made, scope)

    def _if(self, choice: p.If, scope: Scope, hint: Hint) -> Any:
        operation_id, part = self._named(choice, scope, hint)
        condition = self._value(choice.condition, part, Hint())
        made = self._make(
            "agent.if",
            choice.span,
            operation_id,
            operands=(condition,),
            results=() if choice.type == NONE and choice.then.result is None else (choice.type,),
            attributes=_binding(hint),
            regions=2,
        )
        for region, word, branch in ((0, "then", choice.then), (1, "otherwise", choice.otherwise)):
            block = _mlir.block_of(made.regions[region])
            below = Ids(f"{operation_id}.{word}")
            self._block(branch, Scope(block, scope.names, below, below), "agent.yield", hint.output)
        return self._append(made, scope)

    def _open(self, reference: p.HandleReference, name: str) -> Any:
        if name not in self._opened:
            made = self._make(
                "agent.open",
                reference.span,
                f"{self.pipeline}.open.{name}",
                results=(reference.type,),
                attributes={"name": name},
            )
            if self._last_open is None:
                _mlir.core.InsertionPoint.at_block_begin(self.root).insert(made)
            else:
                _mlir.core.InsertionPoint.after(self._last_open).insert(made)
            self._last_open = made
            self._opened[name] = made.results[0]
        return self._opened[name]

    # --- making ------------------------------------------------------------------------------------------------------

    def _named(self, expression: p.Expression, scope: Scope, hint: Hint) -> tuple[str, Scope]:
        """An id for an operation that is no stage, and the scope of its parts, whose ids stand below that of the whole
        binding or argument, side by side: a long chain of operators has short ids."""
        default = _WORDS[type(expression)].removeprefix("agent.")
        operation_id = (scope.ids if hint.binding else scope.inner).take(hint.word or default)
        outermost = hint.word is not None or scope.inner is scope.ids
        return operation_id, replace(scope, inner=Ids(operation_id) if outermost else scope.inner)

    def _result(self, name: str, expression: p.Expression, scope: Scope, hint: Hint, attributes: dict[str, Any]) -> Any:
        operation_id, _ = self._named(expression, scope, hint)
        return self._emit_result(name, expression, scope, operation_id, hint, (), attributes)

    def _emit_result(
        self,
        name: str,
        expression: p.Expression,
        scope: Scope,
        operation_id: str,
        hint: Hint,
        operands: tuple[Any, ...],
        attributes: dict[str, Any],
    ) -> Any:
        results = () if expression.type == NONE and name == "agent.call" else (expression.type,)
        made = self._make(name, expression.span, operation_id, operands, results, attributes | _binding(hint))
        return self._append(made, scope)

    def _operation(self, name: str, span: Span, scope: Scope, operands: tuple[Any, ...]) -> None:
        made = self._make(name, span, scope.ids.take(name.removeprefix("agent.")), operands)
        self._append(made, scope)

    def _make(
        self,
        name: str,
        span: Span,
        operation_id: str,
        operands: tuple[Any, ...] = (),
        results: tuple[Type, ...] = (),
        attributes: dict[str, Any] | None = None,
        regions: int = 0,
    ) -> Any:
        with within_limits(span):
            return _mlir.create(
                name,
                operands=operands,
                results=[to_mlir(result) for result in results],
                attributes={"id": operation_id, **(attributes or {})},
                regions=regions,
                place=_mlir.location(span),
            )

    def _append(self, made: Any, scope: Scope) -> Any:
        scope.block.append(made)
        return made.results[0] if len(made.results) else None


_WORDS: dict[type[p.Typed], str] = {
    p.Literal: "agent.constant",
    p.Template: "agent.template",
    p.BuildRecord: "agent.build",
    p.FieldOf: "agent.field",
    p.ListOf: "agent.list",
    p.Binary: "agent.binary",
    p.Unary: "agent.unary",
    p.Collect: "agent.collect",
    p.Length: "agent.length",
    p.MapOver: "agent.map",
    p.If: "agent.if",
}


def _binding(hint: Hint) -> dict[str, Any]:
    return {} if hint.binding is None else {"binding": hint.binding}


def constant(value: p.Constant) -> Any:
    """A constant as plain data: quantities in base units."""
    if isinstance(value, Quantity):
        return value.value
    if isinstance(value, tuple):
        return tuple(constant(item) for item in value)
    return value
