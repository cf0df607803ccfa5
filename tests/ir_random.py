"""Typed programs at random, for laws of `ir`: pipelines that call earlier ones, with loops in loops, branches of every
kind, fallbacks, policies, streams, stages and chats, some into an enum; those that give a stream may emit anywhere.
What a stage does is a toy (`ir_oracle`), so that a program's value can be told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import ir_programs as P
from hypothesis import strategies as st

from agentlang.lang import program as p
from agentlang.lang.types import (
    BOOL,
    INT,
    NONE,
    TEXT,
    EnumType,
    ListType,
    MapType,
    OptionType,
    StreamType,
    TurnType,
    Type,
)

TEXTS, STREAM, WANT, MAYBE, TABLE = ListType(TEXT), StreamType(TEXT), EnumType("Want"), OptionType(TEXT), MapType(TEXT)
TYPES = (TEXT, INT, BOOL, TEXTS, STREAM, WANT, MAYBE, TABLE)
ENUM = p.EnumDeclaration(
    "Want",
    (
        p.EnumCase("Say", (P.parameter("what", TEXT), P.parameter("often", INT)), P.at(1)),
        p.EnumCase("Ask", (P.parameter("whom", TEXT),), P.at(1)),
        p.EnumCase("Rest", (), P.at(1)),
    ),
    P.at(1),
)
WORDS = st.sampled_from(["", "a", "naïve", "two words", 'x\n"y"', "\\{0}", "🙂", "\x00"])


@dataclass
class Writer:
    """Writes one pipeline. `depth` bounds how deep expressions nest."""

    draw: st.DrawFn
    name: str
    earlier: list[p.Pipeline]
    bound: int = 0
    line: int = 1
    emits: bool = False
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
        self.emits = result == STREAM and self.pick(2) == 0
        body = self.block(scope, result, 3)
        if self.emits and self.pick(3) == 0:
            body = replace(body, statements=(*body.statements, self.send(scope, 2)), result=None)
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
            if self.emits and self.pick(3) == 0:
                statements.append(self.send(known, depth))
        return P.block(self.at(), *statements, result=self.value(known, result, depth))

    def send(self, scope: Mapping[str, Type], depth: int) -> p.Statement:
        """An `emit`, or a line that stands for what its blocks emit."""
        line = self.at()
        choice = self.pick(4) if depth > 0 else 3
        if choice == 0:
            variable = self.fresh()
            over = self.value(scope, (TEXTS, STREAM)[self.pick(2)], depth - 1)
            body = P.block(line, self.send({**scope, variable: TEXT}, depth - 1))
            return p.Evaluate(P.loop(line, variable, over, body, 1 + self.pick(4)), P.at(line))
        if choice == 1:
            then = P.block(line, self.send(scope, depth - 1))
            otherwise = P.block(line, *[self.send(scope, depth - 1)][: self.pick(2)])
            condition = self.value(scope, BOOL, depth - 1)
            choose = p.If(type=NONE, span=P.at(line), condition=condition, then=then, otherwise=otherwise)
            return p.Evaluate(choose, P.at(line))
        return p.Emit(self.value(scope, (TEXT, STREAM)[self.pick(2)], depth - 1), P.at(line))

    def value(self, scope: Mapping[str, Type], given: Type, depth: int) -> p.Expression:
        names = [name for name, known in scope.items() if known == given]
        if names and (depth <= 0 or self.pick(2) == 0):
            return P.ref(names[self.pick(len(names))], given, self.at())
        calls = [each for each in self.earlier if each.result == given]
        if depth > 0 and calls and self.pick(3) == 0:
            callee = calls[self.pick(len(calls))]
            return P.invoke(callee, self.at(), *(self.value(scope, q.type, depth - 1) for q in callee.parameters))
        if depth > 0 and self.pick(3) == 0:
            return self.around(scope, given, depth - 1)
        made = self.made(scope, given, depth - 1)
        return replace(made, labels=frozenset({"pii"})) if self.pick(9) == 0 else made

    def around(self, scope: Mapping[str, Type], given: Type, depth: int) -> p.Expression:
        """Something with bodies, of any type."""
        line = self.at()
        match self.pick(9):
            case 0:
                return p.If(
                    type=given,
                    span=P.at(line),
                    condition=self.value(scope, BOOL, depth),
                    then=self.block(scope, given, depth),
                    otherwise=self.block(scope, given, depth),
                )
            case 1:
                return self.match_enum(scope, given, line, depth)
            case 2:
                bound = self.fresh()
                some = P.arm(line, "some", self.block({**scope, bound: TEXT}, given, depth), P.parameter(bound, TEXT))
                other = P.arm(line, "none" if self.pick(2) else None, self.block(scope, given, depth))
                return P.match(line, self.value(scope, MAYBE, depth), some, other)
            case 3 if given != STREAM:
                return self.repeat(scope, given, line, depth)
            case 4:
                return P.race(line, *(self.value(scope, given, depth) for _ in range(1 + self.pick(3))))
            case 5:
                reasons = ("bad_value",) if self.pick(2) else ("timeout", "denied") if self.pick(2) else ()
                return P.otherwise(line, self.value(scope, given, depth), self.value(scope, given, depth), *reasons)
            case 6:
                question = self.value(scope, TEXT, depth) if self.pick(3) == 0 else None
                # So long that no toy is too slow, whatever a pass adds or takes away.
                policies = p.Policies(timeout=600.0, retries=self.pick(3), place="cpu", approve=question)
                return P.guarded(line, self.value(scope, given, depth), policies)
            case 7:
                return P.interruptible(line, self.block(scope, given, depth))
            case _:
                return p.Declassify(type=given, span=P.at(line), value=self.value(scope, given, depth))

    def match_enum(self, scope: Mapping[str, Type], given: Type, line: int, depth: int) -> p.Match:
        """Over some of the cases, and `_` where some are left."""
        arms: list[p.Arm] = []
        for case in ENUM.cases[: 1 + self.pick(3)]:
            names = [self.fresh() if self.pick(2) else None for _ in case.payload]
            binders = [
                None if name is None else P.parameter(name, field.type)
                for name, field in zip(names, case.payload, strict=True)
            ]
            bound = {binder.name: binder.type for binder in binders if binder is not None}
            arms.append(P.arm(line, case.name, self.block({**scope, **bound}, given, depth), *binders))
        if len(arms) < len(ENUM.cases):
            arms.append(P.arm(line, None, self.block(scope, given, depth)))
        return P.match(line, self.value(scope, WANT, depth), *arms)

    def repeat(self, scope: Mapping[str, Type], given: Type, line: int, depth: int) -> p.Repeat:
        state = self.fresh()
        inside = {**scope, state: given}
        branches = [
            P.block(line, result=P.turn(line, self.value(inside, given, depth), stop=bool(stop))) for stop in (1, 0)
        ]
        choice = p.If(
            type=TurnType(given),
            span=P.at(line),
            condition=self.value(inside, BOOL, depth),
            then=branches[0],
            otherwise=branches[1],
        )
        return P.repeat(line, state, self.value(scope, given, depth), P.block(line, result=choice), 1 + self.pick(3))

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
        if given == WANT:
            return self.want(scope, line, depth)
        if given == MAYBE:
            if depth <= 0:
                return P.literal(None, MAYBE, line)
            if self.pick(2):
                return p.Convert(type=MAYBE, span=P.at(line), value=self.value(scope, TEXT, depth))
            key = P.text("ab"[self.pick(2)], line)
            return p.IndexOf(type=MAYBE, span=P.at(line), base=self.value(scope, TABLE, depth), index=key)
        if given == TABLE:
            entries = tuple(p.Argument(key, self.value(scope, TEXT, depth)) for key in "abc"[: self.pick(3)])
            return p.TableOf(type=TABLE, span=P.at(line), entries=entries)
        return self.texts(scope, line, depth) if given == TEXTS else self.stream(scope, line, depth)

    def want(self, scope: Mapping[str, Type], line: int, depth: int) -> p.Expression:
        if depth > 0 and self.pick(2):
            return P.into(line, self.value(scope, TEXT, depth), WANT, 1 + self.pick(9))
        case = ENUM.cases[self.pick(3)] if depth > 0 else ENUM.cases[2]
        return P.case(line, ENUM, case.name, *(self.value(scope, field.type, depth) for field in case.payload))

    def text(self, scope: Mapping[str, Type], line: int, depth: int) -> p.Expression:
        choice = self.pick(6) if depth > 0 else 0
        match choice:
            case 5:
                # Outside of the list it fails.
                base = self.value(scope, TEXTS, depth)
                return p.IndexOf(type=TEXT, span=P.at(line), base=base, index=P.literal(self.pick(2), INT, line))
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
        choice = self.pick(5) if depth > 0 else 0
        match choice:
            case 4:
                return p.Buffered(type=STREAM, span=P.at(line), stream=self.value(scope, STREAM, depth))
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
    return P.program(*pipelines, handles=(P.model("writer", 1), P.model("other", 2)), enums=(ENUM,))
