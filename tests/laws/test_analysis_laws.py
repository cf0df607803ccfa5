"""Laws of what is told of whole programs: nothing a run does is left out, and more in a program never tells less."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from random import Random
from typing import Any, TypeAlias, cast

from analysis_programs import (
    REDACT,
    TEXTS,
    bind,
    branch,
    call,
    chat,
    each,
    everything,
    flag,
    goal,
    guard,
    keep,
    otherwise,
    parameter,
    pipeline,
    program,
    race,
    ref,
    repeat,
    run,
    stage,
    template,
    text,
    texts,
    tool,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from agentlang.lang import program as p
from agentlang.lang.analysis import analyse
from agentlang.lang.analysis.amounts import Bound, amount
from agentlang.lang.analysis.bounds import Bounds
from agentlang.lang.analysis.lengths import Lengths
from agentlang.lang.analysis.timing import Timing
from agentlang.lang.analysis.whole import Whole

SEND = tool("send", "network")
WORK = stage("work", "text")
LENGTHS = {"len(many)": 3, "len(more)": 2}
seeds = st.integers(0, 2**32)

Value: TypeAlias = "set[str] | list[Value]"


class Maker:
    """Random sound programs: three pipelines, each of which may call those before it."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.names: list[str] = []
        self.bound = 0
        self.callable: list[str] = []

    def program(self) -> p.Program:
        made: list[p.Pipeline] = []
        for name in ("one", "two", "main"):
            self.names = ["first", "second"]
            made.append(pipeline(name, self.parameters(), *self.body(3)))
            self.callable.append(name)
        return program(*made, goals=(goal("main", keep("pii", "here")),))

    @staticmethod
    def parameters() -> tuple[p.Parameter, ...]:
        lists = (parameter("many", type=TEXTS), parameter("more", type=TEXTS))
        return (parameter("first", "pii"), parameter("second"), *lists, parameter("flag"))

    def body(self, depth: int) -> list[p.Statement | p.Expression]:
        held = list(self.names)
        parts: list[p.Statement | p.Expression] = []
        for _ in range(self.random.randint(0, 2)):
            value = self.text(depth)
            name = self.fresh()
            parts.append(bind(name, value))
            self.names.append(name)
        parts.append(self.text(depth))
        self.names = held
        return parts

    def fresh(self) -> str:
        self.bound += 1
        return f"n{self.bound}"

    def some(self, depth: int) -> p.Expression:
        """A list of texts."""
        match self.random.randint(0, 3 if depth else 1):
            case 0:
                return texts(*[self.text(0) for _ in range(self.random.randint(1, 3))])
            case 1:
                return ref(self.random.choice(["many", "more"]), TEXTS)
            case 2:
                left, right = self.some(depth - 1), self.some(depth - 1)
                return p.Binary(type=TEXTS, span=text().span, operator="+", left=left, right=right)
            case _:
                return self.each(depth)

    def each(self, depth: int) -> p.Expression:
        over, name = self.some(depth - 1), self.fresh()
        self.names.append(name)
        body = self.body(depth - 1)
        self.names.remove(name)
        return each(name, over, *body, at_most=self.random.choice([1, 2, 16]))

    def text(self, depth: int) -> p.Expression:
        deeper = depth - 1
        match self.random.randint(0 if depth < 3 else 3, 13 if depth > 0 else 2):
            case 0:
                return text()
            case 1 | 2:
                return ref(self.random.choice(self.names))
            case 3:
                return template("x", self.text(deeper), self.text(deeper))
            case 4:
                return call(self.random.choice([SEND, SEND, WORK, REDACT]), self.text(deeper))
            case 5:
                return everything(chat(self.text(deeper)))
            case 6:
                return call(WORK, self.each(deeper))
            case 7:
                then, other = self.text(deeper), self.text(deeper)
                return branch(flag(), then, other)
            case 8:
                return race(self.text(deeper), self.text(deeper))
            case 9:
                return otherwise(self.text(deeper), self.text(deeper))
            case 10:
                timeout, retries = self.random.choice([None, 1.0, 5.0]), self.random.randint(0, 2)
                return guard(self.text(deeper), timeout=timeout, retries=retries, backoff=0.5)
            case 11:
                initial, name = self.text(deeper), self.fresh()
                self.names.append(name)
                body = self.body(deeper)
                self.names.remove(name)
                return repeat(name, initial, self.random.randint(1, 3), *body)
            case 12 if self.callable:
                name = self.random.choice(self.callable)
                return run(
                    name,
                    first=self.text(deeper),
                    second=self.text(deeper),
                    many=ref("many", TEXTS),
                    more=self.some(0),
                    flag=flag(),
                )
            case _:
                return p.Declassify(type=text().type, span=text().span, value=self.text(deeper))


