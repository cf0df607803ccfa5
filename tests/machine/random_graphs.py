"""Any pipeline that the language allows, in small: nested branches and loops, streams used many times and in any order,
stages that read several streams or stop reading early, items sent out from anywhere, and regions that fail.

What such a pipeline gives does not depend on time. Where the language lets time decide (a failure behind the first item
of a stream, the branch that wins a race), the graphs here avoid it: stages that fail stand only where a value is made
and nothing is sent out, and all branches of a race give the same.
"""

from __future__ import annotations

from collections.abc import Callable

from graphs import Body
from hypothesis import strategies as st

from agentlang.ir.graph import Attribute, Graph, Value
from agentlang.lang.types import BOOL, TEXT, ListType, MapType, OptionType, StreamType, TurnType, Type

TEXTS, STREAM = ListType(TEXT), StreamType(TEXT)
Draw = Callable[[st.SearchStrategy[int]], int]


class _Writer:
    def __init__(self, draw: Draw, sends: bool, timed: bool) -> None:
        self._draw = draw
        self.timed = timed
        self.sends = sends
        self.fragile = False  # whether stages may fail here
        self.newer = False  # whether a newer item may interrupt what is here

    def pick(self, count: int) -> int:
        return self._draw(st.integers(0, count - 1))

    def among(self, pool: list[Value], *types: Type) -> Value:
        fitting = [value for value in pool if value.type in types]
        # The newest first: what is made last is seldom used otherwise, and an unused stream never runs.
        return fitting[-1 - self.pick(min(4, len(fitting)))]

    def block(self, body: Body, pool: list[Value], result: Type, depth: int) -> Value:
        """Writes a few operations, and gives a value of the type."""
        pool = list(pool)
        for _ in range(self.pick(9) + 1 + depth):
            made = self.operation(body, pool, depth)
            if made is not None:
                pool.append(made)
        if result == STREAM and not any(value.type == STREAM for value in pool):
            pool.append(body.stage("w:words", STREAM, text=self.among(pool, TEXT)))
        return self.among(pool, result)

    def operation(self, body: Body, pool: list[Value], depth: int) -> Value | None:
        streams = any(value.type == STREAM for value in pool)
        choice = self.pick(25)
        match choice:
            case 0 | 1:
                return body.stage("w:words", STREAM, text=self.among(pool, TEXT))
            case 2:
                return body.template(self.among(pool, TEXT), "-", self.among(pool, TEXT))
            case 3:
                return body.stage(
                    "w:glue", TEXT, first=self.among(pool, TEXT, STREAM), second=self.among(pool, TEXT, STREAM)
                )
            case 4:
                return body.list(*(self.among(pool, TEXT) for _ in range(self.pick(3) + 1)))
            case 5 | 6 if streams:
                one = ("w:shout", "w:thin", "w:head")[self.pick(3)]
                return body.stage(one, STREAM, stream=self.among(pool, STREAM))
            case 7 | 8 if streams:
                two = ("w:cat", "w:late", "w:weave")[self.pick(3)]
                return body.stage(two, STREAM, first=self.among(pool, STREAM), second=self.among(pool, STREAM))
            case 9 if streams:
                return body.stage("w:first", TEXT, stream=self.among(pool, STREAM))
            case 10 | 11 if streams:
                return body.collect(self.among(pool, STREAM))
            case 12 if self.sends:
                body.emit(self.among(pool, TEXT, STREAM))
            case 13 if depth:
                condition = body.binary("contains", self.among(pool, TEXT), body.constant("1"), BOOL)
                kind = (TEXT, STREAM)[self.pick(2)]

                def branch(inner: Body) -> Value:
                    return self.block(inner, pool, kind, depth - 1)

                return body.choose(condition, branch, branch, kind)
            case 14 | 15 if depth:
                return self.loop(body, pool, depth)
            case 16 | 17 if depth:
                return self.attempt(body, pool, depth)
            case 18 if self.fragile:
                return body.stage("w:fragile", TEXT, text=self.among(pool, TEXT))
            case 19 if depth:
                return self.repeat(body, pool, depth)
            case 20 if depth:
                return self.match(body, pool, depth)
            case 22 | 23 if depth:
                return self.generator(body, pool, depth)
            case 24 if self.sends and depth:
                self.sending(body, pool, depth)
            case 21 if streams:
                return body.buffered(self.among(pool, STREAM))
            case _:
                pass
        return None

    def generator(self, body: Body, pool: list[Value], depth: int) -> Value:
        """The call of a pipeline that emits."""
        gives = bool(self.pick(2))
        before, self.sends = self.sends, True

        def write(inner: Body) -> Value | None:
            last = self.block(inner, pool, STREAM, depth - 1)
            if not gives:
                inner.emit(last)
            return last if gives else None

        made = body.generator(write, STREAM)
        self.sends = before
        return made

    def sending(self, body: Body, pool: list[Value], depth: int) -> None:
        """Lines that stand for what their blocks send."""

        def send(inner: Body, known: list[Value]) -> None:
            inner.emit(self.block(inner, known, (TEXT, STREAM)[self.pick(2)], depth - 1))

        overs = [value for value in pool if value.type in (TEXTS, STREAM)]
        if self.pick(2) and overs:
            over = overs[self.pick(len(overs))]
            newer, self.newer = self.newer, self.newer or over.type == STREAM
            body.each_does(over, lambda inner, item: send(inner, [*pool, item]), self.pick(3) + 1)
            self.newer = newer
        else:
            condition = body.binary("contains", self.among(pool, TEXT), body.constant("1"), BOOL)
            branches = [lambda inner: send(inner, pool)] * (1 + self.pick(2))
            body.choose_to(condition, *branches)

    def attempt(self, body: Body, pool: list[Value], depth: int) -> Value:
        """One of the regions that may fail, or a policy around one."""
        kind = (TEXT, STREAM)[self.pick(2)]
        sends, fragile = self.sends, self.fragile
        # A value may fail and sends nothing; a stream sends what it likes and does not fail.
        self.fragile = kind == TEXT
        self.sends = sends and kind == STREAM

        def region(inner: Body) -> Value:
            return self.block(inner, pool, kind, depth - 1)

        def last(inner: Body) -> Value:
            # What fails here fails the region around, so it may only where that may fail.
            self.fragile = fragile and kind == TEXT
            return self.block(inner, pool, kind, depth - 1)

        choice = self.pick(5)
        if choice <= 1:
            made = body.attempt(region, last, kind)
        elif choice == 2 and kind == TEXT:
            same = self.among(pool, TEXT)

            def branch(inner: Body) -> Value:
                region(inner)
                return same

            def sound(inner: Body) -> Value:
                last(inner)
                return same

            made = body.race(TEXT, branch, sound, branch) if self.pick(2) else body.race(TEXT, branch, sound)
        elif choice == 3 and not self.newer:
            self.fragile = fragile and kind == TEXT
            made = body.interruptible(region, kind)
        else:
            self.fragile = fragile and kind == TEXT
            policies: dict[str, Attribute] = {
                "retries": self.pick(3),
                "backoff": (0.0, 3.0)[self.pick(2)],
                "hedge": (None, 2.0)[self.pick(2)] if not self.sends else None,
                "rate": (None, 0.25)[self.pick(2)],
                "cache": (None, 1e6)[self.pick(2)],
                "buffer": (None, 1, 3)[self.pick(3)],
            }
            if self.timed:
                policies |= {
                    "timeout": (None, 4.0, 20.0)[self.pick(3)],
                    "idle": (None, 2.0)[self.pick(2)],
                    "breaker": (None, 2)[self.pick(2)],
                    "breaker_pause": 10.0,
                    "drop": ("wait", "oldest")[self.pick(2)],
                }
            made = body.guard(region, kind, **policies)
        self.sends, self.fragile = sends, fragile
        return made

    def repeat(self, body: Body, pool: list[Value], depth: int) -> Value:
        def turn(inner: Body, state: Value) -> Value:
            following = self.block(inner, [*pool, state], TEXT, depth - 1)
            stop = inner.binary("contains", following, inner.constant("2"), BOOL)
            return inner.choose(
                stop, lambda b: b.turn(following, True), lambda b: b.turn(following, False), TurnType(TEXT)
            )

        return body.repeat(self.among(pool, TEXT), self.pick(3) + 1, turn)

    def match(self, body: Body, pool: list[Value], depth: int) -> Value:
        kind = (TEXT, STREAM)[self.pick(2)]
        table = body.operation("agent.table", (self.among(pool, TEXT),), MapType(TEXT), keys=("a",))
        found = body.operation("agent.index", (table, body.constant("ab"[self.pick(2)])), OptionType(TEXT))
        return body.match(
            found,
            kind,
            none=((), lambda inner: self.block(inner, pool, kind, depth - 1)),
            some=((TEXT,), lambda inner, text: self.block(inner, [*pool, text], kind, depth - 1)),
        )

    def loop(self, body: Body, pool: list[Value], depth: int) -> Value | None:
        overs = [value for value in pool if value.type in (TEXTS, STREAM)]
        if not overs:
            return None
        over = overs[self.pick(len(overs))]
        flat = bool(self.pick(2))
        kind = STREAM if flat or over.type == STREAM else TEXTS

        def turn(inner: Body, item: Value) -> Value:
            newer, self.newer = self.newer, self.newer or over.type == STREAM
            made = self.block(inner, [*pool, item], STREAM if flat else TEXT, depth - 1)
            self.newer = newer
            return made

        def where(inner: Body, item: Value) -> Value:
            return inner.binary("contains", item, inner.constant("1"), BOOL)

        return body.each(over, turn, kind, where if self.pick(3) == 0 else None, at_most=self.pick(3) + 1)


@st.composite
def graphs(draw: Draw, timed: bool = False) -> Graph:
    """`timed`: with policies that make what comes out depend on time."""
    result = (TEXT, STREAM)[draw(st.integers(0, 1))]
    writer = _Writer(draw, sends=result == STREAM, timed=timed)
    body = Body("p")
    pool = [body.input("question", TEXT), body.constant("abcd1")]
    return body.graph(writer.block(body, pool, result, depth=2))
