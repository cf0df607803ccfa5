"""Typed programs at random, for laws of `ir`: pipelines that call earlier ones, with loops in loops, branches, streams,
stages and chats. What a stage does is a toy (`ir_oracle`), so that a program's value can be told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import ir_programs as P
from hypothesis import strategies as st

from agentlang.lang import program as p
from agentlang.lang.types import BOOL, INT, TEXT, ListType, StreamType, Type

TEXTS, STREAM = ListType(TEXT), StreamType(TEXT)
TYPES = (TEXT, INT, BOOL, TEXTS, STREAM)
WORDS = st.sampled_from(["", "a", "naïve", "two words", 'x\n"y"', "\\{0}", "🙂", "\x00"])


@dataclass
class Writer:
    """Writes one pipeline. `depth` bounds how deep expressions nest."""

    draw: st.DrawFn
    name: str
    earlier: list[p.Pipeline]
    bound: int = 0
    line: int = 1
    names: set[str] = field(default_factory=set[str])

    def pick(self, count: int) -> int:
        return self.draw(st.integers(0, count - 1))

    def at(self) -> int:
        self.line = self.line % 50 + 1
        return self.line

    def fresh(self) -> str:
        # Words that stages, arguments and the compiler itself use, and clashes between them, are what may go wrong.
        word = self.draw(st.sampled_from(["x", "redact", "chat", "prompt", "x_2", "notes", "open", "then", "yield"]))
        name = word
        while name in self.names:
            self.bound += 1
            name = f"{word}{self.bound}"
        self.names.add(name)
        return name

    def pipeline(self) -> p.Pipeline:
        parameters = tuple(
            P.parameter(self.fresh(), self.draw(st.sampled_from([TEXT, TEXTS]))) for _ in range(self.pick(4))
        )
        result = self.draw(st.sampled_from([TEXT, TEXTS, STREAM]))
        scope = {parameter.name: parameter.type for parameter in parameters}
        body = self.block(scope, result, 3)
        return P.pipeline(self.name, self.at(), result, parameters, body)

    def block(self, scope: Mapping[str, Type], result: Type, depth: int) -> p.Block:
        known = dict(scope)
        statements: list[p.Statement] = []
        for _ in range(self.pick(3)):
            given = self.draw(st.sampled_from(TYPES))
            value = self.value(known, given, depth)
            name = self.fresh()
            statements.append(P.bind(self.at(), name, value))
            known[name] = given
        return P.block(self.at(), *statements, result=self.value(known, result, depth))

    def value(self, scope: Mapping[str, Type], given: Type, depth: int) -> p.Expression:
        names = [name for name, known in scope.items() if known == given]
        if names and (depth <= 0 or self.pick(2) == 0):
            return P.ref(names[self.pick(len(names))], given, self.at())
        calls = [each for each in self.earlier if each.result == given]
        if depth > 0 and calls and self.pick(3) == 0:
            callee = calls[self.pick(len(calls))]
            return P.invoke(callee, self.at(), *(self.value(scope, q.type, depth - 1) for q in callee.parameters))
        if depth > 0 and self.pick(6) == 0:
            return p.If(
                type=given,
                span=P.at(self.at()),
                condition=self.value(scope, BOOL, depth - 1),
                then=self.block(scope, given, depth - 1),
                otherwise=self.block(scope, given, depth - 1),
            )
        return self.made(scope, given, depth - 1)

    def made(self, scope: Mapping[str, Type], given: Type, depth: int) -> p.Expression:
        line = self.at()
        if given == INT:
            if depth > 0 and self.pick(2):
                return p.Length(type=INT, span=P.at(line), of=self.value(scope, TEXTS if self.pick(2) else TEXT, depth))
            return P.literal(self.draw(st.integers(-5, 5)), INT, line)
        if given == BOOL:
            if depth <= 0:
                return P.literal(bool(self.pick(2)), BOOL, line)
            left, right = self.value(scope, INT, depth), self.value(scope, INT, depth)
            return p.Binary(type=BOOL, span=P.at(line), operator="<", left=left, right=right)
        if given == TEXT:
            return self.text(scope, line, depth)
        return self.texts(scope, line, depth) if given == TEXTS else self.stream(scope, line, depth)

    def text(self, scope: Mapping[str, Type], line: int, depth: int) -> p.Expression:
        choice = self.pick(5) if depth > 0 else 0
        match choice:
            case 0:
                return P.text(self.draw(WORDS), line)
            case 1:
                return P.template(line, self.draw(WORDS), self.value(scope, TEXT, depth), self.value(scope, INT, depth))
            case 2:
                return P.call(P.REDACT, line, text=self.value(scope, TEXT, depth))
            case 3:
                return P.call(P.JOIN, line, texts=self.value(scope, TEXTS, depth), separator=P.text(",", line))
            case _:
                return P.collect(self.value(scope, STREAM, depth))

    def texts(self, scope: Mapping[str, Type], line: int, depth: int) -> p.Expression:
        choice = self.pick(3) if depth > 0 else 0
        match choice:
            case 0:
                items = tuple(self.value(scope, TEXT, depth) for _ in range(self.pick(3)))
                return p.ListOf(type=TEXTS, span=P.at(line), items=items)
            case 1:
                return P.call(P.SPLIT, line, text=self.value(scope, TEXT, depth), tokens=P.literal(2, INT, line))
            case _:
                return self.loop(scope, self.value(scope, TEXTS, depth), TEXT, line, depth)

    def stream(self, scope: Mapping[str, Type], line: int, depth: int) -> p.Expression:
        choice = self.pick(4) if depth > 0 else 0
        match choice:
            case 0:
                return P.chat(
                    line, self.value(scope, TEXT, depth), 1 + self.pick(9), "writer" if self.pick(2) else "other"
                )
            case 1:
                return P.call(P.SENTENCES, line, text=self.value(scope, STREAM, depth))
            case 2:
                return self.loop(scope, self.value(scope, STREAM, depth), TEXT, line, depth)
            case _:
                return self.loop(scope, self.value(scope, STREAM, depth), STREAM, line, depth)

    def loop(self, scope: Mapping[str, Type], over: p.Expression, item: Type, line: int, depth: int) -> p.MapOver:
        variable = self.fresh()
        inside = {**scope, variable: TEXT}
        where = self.value(inside, BOOL, depth) if self.pick(3) == 0 else None
        return P.loop(line, variable, over, self.block(inside, item, depth), 1 + self.pick(4), where)


@st.composite
def programs(draw: st.DrawFn) -> p.Program:
    """One to three pipelines; the last may call the others. Two models."""
    pipelines: list[p.Pipeline] = []
    for name in draw(st.sampled_from([["a"], ["a", "b"], ["redact", "a", "chat"]])):
        pipelines.append(Writer(draw, name, list(pipelines)).pipeline())
    return P.program(*pipelines, handles=(P.model("writer", 1), P.model("other", 2)))
