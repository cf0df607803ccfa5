"""Blocks: statements in order, then the value of the last line."""

from __future__ import annotations

from ...base.problems import Edit, Fix
from ...base.source import Span
from .. import problems, program, syntax
from ..syntax_problems import too_deep
from ..types import BOOL, StreamType, Type
from .body import DEEPEST, Body, Role, Turns, nothing
from .branches import labels_of_block
from .conversions import is_unknown
from .effects import has_effects
from .valueless import check_valueless, has_no_value


def check_block(body: Body, node: syntax.Block, expected: Type | None, role: Role) -> program.Block:
    """The typed block. A block that needs a value and has none is reported and gets an unknown one.

    The value of a turn of a `repeat` is a `Turn`; what stands behind `stop … when` is the other branch of an `If`.
    """
    with body.scope():
        return _Reader(body, node, expected, role).read()


class _Reader:
    """Reads one block."""

    __slots__ = ("body", "emits", "ended", "expected", "node", "result", "role", "statements", "stops")

    def __init__(self, body: Body, node: syntax.Block, expected: Type | None, role: Role) -> None:
        self.body = body
        self.node = node
        self.expected = expected
        self.role = role
        self.statements: list[program.Statement] = []
        self.result: program.Expression | None = None
        # Where a statement ends the block, and by which word.
        self.ended: tuple[Span, str] | None = None
        self.emits = False
        # For each `stop … when`: what stands before it, the condition, the turn, and where the rest begins.
        self.stops: list[tuple[tuple[program.Statement, ...], program.Expression, program.Expression, int]] = []

    def read(self) -> program.Block:
        written = self.node.statements
        for position, statement in enumerate(written):
            if self.ended is not None:
                rest = statement.span.to(written[-1].span)
                self.body.context.report(problems.unreachable(rest, *self.ended))
                self.body.use_all(syntax.Block(written[position:], span=self.node.span))
                break
            self.statement(statement, position)
        # What a pipeline sends may be all that it gives.
        sends = self.emits and self.node is self.body.written
        if self.result is None and self.role.needs_value and not sends:
            self.no_value()
            self.result = nothing(self.node.span)
        return self.folded()

    def statement(self, statement: syntax.Statement, position: int) -> None:
        body, role = self.body, self.role
        match statement:
            case syntax.Bind():
                value = body.plain(body.value(statement.value))
                body.bind(statement.name, "binding", value.type, value.labels, value)
                self.statements.append(program.Bind(statement.name.text, value, statement.span))
            case syntax.ExprStatement() if self.sends(statement, position):
                self.effect(statement)
            case syntax.ExprStatement() if position == len(self.node.statements) - 1 and role.needs_value:
                self.last(statement)
            case syntax.ExprStatement(value=syntax.If() as branch) if role.turns is not None and _stops(branch):
                self.stop_if(statement, branch, role.turns, position)
            case syntax.ExprStatement():
                value = body.plain(body.value(statement.value))
                # A stream that nobody reads is never started, and what a called pipeline emits is such a stream.
                unread = isinstance(value, program.PipelineCall) and isinstance(value.type, StreamType)
                if not is_unknown(value.type) and (unread or not has_effects(value)):
                    body.context.report(problems.unused_value(statement.span, value.type))
                self.statements.append(program.Evaluate(value, statement.span))
            case syntax.Return():
                self.returned(statement)
            case syntax.Stop() if role.turns is not None and statement.condition is not None:
                self.stop_when(statement, role.turns, statement.condition, position)
            case syntax.Stop() | syntax.Next():
                self.turn(statement)
            case syntax.Emit():
                self.emit(statement)
            case syntax.Expect():
                self.expect(statement)
            case syntax.Given():
                # Those of a test have been taken out of its block.
                where = "at the top of a test, before what it expects"
                hint = "move it up" if body.in_test else "a test says what a call answers there"
                body.context.report(problems.misplaced("given", where, statement.span, hint))
                body.use_all(statement)

    def sends(self, statement: syntax.ExprStatement, position: int) -> bool:
        """Whether a line stands for what its blocks emit, and for no value."""
        if position < len(self.node.statements) - 1 or not self.role.needs_value:
            return has_no_value(statement.value, False)
        return self.node is self.body.written and has_no_value(statement.value, True)

    def effect(self, statement: syntax.ExprStatement) -> None:
        self.emits = True
        value = check_valueless(self.body, statement.value)
        if value is None:
            self.body.context.report(too_deep(statement.span, "expressions", DEEPEST))
            self.body.use_all(statement)
        else:
            self.statements.append(program.Evaluate(value, statement.span))

    def last(self, statement: syntax.ExprStatement) -> None:
        """The last line, which is the block's value; in a loop, that of the next turn unless its branches say."""
        body, turns = self.body, self.role.turns
        if turns is not None and not isinstance(statement.value, syntax.If | syntax.Match):
            self.result = turns.take(body, statement.value, False)
            return
        expected = self.expected if turns is None else None
        tail = self.role.may_return
        self.result = body.plain(body.value(statement.value, expected, tail=tail, turns=turns, open=True))

    def returned(self, statement: syntax.Return) -> None:
        body, role = self.body, self.role
        if not role.may_return:
            where = "at the end of a pipeline" if not body.in_test else "in a pipeline, and this is a test"
            word = body.context.source.span(statement.span.start, statement.value.span.start)
            fix: Fix | None = Fix("leave `return` out", (Edit(word, ""),))
            hint = "leave `return` out: the last line is the block's value"
            if body.in_test:
                hint, fix = "write `expect …` here", None
            elif role.turns is not None:
                hint, fix = (
                    "write `stop …`: its value is that of the `repeat`",
                    Fix("write `stop`", (Edit(word, "stop "),)),
                )
            body.context.report(problems.misplaced("return", where, statement.span, hint, fix))
        self.result = body.plain(body.value(statement.value, self.expected, tail=role.may_return, open=True))
        if role.turns is not None:
            self.result = nothing(statement.span)
        self.ended = statement.span, "return"

    def emit(self, statement: syntax.Emit) -> None:
        """Sends one item, or all of a stream."""
        body = self.body
        self.emits = True
        element = body.result.element if isinstance(body.result, StreamType) else None
        value = body.plain(body.value(statement.value, element, open=True))
        if body.in_test or (body.result is not None and element is None):
            where = "in a pipeline that returns a stream"
            hint = "`return` the value" if body.in_test else f"let the pipeline return `stream …`, not {body.result}"
            body.context.report(problems.misplaced("emit", where, statement.span, hint))
        elif element is not None:
            wanted = StreamType(element) if isinstance(value.type, StreamType) else element
            value = body.fit(value, wanted, "what `emit` sends")
        body.emitted.append(value)
        self.statements.append(program.Emit(value, statement.span))

    def expect(self, statement: syntax.Expect) -> None:
        if not self.body.in_test:
            hint = 'write `test "what must hold" { expect … }` at the top of the file'
            self.body.context.report(problems.misplaced("expect", "inside a test", statement.span, hint))
        condition = self.body.expect(statement.condition, BOOL, "what a test expects")
        self.statements.append(program.Expect(condition, statement.span))

    # --- turns of a loop

    def stop_when(self, statement: syntax.Stop, turns: Turns, condition: syntax.Expr, position: int) -> None:
        decides = self.body.condition(condition, "the condition of `stop … when`")
        turn = turns.take(self.body, statement.value, True)
        if not self.body.deeper():
            self.body.context.report(too_deep(statement.span, "`stop … when` behind each other", DEEPEST))
            return
        self.stops.append((tuple(self.statements), decides, turn, position))
        self.statements = []

    def stop_if(self, statement: syntax.ExprStatement, branch: syntax.If, turns: Turns, position: int) -> None:
        """`if c { stop x }` before the last line: what is meant is `stop x when c`."""
        stop = branch.then.statements[0]
        assert isinstance(stop, syntax.Stop)
        text = self.body.context.source.text
        value = text[stop.value.span.start : stop.value.span.end]
        condition = text[branch.condition.span.start : branch.condition.span.end]
        fix = Fix("write it as `stop … when …`", (Edit(statement.span, f"stop {value} when {condition}"),))
        where, hint = "at the end of a turn, or before a condition", f"write `stop {value} when {condition}`"
        self.body.context.report(problems.misplaced("stop", where, stop.span, hint, fix))
        self.stop_when(stop, turns, branch.condition, position)

    def turn(self, statement: syntax.Stop | syntax.Next) -> None:
        word = "stop" if isinstance(statement, syntax.Stop) else "next"
        if self.role.turns is not None:
            self.result = self.role.turns.take(self.body, statement.value, word == "stop")
            self.ended = statement.span, word
            return
        if self.body.loops:
            where = "at the end of a turn: last in the body of a `repeat`, or last in a branch that is last there"
            hint = "write `stop … when …` in the body itself" if word == "stop" else "let the branches be the last line"
        else:
            where, hint = "inside a `repeat`", "write `return`, or let the last line be the value"
        self.body.context.report(problems.misplaced(word, where, statement.span, hint))
        self.body.value(statement.value)
        if isinstance(statement, syntax.Stop) and statement.condition is not None:
            self.body.value(statement.condition)
        self.result = nothing(statement.span)

    def folded(self) -> program.Block:
        """The block, with what stands behind each `stop … when` as the branch that runs otherwise."""
        block = program.Block(tuple(self.statements), self.result, self.node.span)
        # Each was a level of its own: the branches stand inside each other.
        self.body.depth -= len(self.stops)
        written = self.node.statements
        for before, condition, turn, position in reversed(self.stops):
            at = written[position].span
            rest = written[position + 1].span.to(written[-1].span) if position + 1 < len(written) else at
            otherwise = program.Block(block.statements, block.result, rest)
            chosen = program.If(
                type=turn.type,
                span=at,
                labels=turn.labels | labels_of_block(otherwise),
                condition=condition,
                then=program.Block((), turn, turn.span),
                otherwise=otherwise,
            )
            block = program.Block(before, chosen, self.node.span)
        return block

    # --- without a value

    def no_value(self) -> None:
        body, role = self.body, self.role
        last = self.node.statements[-1] if self.node.statements else None
        fix: Fix | None = None
        if isinstance(last, syntax.Bind):
            # The bound value is most often what was meant.
            end = last.span
            place = Span(end.path, end.end, end.end, end.end_line, end.end_column, end.end_line, end.end_column)
            word = "next " if role.turns is not None else "return " if role.may_return else ""
            line = f"{word}{last.name.text}"
            fix = Fix(f"add `{line}`", (Edit(place, f"\n{' ' * (last.span.column - 1)}{line}"),))
            if local := body.locals.get(last.name.text):
                local.used = True
        span = last.span if last is not None else self.node.span
        if role.turns is not None:
            body.context.report(problems.missing_next(span, role.turns.state, fix))
        else:
            body.context.report(problems.missing_return(role.what, self.expected, span, fix))


def _stops(branch: syntax.If) -> bool:
    """Whether a branch without an alternative only stops the loop."""
    if branch.otherwise is not None or len(branch.then.statements) != 1:
        return False
    only = branch.then.statements[0]
    return isinstance(only, syntax.Stop) and only.condition is None
