"""`for` over lists and streams, and `repeat` over one state value."""

from __future__ import annotations

from ...base.problems import Related
from ...base.source import Span
from .. import problems, program, syntax
from ..program import NO_LABELS, Labels
from ..syntax_problems import too_deep
from ..types import INT, NONE, ListType, OptionType, StreamType, TurnType, Type
from .body import Body, Role, nothing
from .conversions import convert, is_open, is_unknown, join
from .symbols import UNKNOWN

# Over a list, unless the program says otherwise.
_AT_ONCE = 16


# --- for -------------------------------------------------------------------------------------------------------------


def check_for(body: Body, node: syntax.For, expected: Type | None, *, valueless: bool = False) -> program.Expression:
    """A list of what the body gives, or a stream of it; `valueless`: nothing, since it stands for what it does."""
    guide = expected.element if isinstance(expected, ListType | StreamType) else None
    over = body.value(node.source)
    element = UNKNOWN
    streaming = isinstance(over.type, StreamType)
    if isinstance(over.type, ListType | StreamType):
        element = over.type.element
    elif not is_unknown(over.type):
        hint = "`for` goes over a list or a stream"
        if isinstance(over.type, OptionType):
            hint = "take the value out first: `match … { some(x) => …, none => … }`"
        what = "what `for` goes over"
        body.context.report(
            problems.wrong_type(what, "a list or a stream", str(over.type), over.span, body.origin(over), hint)
        )
    at_most = _at_once(body, node, streaming)
    with body.scope():
        body.bind(node.variable, "loop variable", element, over.labels)
        where = None if node.condition is None else body.condition(node.condition, "the condition of `where`")
        block = body.block(node.body, guide, Role("the body of this `for`", needs_value=not valueless))
    if valueless:
        return _loop(node, NONE, NO_LABELS, element, over, where, at_most, block)
    result = block.result or nothing(node.body.span)
    result = body.decided(result if guide is None else convert(result, guide) or result)
    if not streaming:
        result = body.settled(result, "what the body of a `for` over a list gives")
    block = program.Block(block.statements, result, block.span)
    given = result.type
    # Over a stream, a body that gives a stream is flattened: the items of one turn follow those of the turn before.
    type: Type = ListType(given) if not streaming else given if isinstance(given, StreamType) else StreamType(given)
    return _loop(node, type, result.labels, element, over, where, at_most, block)


def _loop(
    node: syntax.For,
    type: Type,
    labels: Labels,
    element: Type,
    over: program.Expression,
    where: program.Expression | None,
    at_most: int,
    block: program.Block,
) -> program.MapOver:
    return program.MapOver(
        type=type,
        span=node.span,
        labels=labels,
        variable=node.variable.text,
        variable_type=element,
        over=over,
        where=where,
        at_most=at_most,
        body=block,
    )


def _at_once(body: Body, node: syntax.For, streaming: bool) -> int:
    if node.at_once is None:
        return 1 if streaming else _AT_ONCE
    count = bound(body, node.at_once, "the bound of `at most`")
    if count is None:
        return 1
    if count < 1:
        hint = "the least is `at most 1 at once`, one after the other"
        body.context.report(problems.bad_bound(f"`at most {count} at once` lets nothing run", node.at_once.span, hint))
    elif streaming and count > 1:
        title = f"`at most {count} at once` over a stream, which is taken one item at a time"
        body.context.report(problems.bad_bound(title, node.at_once.span, "leave the bound out"))
    return count


def bound(body: Body, node: syntax.Number | syntax.Name, what: str) -> int | None:
    """A whole number that is known before the program runs, or None after a report."""
    found = body.expect(node, INT, what)
    if is_unknown(found.type):
        return None
    if isinstance(found, program.Literal) and isinstance(found.value, int):
        return found.value
    if found.type == INT and not isinstance(found, program.Literal):
        body.context.report(problems.not_constant(what, found.span))
    return None


# --- repeat ----------------------------------------------------------------------------------------------------------


class Loop:
    """The turns of one `repeat`: each gives a value of the state's type. Where one gives more than the first value told
    of the state (a Float after an Int, `none` after a Text, an item after `[]`, a label), `type` and `labels` are what
    the state must have, and the body is checked again."""

    __slots__ = ("first", "found", "labels", "state", "type", "wider")

    def __init__(self, state: str, type: Type, labels: Labels, first: Span) -> None:
        self.state = state
        self.first = first
        self.type = type
        self.labels = labels
        self.wider = type
        self.found: Labels = NO_LABELS

    def take(self, body: Body, node: syntax.Expr, stop: bool) -> program.Expression:
        open = is_open(self.type)
        word = "stop" if stop else "next"
        value = body.value(node, None if open else self.type, open=True)
        value = body.settled(body.plain(value), f"what `{word}` gives")
        joined = None if is_unknown(value.type) else join(self.wider, value.type)
        if joined is not None:
            self.wider = joined
        if not open or joined is None:
            fitted = convert(value, self.type)
            if fitted is None and joined is None:
                # `fit` says what does not go together.
                first = (Related(self.first, f"the first value makes `{self.state}` {self.type}"),)
                fitted = body.fit(value, self.type, f"what `{word}` gives, as the state `{self.state}`,", first)
            value = fitted or value
        self.found |= value.labels
        return program.Turn(type=TurnType(self.type), span=value.span, labels=value.labels, value=value, stop=stop)

    @property
    def settled(self) -> bool:
        return self.wider == self.type and self.found <= self.labels


def check_repeat(body: Body, node: syntax.Repeat, expected: Type | None) -> program.Expression:
    """The value is the state after `stop`, or after the last turn."""
    initial = body.plain(body.settled(body.value(node.initial, expected, open=True), "the first value of a `repeat`"))
    at_most = _times(body, node)
    loop = Loop(node.state.text, initial.type, initial.labels, initial.span)
    mark = body.mark()
    block = _turns(body, node, loop)
    while not loop.settled:
        if not body.again():
            body.context.report(too_deep(node.span, "loops whose turns say more than their first value", 40))
            break
        body.rewind(mark)
        loop = Loop(node.state.text, loop.wider, loop.labels | loop.found, initial.span)
        block = _turns(body, node, loop)
    if is_open(loop.type):
        body.decided(initial)
        return nothing(node.span)
    initial = body.fit(initial, loop.type, "the first value of a `repeat`")
    return program.Repeat(
        type=loop.type,
        span=node.span,
        labels=loop.labels | loop.found,
        state=node.state.text,
        state_type=loop.type,
        initial=initial,
        at_most=at_most,
        body=block,
    )


def _turns(body: Body, node: syntax.Repeat, loop: Loop) -> program.Block:
    """The body, checked with what is known of the state so far."""
    # What is still open fits everywhere for now, so that the body tells what it could be.
    type = UNKNOWN if is_open(loop.type) else loop.type
    body.loops += 1
    with body.scope():
        body.bind(node.state, "state of a `repeat`", type, loop.labels)
        block = body.block(node.body, None, Role("a turn of this `repeat`", turns=loop))
    body.loops -= 1
    return block


def _times(body: Body, node: syntax.Repeat) -> int:
    times = bound(body, node.times, "the bound of `repeat`")
    if times is not None and times < 1:
        hint = "write how many turns there may be, at least 1"
        body.context.report(problems.bad_bound(f"`at most {times} times` takes no turn", node.times.span, hint))
    return times or 1
