"""Labels of a compiled program are at least those that the checker finds in its text: what may not reach a tier is
never written down in clear."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from random import Random

from agent_sources import checked
from hypothesis import given, settings
from hypothesis import strategies as st

from agentlang.base.problems import has_errors
from agentlang.base.source import Span
from agentlang.ir.compile import compile_graph
from agentlang.ir.graph import walk
from agentlang.ir.labels import labels_of
from agentlang.ir.passes import PLAIN
from agentlang.lang import program as p
from agentlang.lang.analysis.flow import Flows
from agentlang.lang.analysis.whole import Whole
from agentlang.stdlib.library import Library

HEAD = """use std/text
type Card { owner: Text @pii, number: Text }
enum Want { Refund(who: Text @secret, what: Text), Other }
tool look(id: Text) -> Card = python("shop:look") effects [reads "cards"]
tool want(id: Text) -> Want = python("shop:want") effects [reads "wants"]
tool send(words: Text) -> Text = python("shop:send") effects []
tool keep(card: Card) -> Text @kept = python("shop:keep") effects []
"""


class _Every(Flows):
    """Asks what arrives at every call."""

    def matters(self, call: p.StageCall) -> bool:
        return True


class Writer:
    """Writes programs whose pipelines call those before them."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.names = 0
        self.pipelines: list[int] = []

    def program(self) -> str:
        return HEAD + "\n".join(self.pipeline(number) for number in range(4))

    def pipeline(self, number: int) -> str:
        count = self.random.randint(1, 3)
        names = [f"a{i}" for i in range(count)]
        labels = [self.random.choice(["", "", " @pii", " @secret"]) for _ in names]
        parameters = ", ".join(f"{name}: Text{label}" for name, label in zip(names, labels, strict=True))
        lines: list[str] = []
        for _ in range(self.random.randint(1, 3)):
            name = self.fresh()
            lines.append(f"  {name} = {self.text(names, 3)}")
            names.append(name)
        result = self.random.choice(["Text", "Text", "Text @made"])
        lines.append("  unused = [" + ", ".join(names) + "]\n  again = len(unused)")
        lines.append(f'  return if again > 9 {{ "{{again}}" }} else {{ {self.text(names, 3)} }}')
        self.pipelines.append(count)
        return f"pipeline p{number}({parameters}) -> {result} {{\n" + "\n".join(lines) + "\n}"

    def fresh(self) -> str:
        self.names += 1
        return f"n{self.names}"

    def text(self, names: list[str], depth: int) -> str:
        form = self.random.randint(0, 16) if depth else 0

        def part() -> str:
            return self.text(names, depth - 1)

        match form:
            case 1 | 2 if self.pipelines:
                called = self.random.randrange(len(self.pipelines))
                return f"p{called}({', '.join(part() for _ in range(self.pipelines[called]))})"
            case 3 | 4:
                return f"send({part()})"
            case 5:
                return f"text.redact({part()})"
            case 6:
                return f"declassify({part()})"
            case 7:
                return f"(if len({part()}) > 3 {{ {part()} }} else {{ {part()} }})"
            case 8:
                return f"Card(owner: {part()}, number: {part()}).{self.random.choice(['owner', 'number'])}"
            case 9:
                return f"look({part()}).{self.random.choice(['owner', 'number'])}"
            case 10:
                return f"keep(Card(owner: {part()}, number: {part()}))"
            case 11:
                return f"({part()} + {part()})"
            case 12:
                state = self.fresh()
                inner = self.text([*names, state], depth - 1)
                return f"(repeat {state} = {part()}, at most 3 times {{ next {inner} }})"
            case 13:
                item = self.fresh()
                inner = self.text([*names, item], depth - 1)
                return f"(for {item} in [{part()}, {part()}] {{ {inner} }})[0]"
            case 14:
                who, what = self.fresh(), self.fresh()
                inner = self.text([*names, who, what], depth - 1)
                return f"(match want({part()}) {{ Refund({who}, {what}) => {inner}, Other => {part()} }})"
            case 15:
                return f"(send({part()}) otherwise {part()})"
            case 16:
                return f"(race {{ send({part()}), {part()} }})"
            case _:
                return self.random.choice(names)


def _below(flows: Flows, pipeline: str) -> set[tuple[Span, str, str]]:
    """What arrives at which argument of a call, when the pipeline runs."""
    return {
        (reach.call.span, reach.argument, reach.origin[1:])
        for reach in flows.within(pipeline)
        if reach.origin.startswith("@")
    }


@given(st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_labels_of_operations_hold_what_the_checker_finds(seed: int) -> None:
    text = Writer(seed).program()
    program, problems = checked(text)
    assert program is not None and not has_errors(problems), (
        text,
        [(str(q.span), q.title) for q in problems if has_errors((q,))],
    )
    graph, problems = compile_graph(program, Library(Path()), passes=PLAIN)
    assert graph is not None, (text, problems)
    flows, held = _Every(Whole(program)), labels_of(graph)
    for pipeline in graph.pipelines:
        arriving: dict[tuple[Span, str], set[str]] = defaultdict(set)
        for operation in walk(pipeline.body):
            names = operation.attributes.get("parameters", ())
            assert isinstance(names, tuple)
            for name, labels in zip(names, held[operation.id].operands, strict=False):
                assert operation.span is not None
                arriving[operation.span, str(name)] |= labels
        missing = {
            (str(span), argument, label)
            for span, argument, label in _below(flows, pipeline.name)
            if label not in arriving[span, argument]
        }
        assert not missing, (text, pipeline.name, missing)
