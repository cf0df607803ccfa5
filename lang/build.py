"""From what the parser recognised to nodes of the tree: one method per rule of the grammar, named as the rule.

Each gets the parts that the grammar keeps (tokens and nodes; literals are dropped) and the span of the whole.
Declarations are in `build_declarations`; here is what stands inside them.
"""

# Every method has the same two parameters, whether its rule needs both or not.
# ruff: noqa: ARG002

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..base.frozen import replace
from ..base.problems import Problem
from ..base.source import Source, Span
from . import syntax as s
from . import syntax_problems as problems
from . import texts
from .tokens import Token

Parts = list[Any]


class ExpressionBuilder:
    """Types, expressions and statements."""

    def __init__(self, source: Source, report: Callable[[Problem], None]) -> None:
        self.source = source
        self.report = report

    # Words

    def place(self, token: Token) -> Span:
        width = token.end - token.start
        return Span(
            self.source.path, token.start, token.end, token.line, token.column, token.line, token.column + width
        )

    def ident(self, token: Token) -> s.Ident:
        return s.Ident(token.text, span=self.place(token))

    def idents(self, parts: Parts) -> tuple[s.Ident, ...]:
        return tuple(self.ident(token) for token in parts)

    def symbol(self, token: Token) -> s.Symbol:
        return s.Symbol(token.text, span=self.place(token))

    def figure(self, token: Token) -> s.Quantity:
        """A quantity where one must stand; a bare number is one without a unit."""
        return self.quantity([token], self.place(token))

    def path(self, parts: Parts, span: Span) -> s.Path:
        return s.Path(self.idents(parts), span=span)

    def label(self, parts: Parts, span: Span) -> s.Label:
        return s.Label(self.ident(parts[0]), span=span)

    # Types

    def named_type(self, parts: Parts, span: Span) -> s.NamedType:
        return s.NamedType(parts[0], span=span)

    def list_type(self, parts: Parts, span: Span) -> s.ListType:
        return s.ListType(parts[0], span=span)

    def map_type(self, parts: Parts, span: Span) -> s.MapType:
        return s.MapType(parts[0], parts[1], span=span)

    def maybe_type(self, parts: Parts, span: Span) -> s.OptionType:
        return s.OptionType(parts[0], span=span)

    def stream_type(self, parts: Parts, span: Span) -> s.StreamType:
        return s.StreamType(parts[0], span=span)

    def labelled_type(self, parts: Parts, span: Span) -> s.LabelledType:
        inner, label = parts
        if isinstance(inner, s.LabelledType):
            return s.LabelledType(inner.type, (*inner.labels, label), span=span)
        return s.LabelledType(inner, (label,), span=span)

    def tensor_type(self, parts: Parts, span: Span) -> s.TensorType:
        element, *sizes = parts
        shape = tuple(
            s.Number(size.text, span=self.place(size)) if size.kind == "NUMBER" else self.ident(size) for size in sizes
        )
        return s.TensorType(self.ident(element), shape, span=span)

    # Literals

    def number(self, parts: Parts, span: Span) -> s.Number:
        return s.Number(parts[0].text, span=span)

    def quantity(self, parts: Parts, span: Span) -> s.Quantity:
        return texts.quantity(parts[0].text, span)

    def true(self, parts: Parts, span: Span) -> s.Bool:
        return s.Bool(True, span=span)

    def false(self, parts: Parts, span: Span) -> s.Bool:
        return s.Bool(False, span=span)

    def template(self, parts: Parts, span: Span) -> s.Template:
        opening, *middle, _ = parts
        is_long = opening.text == '"""'
        raws: list[str | None] = [None if isinstance(part, s.Hole) else part.text for part in middle]
        if is_long:
            raws = texts.dedent(raws)
        out: list[s.TextPart | s.Hole] = []
        for part, raw in zip(middle, raws, strict=True):
            if raw is None:
                out.append(part)
                continue
            text = "}" if part.text == "}" else self.unescape(part, raw)
            if not text:
                continue
            place = self.source.span(part.start, part.end)
            if out and isinstance(out[-1], s.TextPart):
                out[-1] = s.TextPart(out[-1].text + text, span=out[-1].span.to(place))
            else:
                out.append(s.TextPart(text, span=place))
        return s.Template(tuple(out), is_long, span=span)

    def unescape(self, part: Token, raw: str) -> str:
        def bad(_: int, text: str) -> None:
            # Indentation may have moved the text, so the escape is found again in the source.
            at = part.start + max(0, part.text.find(text))
            self.report(problems.bad_escape(self.source.span(at, at + len(text)), text))

        return texts.unescape(raw, bad)

    def hole(self, parts: Parts, span: Span) -> s.Hole:
        return s.Hole(parts[1], span=span)

    def list(self, parts: Parts, span: Span) -> s.ListLiteral:
        return s.ListLiteral(tuple(parts), span=span)

    def map(self, parts: Parts, span: Span) -> s.MapLiteral:
        return s.MapLiteral(tuple(parts), span=span)

    def entry(self, parts: Parts, span: Span) -> s.MapEntry:
        return s.MapEntry(parts[0], parts[1], span=span)

    # Operators

    def name(self, parts: Parts, span: Span) -> s.Name:
        return s.Name(parts[0].text, span=span)

    def group(self, parts: Parts, span: Span) -> s.Expr:
        return parts[0]

    def access(self, parts: Parts, span: Span) -> s.Access:
        return s.Access(parts[0], self.ident(parts[1]), span=span)

    def index(self, parts: Parts, span: Span) -> s.Index:
        return s.Index(parts[0], parts[1], span=span)

    def call(self, parts: Parts, span: Span) -> s.Call:
        return s.Call(parts[0], parts[1], span=span)

    def arguments(self, parts: Parts, span: Span) -> tuple[s.Argument, ...]:
        named = False
        for argument in parts:
            if argument.name is not None:
                named = True
            elif named:
                self.report(problems.positional_after_named(argument.span))
        return tuple(parts)

    def argument(self, parts: Parts, span: Span) -> s.Argument:
        return s.Argument(None, parts[0], span=span)

    def named_argument(self, parts: Parts, span: Span) -> s.Argument:
        return s.Argument(self.ident(parts[0]), parts[1], span=span)

    def binary(self, parts: Parts, span: Span) -> s.Binary:
        left, operator, right = parts
        return s.Binary(left, self.symbol(operator), right, span=span)

    def unary(self, parts: Parts, span: Span) -> s.Unary:
        return s.Unary(self.symbol(parts[0]), parts[1], span=span)

    def pipe(self, parts: Parts, span: Span) -> s.Expr:
        value, call = parts
        if isinstance(call, s.As | s.Into):
            # What is converted is what the call gives, with the piped value as its first argument.
            return replace(call, value=self.pipe([value, call.value], value.span.to(call.value.span)), span=span)
        if not isinstance(call, s.Call):
            self.report(problems.pipe_needs_call(call.span))
            call = s.Call(call, (), span=call.span)
        return s.Pipe(value, call, span=span)

    def as_(self, parts: Parts, span: Span) -> s.As:
        return s.As(parts[0], parts[1], span=span)

    def into(self, parts: Parts, span: Span) -> s.Into:
        return s.Into(parts[0], parts[1], span=span)

    def otherwise(self, parts: Parts, span: Span) -> s.Otherwise:
        if len(parts) == 2:
            return s.Otherwise(parts[0], (), parts[1], span=span)
        return s.Otherwise(parts[0], parts[1], parts[2], span=span)

    def reasons(self, parts: Parts, span: Span) -> tuple[s.Ident, ...]:
        return self.idents(parts)

    # Policies

    def with_(self, parts: Parts, span: Span) -> s.With:
        return s.With(parts[0], tuple(parts[1:]), span=span)

    def timeout(self, parts: Parts, span: Span) -> s.Timeout:
        return s.Timeout(parts[0], span=span)

    def idle(self, parts: Parts, span: Span) -> s.Idle:
        return s.Idle(parts[0], span=span)

    def breaker(self, parts: Parts, span: Span) -> s.Breaker:
        return s.Breaker(parts[0], parts[1], span=span)

    def rate_limit(self, parts: Parts, span: Span) -> s.RateLimit:
        return s.RateLimit(self.figure(parts[0]), span=span)

    def retry(self, parts: Parts, span: Span) -> s.Retry:
        return s.Retry(parts[0], parts[1] if len(parts) > 1 else None, span=span)

    def hedge(self, parts: Parts, span: Span) -> s.Hedge:
        return s.Hedge(parts[0], span=span)

    def cache(self, parts: Parts, span: Span) -> s.Cache:
        return s.Cache(parts[0], span=span)

    def buffer(self, parts: Parts, span: Span) -> s.Buffer:
        return s.Buffer(parts[0], self.ident(parts[1]) if len(parts) > 1 else None, span=span)

    def latest(self, parts: Parts, span: Span) -> s.Latest:
        return s.Latest(span=span)

    def place_(self, parts: Parts, span: Span) -> s.Place:
        return s.Place(self.ident(parts[0]), span=span)

    def approve(self, parts: Parts, span: Span) -> s.Approve:
        return s.Approve(parts[0], span=span)

    # Forms with blocks

    def if_(self, parts: Parts, span: Span) -> s.If:
        return s.If(parts[0], parts[1], parts[2] if len(parts) > 2 else None, span=span)

    def match(self, parts: Parts, span: Span) -> s.Match:
        return s.Match(parts[0], tuple(parts[1:]), span=span)

    def arm(self, parts: Parts, span: Span) -> s.Arm:
        return s.Arm(parts[0], parts[1], span=span)

    def wildcard(self, parts: Parts, span: Span) -> s.Wildcard:
        return s.Wildcard(span=span)

    def pattern(self, parts: Parts, span: Span) -> s.CasePattern:
        case, *binders = parts
        bound = tuple(b if isinstance(b, s.Wildcard) else self.ident(b) for b in binders)
        return s.CasePattern(case, bound, span=span)

    def condition(self, parts: Parts, span: Span) -> tuple[str, s.Expr]:
        return "condition", parts[0]

    def at_once(self, parts: Parts, span: Span) -> tuple[str, s.Expr]:
        return "at_once", parts[0]

    def for_(self, parts: Parts, span: Span) -> s.For:
        variable, source, *options, body = parts
        found = dict(options)
        return s.For(self.ident(variable), source, found.get("condition"), found.get("at_once"), body, span=span)

    def repeat(self, parts: Parts, span: Span) -> s.Repeat:
        state, initial, times, body = parts
        return s.Repeat(self.ident(state), initial, times, body, span=span)

    def race(self, parts: Parts, span: Span) -> s.Race:
        return s.Race(tuple(parts), span=span)

    def interruptible(self, parts: Parts, span: Span) -> s.Interruptible:
        return s.Interruptible(parts[0], span=span)

    # Statements

    def block(self, parts: Parts, span: Span) -> s.Block:
        return s.Block(tuple(parts), span=span)

    def bind(self, parts: Parts, span: Span) -> s.Bind:
        return s.Bind(self.ident(parts[0]), parts[1], span=span)

    def emit(self, parts: Parts, span: Span) -> s.Emit:
        return s.Emit(parts[0], span=span)

    def return_(self, parts: Parts, span: Span) -> s.Return:
        return s.Return(parts[0], span=span)

    def stop(self, parts: Parts, span: Span) -> s.Stop:
        return s.Stop(parts[0], parts[1] if len(parts) > 1 else None, span=span)

    def next(self, parts: Parts, span: Span) -> s.Next:
        return s.Next(parts[0], span=span)

    def given(self, parts: Parts, span: Span) -> s.Given:
        target, *arguments, answer = parts
        return s.Given(target, arguments[0] if arguments else None, answer, span=span)

    def expect(self, parts: Parts, span: Span) -> s.Expect:
        return s.Expect(parts[0], span=span)

    def expression(self, parts: Parts, span: Span) -> s.ExprStatement:
        return s.ExprStatement(parts[0], span=span)
