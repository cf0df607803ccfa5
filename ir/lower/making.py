"""What lowering one body has at hand: where operations go, what they are called, what names mean.

Every operation gets the span where its expression is written, and an id (see `names`). Handles are opened once per
pipeline, at its top, so that bodies of loops use them from outside.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from ...base.source import Span
from ...lang import program as p
from ...lang.types import NONE, HandleType, Type
from .. import _mlir
from ..constants import encoded
from ..dialect.types import to_mlir
from .limits import within_limits
from .names import Ids
from .seen import seen


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
    names: ChainMap[str, Any]
    ids: Ids
    inner: Ids


@dataclass(slots=True)
class Lowering:
    """Lowers one body. `root` is its outermost block; `forms` says how each form of expression is lowered."""

    program: p.Program
    pipeline: str
    forms: Mapping[type[p.Typed], Form]
    root: Any
    answered: frozenset[str] = frozenset()
    """What tests give answers for, by the names that they use."""
    _opened: dict[str, Any] = field(default_factory=dict[str, Any])
    _last_open: Any = None
    _outputs: set[str] = field(default_factory=set[str])

    # --- statements --------------------------------------------------------------------------------------------------

    def block(
        self,
        block: p.Block,
        scope: Scope,
        terminator: str,
        output: str | None,
        wanted: bool = True,
        at: str | None = None,
    ) -> None:
        """Lower a block to the end of `scope.block`. It hands out its value if that is `wanted` and there is one. `at`
        is the id of its terminator, where it is not the scope's next."""
        # Names of its own, so that what is bound here is not known outside, and no statement copies what is.
        scope.names = scope.names.new_child()
        for statement in block.statements:
            match statement:
                case p.Bind(name, value):
                    scope.names[name] = self.value(value, scope, Hint(name, name, name))
                case p.Evaluate(value):
                    self.expression(value, scope, Hint())
                case p.Emit(value, span):
                    self.operation("agent.emit", span, scope, (self.value(value, scope, Hint()),))
                case p.Expect(condition, span):
                    self._expect(condition, span, scope)
        made = None if block.result is None else self.expression(block.result, scope, Hint(output=output))
        span = block.span if block.result is None else block.result.span
        self.operation(terminator, span, scope, (made,) if made is not None and wanted else (), at)

    def _expect(self, condition: p.Expression, span: Span, scope: Scope) -> None:
        value = self.value(condition, scope, Hint())
        shown, attributes = seen(self.program, condition, value)
        made = self.make("agent.expect", span, scope.ids.take("expect"), (value, *shown), (), attributes)
        self.append(made, scope)

    def given(self, given: p.Given, scope: Scope) -> None:
        """What a test answers for a call."""
        operation_id = scope.ids.take("given")
        below = replace(scope, inner=Ids(operation_id))
        stated = [self.value(a.value, below, Hint(a.name)) for a in given.arguments]
        answer = self.value(given.answer, below, Hint("answer"))
        attributes = {"name": given.name, "parameters": [a.name for a in given.arguments]}
        made = self.make("agent.given", given.span, operation_id, (*stated, answer), (), attributes)
        self.append(made, scope)

    # --- expressions -------------------------------------------------------------------------------------------------

    def value(self, expression: p.Expression, scope: Scope, hint: Hint) -> Any:
        made = self.expression(expression, scope, hint)
        assert made is not None, f"{expression.span}: an expression without a value is used as one"
        return made

    def expression(self, expression: p.Expression, scope: Scope, hint: Hint) -> Any:
        """The value of an expression, or None for one that has none."""
        return self.forms[type(expression)](self, expression, scope, hint)

    def arguments(
        self, arguments: tuple[p.Argument, ...], scope: Scope, inner: Ids, word: Callable[[str], str]
    ) -> tuple[tuple[Any, ...], list[str]]:
        below = replace(scope, inner=inner)
        values = tuple(self.value(a.value, below, Hint(word(a.name))) for a in arguments)
        return values, [a.name for a in arguments]

    def output(self, hint: Hint, operation_id: str) -> str:
        """The name of a chat's reply: as `assume` would write it, or by its path where two would share that."""
        name = hint.output
        if name is None or name in self._outputs:
            name = operation_id.removeprefix(f"{self.pipeline}.")
        self._outputs.add(name)
        return name

    def opened(self, name: str, given: HandleType, span: Span) -> Any:
        """The value of a declared handle, opened at the top of the body."""
        if name not in self._opened:
            made = self.make("agent.open", span, f"{self.pipeline}.open.{name}", (), (given,), {"name": name})
            if self._last_open is None:
                _mlir.core.InsertionPoint.at_block_begin(self.root).insert(made)
            else:
                _mlir.core.InsertionPoint.after(self._last_open).insert(made)
            self._last_open = made
            self._opened[name] = made.results[0]
        return self._opened[name]

    # --- making ------------------------------------------------------------------------------------------------------

    def named(self, expression: p.Expression, scope: Scope, hint: Hint, default: str) -> tuple[str, Scope]:
        """An id for an operation that is no stage, and the scope of its parts, whose ids stand below that of the whole
        binding or argument, side by side: a long chain of operators has short ids."""
        del expression
        operation_id = (scope.ids if hint.binding else scope.inner).take(hint.word or default)
        outermost = hint.word is not None or scope.inner is scope.ids
        return operation_id, replace(scope, inner=Ids(operation_id) if outermost else scope.inner)

    def result(
        self,
        name: str,
        expression: p.Expression,
        scope: Scope,
        operation_id: str,
        hint: Hint,
        operands: tuple[Any, ...] = (),
        attributes: Mapping[str, Any] | None = None,
    ) -> Any:
        """An operation without a body at the end of the scope's block; its value."""
        results = () if valueless(expression) else (expression.type,)
        given = {**(attributes or {}), **known(expression, hint)}
        return self.append(self.make(name, expression.span, operation_id, operands, results, given), scope)

    def operation(
        self, name: str, span: Span, scope: Scope, operands: tuple[Any, ...], operation_id: str | None = None
    ) -> None:
        """An operation without a result at the end of the scope's block."""
        made = self.make(name, span, operation_id or scope.ids.take(name.removeprefix("agent.")), operands)
        self.append(made, scope)

    def make(
        self,
        name: str,
        span: Span,
        operation_id: str | None,
        operands: tuple[Any, ...] = (),
        results: tuple[Type, ...] = (),
        attributes: Mapping[str, Any] | None = None,
        regions: int = 0,
    ) -> Any:
        """A new operation that stands nowhere yet. Without an id it is a part of another."""
        own = {} if operation_id is None else {"id": operation_id}
        with within_limits(span):
            return _mlir.create(
                name,
                operands=operands,
                results=[to_mlir(result) for result in results],
                attributes={**own, **(attributes or {})},
                regions=regions,
                place=_mlir.location(span),
            )

    def append(self, made: Any, scope: Scope) -> Any:
        scope.block.append(made)
        return made.results[0] if len(made.results) else None


