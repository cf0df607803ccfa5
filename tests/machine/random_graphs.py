"""Any pipeline that the language allows, in small: nested branches and loops, streams used many times and in any order,
stages that read several streams or stop reading early, items sent out from anywhere.
"""

from __future__ import annotations

from collections.abc import Callable

from graphs import Body
from hypothesis import strategies as st

from agentlang.ir.graph import Graph, Value
from agentlang.lang.types import BOOL, TEXT, ListType, StreamType, Type

TEXTS, STREAM = ListType(TEXT), StreamType(TEXT)
Draw = Callable[[st.SearchStrategy[int]], int]


class _Writer:
    def __init__(self, draw: Draw, sends: bool) -> None:
        self._draw = draw
        self.sends = sends

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
        choice = self.pick(16)
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
            case _:
                pass
        return None

    def loop(self, body: Body, pool: list[Value], depth: int) -> Value | None:
        overs = [value for value in pool if value.type in (TEXTS, STREAM)]
        if not overs:
            return None
        over = overs[self.pick(len(overs))]
        flat = bool(self.pick(2))
        kind = STREAM if flat or over.type == STREAM else TEXTS

        def turn(inner: Body, item: Value) -> Value:
            return self.block(inner, [*pool, item], STREAM if flat else TEXT, depth - 1)

        def where(inner: Body, item: Value) -> Value:
            return inner.binary("contains", item, inner.constant("1"), BOOL)

        return body.each(over, turn, kind, where if self.pick(3) == 0 else None, at_most=self.pick(3) + 1)


@st.composite
def graphs(draw: Draw) -> Graph:
    result = (TEXT, STREAM)[draw(st.integers(0, 1))]
    writer = _Writer(draw, sends=result == STREAM)
    body = Body("p")
    pool = [body.input("question", TEXT), body.constant("abcd1")]
    return body.graph(writer.block(body, pool, result, depth=2))
