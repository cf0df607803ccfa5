"""The state of checking one pipeline, test or constant: its names, how deep we are, and what a value must fit.

`Body.value` checks an expression; the functions that do so for each form live beside this file and call each other
only through it, so that they need not import each other.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from itertools import count
from typing import Protocol

from ...base.problems import Related
from ...base.source import Span
from .. import problems, program, syntax
from ..program import NO_LABELS, Labels
from ..syntax.walk import Node, walk
from ..syntax_problems import too_deep
from ..types import (
    BOOL,
    FLOAT,
    INT,
    NONE,
    TEXT,
    HandleType,
    ListType,
    OptionType,
    StreamType,
    Type,
    dimension_of,
)
from .context import BUILTINS, PART_OF_THE_LANGUAGE, Context, words
from .conversions import collected, convert, fits, has_text_form, is_open, is_unknown
from .symbols import UNKNOWN, Local

ExpressionCheck = Callable[["Body", syntax.Expr, "Type | None"], program.Expression]
Mark = tuple[int, "dict[str, Local]", int]
BlockCheck = Callable[["Body", syntax.Block, "Type | None", "Role"], program.Block]

# Loops whose body is checked a second time, because its turns say more of the state than its first value.
_MOST_AGAIN = 40
# Expressions inside expressions; each costs up to nine calls of ours, and Python allows a thousand.
DEEPEST = 80


class Turns(Protocol):
    """The turns of the `repeat` whose body, or a last branch of it, a block is (`loops.Loop`)."""

    @property
    def state(self) -> str: ...

    def take(self, body: Body, node: syntax.Expr, stop: bool) -> program.Expression:
        """What `stop node` or `next node` is: a turn."""
        ...


class Role:
    """What a block is: how messages call it, whether it needs a value, whether `return` may end it, and whether `stop`
    and `next` do."""

    __slots__ = ("may_return", "needs_value", "turns", "what")

    def __init__(
        self, what: str, *, needs_value: bool = True, may_return: bool = False, turns: Turns | None = None
    ) -> None:
        self.what = what
        self.needs_value = needs_value
        self.may_return = may_return
        self.turns = turns


class Body:
    """One pipeline, test or constant."""

    __slots__ = (
        *("_bindings", "_blocks", "_expressions", "_patience", "context", "depth", "early", "emitted"),
        *("in_test", "locals", "loops", "order", "result", "tail", "turns", "wanted", "written"),
    )

    def __init__(
        self,
        context: Context,
        expressions: ExpressionCheck,
        blocks: BlockCheck,
        written: syntax.Block | None = None,
        in_test: bool = False,
        result: Type | None = None,
    ) -> None:
        self.context = context
        # What the pipeline returns, if this is one whose result is known: what `emit` may send.
        self.result = result
        self.emitted: list[program.Expression] = []
        # What the values around the one that is checked now must be, and where that is said.
        self.wanted: list[tuple[Type, tuple[Related, ...]]] = []
        self._patience = _MOST_AGAIN
        self._expressions = expressions
        self._blocks = blocks
        self.written = written
        self.in_test = in_test
        self.locals: dict[str, Local] = {}
        # Those that are visible, in the order they were bound.
        self.order: list[Local] = []
        self._bindings: dict[str, syntax.Bind] | None = None
        # Names that were used before they are bound: reported, and not also called unused.
        self.early: set[str] = set()
        self.depth = 0
        # Whether the expression that is checked now is the value of the whole pipeline,
        self.tail = False
        # or of a turn of this loop; and how many loops it stands in.
        self.turns: Turns | None = None
        self.loops = 0

    # --- checking parts

    def value(
        self,
        node: syntax.Expr,
        expected: Type | None = None,
        *,
        tail: bool = False,
        turns: Turns | None = None,
        open: bool = False,
    ) -> program.Expression:
        """The typed expression. `expected` only guides literals; see `expect` for a value that must fit. With `open`,
        the type may be one that something beside it still decides (`none`, `[]`)."""
        if self.depth >= DEEPEST:
            self.context.report(too_deep(node.span, "expressions", DEEPEST))
            self.use_all(node)
            return nothing(node.span)
        self.depth += 1
        before, self.tail, self.turns = (self.tail, self.turns), tail, turns
        try:
            found = self._expressions(self, node, expected)
        finally:
            self.depth -= 1
            self.tail, self.turns = before
        if self.context.facts is not None:
            self.context.facts.value(found, node.span, expected)
        return found if open else self.decided(found)

    def decided(self, found: program.Expression) -> program.Expression:
        """Refuse a value whose type nothing decided."""
        if not is_open(found.type):
            return found
        if found.type == NONE:
            self.context.report(problems.untyped_none(found.span))
        else:
            self.context.report(problems.empty_list(found.span))
        return nothing(found.span)

    def deeper(self) -> bool:
        """Go one level deeper without `value`; False, and no deeper, where that would be too deep. Undone by the
        caller: `depth -= 1`."""
        if self.depth >= DEEPEST:
            return False
        self.depth += 1
        return True

    def again(self) -> bool:
        """Whether there is patience left to check a part a second time, now that more is known of it."""
        self._patience -= 1
        return self._patience >= 0

    def block(self, node: syntax.Block, expected: Type | None, role: Role) -> program.Block:
        return self._blocks(self, node, expected, role)

    def expect(
        self, node: syntax.Expr, expected: Type, what: str, related: tuple[Related, ...] = (), *, tail: bool = False
    ) -> program.Expression:
        """The typed expression, with a problem if it does not fit. `what` begins the title: "argument `top` of …"."""
        self.wanted.append((expected, related))
        found = self.value(node, expected, tail=tail, open=True)
        self.wanted.pop()
        return self.fit(found, expected, what, related)

    def fit(
        self, found: program.Expression, expected: Type, what: str, related: tuple[Related, ...] = ()
    ) -> program.Expression:
        """`found`, converted where that is silent, or a stand-in of the expected type after reporting that it does not
        fit."""
        converted = convert(found, expected)
        if converted is not None:
            return converted
        related = (*related, *self.origin(found))
        actual = found.type
        of_stream = isinstance(actual, StreamType) and not isinstance(expected, StreamType)
        if isinstance(actual, StreamType) and of_stream and fits(collected(actual), expected):
            self.context.report(problems.stream_as_value(what, actual, found.span, related))
            return nothing(found.span, expected)
        hint = None
        if isinstance(actual, OptionType) and fits(actual.element, expected):
            hint = "say what holds without a value: `match … { some(x) => …, none => … }`"
        elif isinstance(expected, StreamType) and expected.element == actual:
            hint = f"give a {expected}, or declare {actual} there"
        elif isinstance(expected, ListType) and expected.element == actual:
            hint = "put it into a list: `[…]`"
        elif expected in (INT, FLOAT) and dimension_of(actual) is not None and isinstance(found, program.Literal):
            hint = "write the number without its unit"
        elif expected == TEXT and self.has_text(actual):
            hint = 'put it into a text: `"{…}"`'
        self.context.report(problems.wrong_type(what, str(expected), str(actual), found.span, related, hint))
        return nothing(found.span, expected)

    def why(self, type: Type) -> tuple[Related, ...]:
        """Where it is said that a value of this type is wanted, if it is."""
        return next((related for wanted, related in reversed(self.wanted) if wanted == type), ())

    def has_text(self, type: Type) -> bool:
        return has_text_form(type, self.context.enums)

    def condition(self, node: syntax.Expr, what: str) -> program.Expression:
        return self.expect(node, BOOL, what)

    def plain(self, found: program.Expression) -> program.Expression:
        """Refuse a handle where a value that can be kept must stand."""
        if isinstance(found.type, HandleType):
            self.context.report(problems.handle_as_value(found.type, found.span))
            return nothing(found.span)
        return found

    def settled(self, found: program.Expression, what: str) -> program.Expression:
        """Refuse a stream where only a value has a meaning."""
        if isinstance(found.type, StreamType):
            self.context.report(problems.stream_as_value(what, found.type, found.span, self.origin(found)))
            return nothing(found.span)
        return found

    def origin(self, found: program.Expression) -> tuple[Related, ...]:
        """Where the type of a value comes from, if that is another place."""
        if isinstance(found, program.Reference):
            local = self.locals.get(found.name)
            if local is not None and local.type == found.type:
                verb = "bound" if local.kind == "binding" else "declared"
                return (Related(local.span, f"`{found.name}` is {verb} here: {found.type}"),)
        match found:
            case program.StageCall():
                return (Related(found.stage.span, f"`{found.stage.name}` gives {found.stage.result}"),)
            case program.PipelineCall():
                symbol = self.context.names.get(found.pipeline)
                return () if symbol is None else (Related(symbol.span, f"`{found.pipeline}` gives {found.type}"),)
            case program.FieldOf():
                record = self.context.records.get(str(found.base.type))
                fields = () if record is None else record.fields
                at = next((field.span for field in fields if field.name == found.field_name), None)
                return () if at is None else (Related(at, f"`{found.field_name}` is declared here: {found.type}"),)
            case _:
                return ()

    # --- checking a part a second time

    def mark(self) -> Mark:
        return self.context.mark(), dict(self.locals), len(self.emitted)

    def rewind(self, mark: Mark) -> None:
        """Forget what was found since `mark`: problems, names, what was emitted."""
        problems_so_far, names, emitted = mark
        # In place, since others look at the names too.
        self.locals.clear()
        self.locals.update(names)
        self.context.rewind(problems_so_far)
        del self.emitted[emitted:]

    # --- names

    def bind(
        self,
        name: syntax.Ident,
        kind: str,
        type: Type,
        labels: Labels = NO_LABELS,
        value: program.Expression | None = None,
    ) -> Local:
        """Bind a local name. If it is taken, the first keeps it, and its type becomes unknown where the two differ."""
        taken = self.context.names.get(name.text)
        first = self.locals.get(name.text)
        if first is not None:
            self.context.note(name.span, first)
            what = f"a {first.kind}" if first.kind != "parameter" else "a parameter"
            where = "" if first.visible else ", in another block of this pipeline"
            self._taken(name, first.span, what + where)
            if first.type != type:
                first.type = UNKNOWN
            first.visible = True
            return first
        if taken is not None:
            self._taken(name, taken.span, taken.what)
        elif name.text in BUILTINS:
            self._taken(name, None, PART_OF_THE_LANGUAGE)
        local = Local(name.text, name.span, kind, type, labels, value)
        local.used = name.text in self.early
        self.context.note(name.span, local)
        self.locals[name.text] = local
        self.order.append(local)
        return local

    def binding(self, name: str) -> syntax.Bind | None:
        """Where the text of this body binds a name first, wherever that is."""
        if self._bindings is None:
            found = () if self.written is None else walk(self.written)
            self._bindings = {}
            for node in found:
                if isinstance(node, syntax.Bind):
                    self._bindings.setdefault(node.name.text, node)
        return self._bindings.get(name)

    def _taken(self, name: syntax.Ident, first: Span | None, what: str) -> None:
        candidates = (f"{name.text}_{n}" for n in count(2))
        free = next(c for c in candidates if c not in self.locals and c not in self.context.names)
        hint = f"a name is bound once; call this one `{free}`, say"
        self.context.report(problems.bound_twice(name.text, name.span, first, what, hint))

    @contextmanager
    def scope(self) -> Generator[None]:
        """Names bound inside end with the block."""
        before = len(self.order)
        try:
            yield
        finally:
            for local in self.order[before:]:
                local.visible = False
            del self.order[before:]

    def use_all(self, node: Node) -> None:
        """Count every name inside as used, for a part that is not looked into."""
        for name in words(node):
            if local := self.locals.get(name):
                local.used = True
        self.context.use_all(node)


def stands_in(found: program.Expression) -> bool:
    """Whether this is `nothing`: a value that could not be checked, or did not fit."""
    if is_unknown(found.type):
        return True
    return isinstance(found, program.Literal) and found.value is None and not isinstance(found.type, OptionType)


def nothing(span: Span, type: Type = UNKNOWN) -> program.Expression:
    """Stands in for what could not be checked. Only in programs that have an error, which never leave the checker."""
    return program.Literal(type=type, span=span, value=None)