Form: TypeAlias = Callable[[Lowering, Any, Scope, Hint], Any]
"""Lowers one form of expression; gives its value."""


def own(operation_id: str, part: Scope) -> Ids:
    """The ids below an operation, which those of its parts may be too: bodies take their words here, before parts."""
    return part.inner if part.inner.prefix == operation_id else Ids(operation_id)


def known(expression: p.Typed, hint: Hint) -> dict[str, Any]:
    """What any operation says of its result: the program's name for it, its labels."""
    binding = {} if hint.binding is None else {"binding": hint.binding}
    return {**binding, "labels": sorted(expression.labels)} if expression.labels else binding


def valueless(expression: p.Expression) -> bool:
    """Whether an expression is evaluated for its effects alone: a call of a pipeline that returns nothing, a body
    without a value, and what stands around these."""
    match expression:
        case p.PipelineCall(type=given):
            return given == NONE
        case p.MapOver(body=body):
            return _without(body)
        case p.Interruptible(body=body):
            return _without(body)
        case p.If(type=given, then=then, otherwise=otherwise):
            return given == NONE and (_without(then) or _without(otherwise))
        case p.Match(type=given, arms=arms):
            return given == NONE and any(_without(arm.body) for arm in arms)
        case p.With(call=call):
            return valueless(call)
        case p.Otherwise(value=value, fallback=fallback):
            return valueless(value) or valueless(fallback)
        case p.Race(branches=branches):
            return any(valueless(branch) for branch in branches)
        case _:
            return False


def _without(block: p.Block) -> bool:
    return block.result is None or valueless(block.result)


def constant(value: p.Constant) -> Any:
    """A constant as an attribute."""
    return encoded(p.plain(value))
