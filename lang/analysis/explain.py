"""What stands in one line of a program, as facts: for `agentlang explain FILE:LINE`, and for hovering over it.

A fact is about a declaration or an expression: what it is, its type and labels, what the tools it calls do to the
world, its policies and what they sum to, its worst case, and for a chat call the prompt as it will be sent, with the
names of what is filled in. The outermost expression that begins in the line comes first, then the calls inside of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...base.frozen import EMPTY, frozen
from ...base.source import Span
from .. import program as p
from .bounds import Bounds, Worst
from .flow import receiver
from .prompts import Prompt, prompt_of, text_of
from .timing import Part
from .words import assumption_text, effect_text, policy_texts, term_text


@frozen
class Fact:
    """What is known of one thing in the line. What does not apply is empty or None; times are in seconds.

    `loop` is what an agent stands for, as it could have been written; `arithmetic` the policies that times come from.
    """

    what: str
    span: Span
    type: str | None = None
    labels: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    arithmetic: tuple[Part, ...] = ()
    worst: Worst | None = None
    prompt: Prompt | None = None
    goal: tuple[str, ...] = ()
    loop: str | None = None
    doc: str | None = None
    details: tuple[tuple[str, str], ...] = ()
    pipeline: str | None = None


def explain_line(program: p.Program, line: int, loops: Mapping[str, str] = EMPTY) -> tuple[Fact, ...]:
    """The facts of a line (from 1) of the program's own file; empty where nothing stands there.

    `loops` gives, by the name of an agent, the text of the loop that it stands for.
    """
    reader = _Reader(program, line, loops)
    facts = [*reader.declarations(), *reader.bodies()]
    if not facts:
        facts = list(reader.around())
    return tuple({(fact.what, fact.span): fact for fact in facts}.values())


class _Reader:
    def __init__(self, program: p.Program, line: int, loops: Mapping[str, str]) -> None:
        self.program = program
        self.line = line
        self.loops = loops
        self.bounds = Bounds(program)
        self.timing = self.bounds.stated

    def text(self, node: p.Expression) -> str:
        return text_of(self.program, node)

    def here(self, span: Span) -> bool:
        return span.path == self.program.source.path and span.line == self.line

    def covers(self, span: Span) -> bool:
        return span.path == self.program.source.path and span.line <= self.line <= span.end_line

    # --- declarations

    def declarations(self) -> Iterator[Fact]:
        program = self.program
        for pipeline in program.pipelines:
            if self.here(pipeline.span):
                yield self.pipeline(pipeline)
            for parameter in pipeline.parameters:
                if self.here(parameter.span) and not self.here(pipeline.span):
                    yield self.parameter(parameter, f"parameter `{parameter.name}` of `{pipeline.name}`", pipeline.name)
        for handle in program.handles:
            if self.here(handle.span):
                what = f"{handle.keyword} `{handle.name}`"
                details = tuple((a.name, self.text(a.value)) for a in handle.arguments)
                yield Fact(what, handle.span, str(handle.type), doc=handle.doc, details=details)
        for tool in program.tools:
            if self.here(tool.span):
                yield self.tool(tool)
        for shape in (*program.records.values(), *program.enums.values()):
            if self.here(shape.span) and shape.name.rpartition(".")[0] not in self.loops:
                kind = "record" if isinstance(shape, p.RecordDeclaration) else "enum"
                yield Fact(f"{kind} `{shape.name}`", shape.span, doc=shape.doc)
        for record in program.records.values():
            for field in record.fields:
                if self.here(field.span) and not self.here(record.span):
                    yield self.parameter(field, f"field `{field.name}` of `{record.name}`", None)
        for goal in program.goals:
            if self.here(goal.span):
                texts = (*map(term_text, goal.terms), *map(assumption_text, goal.assumptions))
                yield Fact(f"goal of `{goal.pipeline}`", goal.span, goal=texts, pipeline=goal.pipeline)
            for term in goal.terms:
                if self.here(term.span):
                    yield self.term(goal, term)
            for entry in goal.assumptions:
                if self.here(entry.span):
                    what = f"assumption `{assumption_text(entry)}` of the goal of `{goal.pipeline}`"
                    yield Fact(what, entry.span, pipeline=goal.pipeline)
        for test in program.tests:
            if self.here(test.span):
                yield Fact(f"test {test.name!r}", test.span, effects=self.effects(p.block_expressions(test.body)))
        for fleet in program.fleets:
            for tier in fleet.tiers:
                if self.here(tier.span):
                    yield self.tier(fleet, tier)

    def pipeline(self, pipeline: p.Pipeline) -> Fact:
        loop = self.loops.get(pipeline.name)
        worst = self.bounds.pipelines.get(pipeline.name)
        time = self.timing.pipelines.get(pipeline.name)
        goal = self.program.goal(pipeline.name)
        parts = ", ".join(f"{q.name}: {_labelled(str(q.type), q.labels)}" for q in pipeline.parameters)
        return Fact(
            f"{'pipeline' if loop is None else 'agent'} `{pipeline.name}`",
            pipeline.span,
            f"({parts}) -> {_labelled(str(pipeline.result), pipeline.result_labels)}",
            effects=self.effects(p.block_expressions(pipeline.body)),
            arithmetic=time.parts if time else (),
            worst=worst,
            goal=tuple(map(term_text, goal.terms)) if goal else (),
            loop=loop,
            doc=pipeline.doc,
            pipeline=pipeline.name,
        )

    def parameter(self, parameter: p.Parameter, what: str, pipeline: str | None) -> Fact:
        return Fact(
            what,
            parameter.span,
            str(parameter.type),
            tuple(sorted(parameter.labels)),
            goal=self.assumed(pipeline, parameter.name) if pipeline else (),
            doc=parameter.doc,
            details=() if parameter.default is None else (("default", self.text(parameter.default)),),
            pipeline=pipeline,
        )

    def tool(self, tool: p.StageSignature) -> Fact:
        parts = ", ".join(f"{q.name}: {_labelled(str(q.type), q.labels)}" for q in tool.parameters if q.name != "self")
        details = [("runs", f"{tool.behind} ({tool.entry})")]
        if tool.idempotent_by:
            details.append(("idempotent by", tool.idempotent_by))
        return Fact(
            f"tool `{tool.name}`",
            tool.span,
            f"({parts}) -> {tool.result}",
            tuple(sorted(tool.result_labels)),
            tuple(effect_text(effect) for effect in tool.effects),
            doc=tool.doc,
            details=tuple(details),
        )

    def term(self, goal: p.Goal, term: p.GoalTerm) -> Fact:
        worst = self.bounds.pipelines.get(goal.pipeline) if term.kind == "finish" else None
        time = self.timing.pipelines.get(goal.pipeline) if term.kind == "finish" else None
        what = f"`{term_text(term)}` of the goal of `{goal.pipeline}`"
        return Fact(what, term.span, worst=worst, arithmetic=time.parts if time else (), pipeline=goal.pipeline)

    def tier(self, fleet: p.Fleet, tier: p.Tier) -> Fact:
        kept = [
            f"{term_text(term)} (goal of `{goal.pipeline}`)"
            for goal in self.program.goals
            for term in goal.terms
            if term.kind == "keep" and tier.name in term.tiers
        ]
        low, high = tier.count
        details = [("count", str(low) if low == high else f"{low}..{high}")]
        if tier.endpoint:
            details = [("serves", ", ".join(tier.endpoint.serves))]
        return Fact(f"tier `{tier.name}` of fleet `{fleet.name}`", tier.span, goal=tuple(kept), details=tuple(details))

    # --- expressions

    def bodies(self) -> Iterator[Fact]:
        for name, block in self.blocks():
            yield from self.block(name, block) if name not in self.loops else self.agent(name, block)

    def agent(self, name: str, block: p.Block) -> Iterator[Fact]:
        """What an entry of an agent makes its loop call. The line of its name is told as the agent itself."""
        made = self.program.pipeline(name)
        if made is None or self.here(made.span):
            return
        asked = {id(node.call) for node in p.walk(block) if isinstance(node, p.Into)}
        for node in p.walk(block):
            if (
                self.here(node.span)
                and isinstance(node, p.Into | p.StageCall | p.PipelineCall)
                and id(node) not in asked
            ):
                yield self.expression(name, node)
                made = None
        if made is not None and any(self.here(node.span) for node in p.walk(block)):
            yield self.pipeline(made)

    def blocks(self) -> Iterator[tuple[str, p.Block]]:
        yield from ((pipeline.name, pipeline.body) for pipeline in self.program.pipelines)
        yield from ((f"test {test.name!r}", test.body) for test in self.program.tests)

    def block(self, inside: str, block: p.Block) -> Iterator[Fact]:
        for statement in block.statements:
            value = statement.condition if isinstance(statement, p.Expect) else statement.value
            if self.here(statement.span) or self.here(value.span):
                yield self.expression(inside, value, f"`{statement.name}`" if isinstance(statement, p.Bind) else None)
            yield from self.inside(inside, value, self.here(statement.span) or self.here(value.span))
        if block.result is not None:
            if self.here(block.result.span):
                yield self.expression(inside, block.result)
            yield from self.inside(inside, block.result, self.here(block.result.span))

    def inside(self, inside: str, node: p.Expression, told: bool) -> Iterator[Fact]:
        """The calls in a line, below an expression that may have been told."""
        if not told and _acts(node) and self.here(node.span):
            yield self.expression(inside, node)
            told = True
        for block in blocks_of(node):
            yield from self.block(inside, block)
        # What stands around a call is told together with it.
        together = isinstance(node, p.With | p.Into | p.Collect | p.Buffered) and told
        for part in _direct(node):
            yield from self.inside(inside, part, together and part is p.children(node)[0])

    def around(self) -> Iterator[Fact]:
        """The innermost call or form whose text the line is in the middle of, such as a prompt of many lines."""
        found: tuple[int, str, p.Expression] | None = None
        for name, block in self.blocks():
            for node in p.walk(block):
                size = node.span.end - node.span.start
                if self.covers(node.span) and _acts(node) and (found is None or size <= found[0]):
                    found = size, name, node
        if found is not None:
            yield self.expression(found[1], found[2])

    def expression(self, inside: str, node: p.Expression, bound: str | None = None) -> Fact:
        time = self.timing.of(inside, node) if inside in self.bounds.pipelines else None
        what = _what(node)
        return Fact(
            what if bound is None else f"{bound}, {what}",
            node.span,
            str(node.type),
            tuple(sorted(node.labels)),
            self.effects((node,)),
            policy_texts(node.policies, self.text) if isinstance(node, p.With) else (),
            time.parts if time else (),
            self.bounds.worst(inside, node),
            prompt_of(self.program, node),
            self.assumed(inside, bound.strip("`")) if bound else (),
            pipeline=inside if self.program.pipeline(inside) else None,
            details=tuple(self.details(node)),
        )

    def details(self, node: p.Expression) -> Iterator[tuple[str, str]]:
        while isinstance(node, p.With | p.Into | p.Collect):
            node = node.stream if isinstance(node, p.Collect) else node.call
        match node:
            case p.MapOver():
                yield "at once", str(node.at_most)
            case p.Repeat():
                yield "turns", str(node.at_most)
            case p.Otherwise():
                yield "catches", ", ".join(node.reasons) or "every failure"
            case p.StageCall() if node.stage.doc:
                yield "does", node.stage.doc
            case _:
                pass

    def effects(self, nodes: Iterator[p.Expression] | tuple[p.Expression, ...]) -> tuple[str, ...]:
        """What the tools inside do, those of called pipelines too."""
        found: dict[str, None] = {}
        seen: set[str] = set()
        stack = list(nodes)
        while stack:
            node = stack.pop()
            if isinstance(node, p.StageCall):
                for effect in node.stage.effects:
                    found[f"{effect_text(effect)} (`{node.stage.name}`)"] = None
            elif isinstance(node, p.PipelineCall) and node.pipeline not in seen:
                seen.add(node.pipeline)
                called = self.program.pipeline(node.pipeline)
                stack += p.block_expressions(called.body) if called else ()
            stack += p.children(node)
        return tuple(sorted(found))

    def assumed(self, pipeline: str, name: str) -> tuple[str, ...]:
        """What goals assume of a parameter or binding."""
        names = {name} if self.program.goal(pipeline) else set[str]()
        return tuple(
            assumption_text(entry)
            for goal in self.program.goals
            for entry in goal.assumptions
            if (goal.pipeline == pipeline and entry.name in names) or entry.name == f"{pipeline}.{name}"
        )


# --- forms ----------------------------------------------------------------------------------------------------------


def blocks_of(node: p.Expression) -> tuple[p.Block, ...]:
    match node:
        case p.MapOver() | p.Repeat() | p.Interruptible():
            return (node.body,)
        case p.If():
            return (node.then, node.otherwise)
        case p.Match():
            return tuple(arm.body for arm in node.arms)
        case _:
            return ()


def _direct(node: p.Expression) -> Iterator[p.Expression]:
    """The parts of an expression that stand in no block of it."""
    inner = {id(part) for block in blocks_of(node) for part in p.block_expressions(block)}
    return (part for part in p.children(node) if id(part) not in inner)


def _acts(node: p.Expression) -> bool:
    """Whether it calls something, or decides on what is called."""
    return bool(blocks_of(node)) or isinstance(
        node, p.StageCall | p.PipelineCall | p.With | p.Into | p.Race | p.Otherwise | p.Declassify
    )


def _what(node: p.Expression) -> str:
    match node:
        case p.StageCall():
            handle = receiver(node)
            name = f"{handle}.{node.stage.name.rpartition('.')[2]}" if handle else node.stage.name
            kind = "tool" if node.stage.keyword == "tool" else "stage"
            return f"call of `{name}`" if handle else f"call of the {kind} `{name}`"
        case p.PipelineCall():
            return f"call of the pipeline `{node.pipeline}`"
        case p.With():
            return f"{_what(node.call)}, with policies"
        case p.Into():
            return f"{_what(node.call)}, into {node.type}"
        case p.Collect():
            return f"{_what(node.stream)}, all of it"
        case _:
            return _FORMS.get(type(node).__name__, "a value")


_FORMS = {
    "MapOver": "a `for`",
    "Repeat": "a `repeat`",
    "If": "an `if`",
    "Match": "a `match`",
    "Race": "a `race`",
    "Otherwise": "a call with a fallback",
    "Interruptible": "an `interruptible`",
    "Template": "a text",
    "BuildRecord": "a record",
    "BuildCase": "a case of an enum",
    "ListOf": "a list",
    "TableOf": "a map",
    "IndexOf": "an element",
    "Declassify": "a value without its labels",
    "Buffered": "a stream that is held back",
    "Convert": "a conversion",
}


def _labelled(type: str, labels: p.Labels) -> str:
    return " ".join([type, *(f"@{label}" for label in sorted(labels))])