class Run:
    """One run: every choice at random. A text is the labels that it carries, a list a list of such."""

    def __init__(self, made: p.Program, random: Random) -> None:
        self.made = made
        self.random = random
        self.sent: set[int] = set()
        self.stages = 0
        self.asked = 0

    def main(self) -> None:
        given: dict[str, Value] = {name: set[str]() for name in ("first", "second", "flag")}
        for name in ("many", "more"):
            given[name] = [set[str]() for _ in range(LENGTHS[f"len({name})"])]
        self.pipeline("main", given)

    def pipeline(self, name: str, arguments: Mapping[str, Value]) -> Value:
        found = self.made.pipeline(name)
        assert found is not None
        names = dict(arguments)
        for declared in found.parameters:
            value = names[declared.name]
            if isinstance(value, set):
                names[declared.name] = value | declared.labels
        return self.block(found.body, names)

    def block(self, inside: p.Block, names: dict[str, Value]) -> Value:
        for statement in inside.statements:
            assert isinstance(statement, p.Bind)
            names[statement.name] = self.value(statement.value, names)
        assert inside.result is not None
        return self.value(inside.result, names)

    def all(self, *nodes: p.Expression, names: dict[str, Value]) -> set[str]:
        return {label for node in nodes for label in flat(self.value(node, names))}

    def value(self, node: p.Expression, names: dict[str, Value]) -> Value:
        match node:
            case p.Literal():
                return set[str]()
            case p.Reference():
                return names[node.name]
            case p.StageCall():
                self.stages += 1
                self.asked += node.stage.entry == "llm:chat"
                values = [a.value for a in node.arguments if not isinstance(a.value, p.HandleReference)]
                labels = self.all(*values, names=names)
                if node.stage is SEND and "pii" in labels:
                    self.sent.add(node.span.start)
                return set[str]() if node.stage is REDACT else labels
            case p.PipelineCall():
                return self.pipeline(node.pipeline, {a.name: self.value(a.value, names) for a in node.arguments})
            case p.ListOf():
                return [self.value(item, names) for item in node.items]
            case p.Binary():
                left, right = self.value(node.left, names), self.value(node.right, names)
                assert isinstance(left, list) and isinstance(right, list)
                return [*left, *right]
            case p.MapOver():
                over = self.value(node.over, names)
                assert isinstance(over, list)
                return [self.block(node.body, {**names, node.variable: item}) for item in over]
            case p.If():
                return self.block(self.random.choice([node.then, node.otherwise]), names)
            case p.Race():
                return self.random.choice([self.value(b, names) for b in node.branches])
            case p.Otherwise():
                tried = self.value(node.value, names)
                return tried if self.random.random() < 0.5 else self.value(node.fallback, names)
            case p.With():
                for _ in range(self.random.randint(0, node.policies.retries)):
                    self.value(node.call, names)
                return self.value(node.call, names)
            case p.Repeat():
                state = self.value(node.initial, names)
                for _ in range(self.random.randint(1, node.at_most)):
                    state = self.block(node.body, {**names, node.state: state})
                return state
            case p.Declassify():
                self.value(node.value, names)
                return set[str]()
            case _:
                return self.all(*p.children(node), names=names)


def flat(value: Value) -> set[str]:
    if isinstance(value, set):
        return value
    return {label for item in value for label in flat(item)}


def at_lengths(bound: Bound) -> float:
    number = bound.replaced(lambda name: amount(LENGTHS[name])).number
    assert number is not None
    return number


@settings(max_examples=80, deadline=None)
@given(seeds)
def test_every_label_that_a_run_carries_to_a_tool_is_reported(seed: int) -> None:
    random = Random(seed)
    made = Maker(random).program()
    reported = {r.span.start for q in analyse(made) if q.slug == "label-reaches-tool" for r in q.related if r.span}
    reported |= {q.span.start for q in analyse(made) if q.span and q.slug == "label-reaches-tool"}
    arguments = {
        a.value.span.start: node.span.start
        for q in made.pipelines
        for node in p.walk(q.body)
        if isinstance(node, p.StageCall) and node.stage is SEND
        for a in node.arguments
    }
    found = {arguments[start] for start in reported if start in arguments}
    for _ in range(5):
        one = Run(made, random)
        one.main()
        assert one.sent <= found


@settings(max_examples=80, deadline=None)
@given(seeds)
def test_no_run_does_more_than_its_bound(seed: int) -> None:
    random = Random(seed)
    made = Maker(random).program()
    counts = Bounds(made).pipelines["main"].counts
    for _ in range(5):
        one = Run(made, random)
        one.main()
        assert one.stages <= at_lengths(counts.steps) + 1e-6
        assert one.asked <= at_lengths(counts.model_calls) + 1e-6


@settings(max_examples=50, deadline=None)
@given(seeds, st.sampled_from(["first", "second", "flag"]), st.booleans())
def test_another_label_never_removes_a_problem(seed: int, name: str, strict: bool) -> None:
    made = Maker(Random(seed)).program()

    def labelled(before: p.Pipeline) -> p.Pipeline:
        parameters = (replace(q, labels=q.labels | {"pii"}) if q.name == name else q for q in before.parameters)
        return replace(before, parameters=tuple(parameters))

    more = replace(made, pipelines=tuple(map(labelled, made.pipelines)))
    before = {(q.slug, q.span and q.span.start) for q in analyse(made, strict)}
    after = {(q.slug, q.span and q.span.start) for q in analyse(more, strict)}
    assert before <= after
    assert {(q.slug, q.span and q.span.start) for q in analyse(made)} <= before


@settings(max_examples=50, deadline=None)
@given(seeds)
def test_a_program_that_does_more_has_no_lower_bound(seed: int) -> None:
    made = Maker(Random(seed)).program()
    main = made.pipelines[-1]
    assert main.body.result is not None
    last = main.body.result
    for more in (guard(last, retries=2), template(last, everything(chat(text()))), repeat("again", last, 2, last)):
        larger = replace(made, pipelines=(*made.pipelines[:-1], replace(main, body=replace(main.body, result=more))))
        before, after = Bounds(made).pipelines["main"], Bounds(larger).pipelines["main"]
        assert all(b.covers(a) for a, b in zip(before.counts.all, after.counts.all, strict=True))
        assert after.seconds.covers(before.seconds) and after.stated.covers(before.stated)


@settings(max_examples=50, deadline=None)
@given(seeds)
def test_a_longer_timeout_is_never_a_shorter_time(seed: int) -> None:
    made = Maker(Random(seed)).program()

    def longer(node: Any) -> Any:
        if isinstance(node, p.Policies):
            return replace(node, timeout=None if node.timeout is None else node.timeout * 2)
        if isinstance(node, tuple):
            return tuple(longer(part) for part in cast("tuple[Any, ...]", node))
        if is_dataclass(node) and not isinstance(node, type | p.StageSignature):
            changed = {part.name: longer(getattr(node, part.name)) for part in fields(node)}
            return replace(node, **{name: value for name, value in changed.items() if name not in ("span", "type")})
        return node

    slower = replace(made, pipelines=tuple(longer(q) for q in made.pipelines))
    before, after = (Timing(q, Lengths(q)).pipelines["main"] for q in (Whole(made), Whole(slower)))
    assert after.seconds.covers(before.seconds)


def test_the_random_programs_do_something() -> None:
    """The laws above would hold of programs that do nothing."""
    made = [Maker(Random(seed)).program() for seed in range(60)]
    assert sum(any(found.slug == "label-reaches-tool" for found in analyse(q)) for q in made) > 10
    assert sum(Bounds(q).pipelines["main"].counts.model_calls.plain > 0 for q in made) > 20
    assert sum(Bounds(q).pipelines["main"].stated.plain > 0 for q in made) > 20
