"""The acceptance programs: each is a program without a problem."""

from __future__ import annotations

from pathlib import Path

import pytest
from agent_sources import ACCEPTANCE, EXAMPLES, checked, sound

from agentlang.base.source import Source
from agentlang.lang import program as p
from agentlang.lang.checker import check
from agentlang.lang.parser import parse
from agentlang.lang.types import FLOAT, INT, TEXT, HandleType, ListType, RecordType, StreamType
from agentlang.stdlib.interfaces import interface

PROGRAMS = sorted(ACCEPTANCE.glob("*.agent"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_programs_without_a_problem(path: Path) -> None:
    sound(path.read_text("utf-8"))


@pytest.mark.skipif(not PROGRAMS, reason="the acceptance programs are not beside this checkout")
def test_acceptance_programs_are_programs_without_a_problem() -> None:
    for path in PROGRAMS:
        program, problems = checked(path.read_text("utf-8"), path.name)
        assert program is not None and not problems, (path.name, [problem.title for problem in problems])


def example(name: str) -> p.Program:
    return sound(next(path for path in EXAMPLES if path.stem == name).read_text("utf-8"))


def test_hello() -> None:
    program = example("hello")
    (writer,) = program.handles
    assert (writer.name, writer.keyword, writer.type) == ("writer", "model", HandleType("llm.Model"))
    assert [(a.name, a.value.value) for a in writer.arguments if isinstance(a.value, p.Literal)] == [
        ("name", "smollm2-135m-instruct"),
        ("dtype", ""),
        ("engine", ""),
    ]
    (hello,) = program.pipelines
    (name,) = hello.parameters
    assert name.type == TEXT and name.default is not None and name.default.value == "world"
    assert hello.result == StreamType(TEXT) and hello.body.statements == ()
    call = hello.body.result
    assert isinstance(call, p.StageCall)
    assert (call.stage.name, call.stage.entry, call.stage.behind) == ("llm.Model.chat", "llm:chat", "builtin")
    assert [a.name for a in call.arguments] == [p.name for p in call.stage.parameters]
    given = {a.name: a.value for a in call.arguments}
    assert given["self"] == p.HandleReference(type=HandleType("llm.Model"), span=call.span, name="writer")
    assert isinstance(given["prompt"], p.Template)
    assert [part if isinstance(part, str) else type(part) for part in given["prompt"].parts] == [
        "Greet ",
        p.Reference,
        " in one short sentence.",
    ]
    values = {name: value.value for name, value in given.items() if isinstance(value, p.Literal)}
    chosen = {"temperature": 0.0, "seed": 0, "top_k": 0, "top_p": 1.0}
    assert values == {"system": "", "max_tokens": 32, "stop": (), **chosen}
    assert given["stop"].type == ListType(TEXT) and given["temperature"].type == FLOAT
    (greets,) = program.tests
    (expect,) = greets.body.statements
    assert isinstance(expect, p.Expect) and isinstance(expect.condition, p.Binary)
    assert expect.condition.operator == "contains" and isinstance(expect.condition.left, p.Collect)
    assert greets.body.result is None


def test_handbook() -> None:
    program = example("handbook")
    assert [handle.name for handle in program.handles] == ["writer", "encoder", "judge", "handbook"]
    handbook = program.handle("handbook")
    assert handbook is not None and handbook.keyword == "resource"
    encoder = {a.name: a.value for a in handbook.arguments}["encoder"]
    assert isinstance(encoder, p.HandleReference) and encoder.type == HandleType("embed.Encoder")
    assert set(program.records) == {"Source", "search.Passage", "text.Finding"}
    assert [f.name for f in program.records["search.Passage"].fields] == ["path", "line", "text", "score"]

    find = program.pipeline("find")
    assert find is not None and find.result == ListType(RecordType("search.Passage"))
    rerank = find.body.result
    assert isinstance(rerank, p.StageCall) and rerank.stage.entry == "search:rerank"
    assert [a.name for a in rerank.arguments] == ["self", "passages", "question", "keep"]
    assert isinstance(rerank.arguments[1].value, p.Reference) and rerank.arguments[1].value.name == "hits"

    answer = program.pipeline("answer")
    assert answer is not None and answer.parameters[0].labels == {"pii"}
    clean, best, notes = answer.body.statements
    assert isinstance(clean, p.Bind) and isinstance(best, p.Bind) and isinstance(notes, p.Bind)
    assert clean.value.labels == frozenset() and isinstance(best.value, p.PipelineCall)
    assert isinstance(notes.value, p.MapOver) and notes.value.at_most == 16
    assert notes.value.variable_type == RecordType("search.Passage")
    assert answer.body.result is not None and answer.body.result.labels == frozenset()

    sources = program.pipeline("sources")
    assert sources is not None and isinstance(sources.body.result, p.MapOver)
    record = sources.body.result.body.result
    assert isinstance(record, p.BuildRecord) and [f.name for f in record.fields] == ["path", "line", "score"]

    goal = program.goal("answer")
    assert goal is not None
    terms = {term.kind: (term.percentile, term.limit.value if term.limit else None) for term in goal.terms}
    assert terms["first_token"] == (95.0, 1.5) and terms["finish"] == (99.0, 20.0)
    assert terms["rate"] == (None, 0.5) and terms["cost"][1] == pytest.approx(0.50 / 1000)
    assert [(a.name, a.quantity.value) for a in goal.assumptions] == [("question", 20.0), ("best", 3.0)]
    (fleet,) = program.fleets
    assert [(t.name, t.device, t.count) for t in fleet.tiers] == [("cpu", "laptop", (1, 1))]
    assert [s.path for s in program.sources][1:] == [f"std/{n}.agent" for n in ("llm", "embed", "search", "text")]


def test_summarise() -> None:
    digest = example("summarise").pipeline("digest")
    assert digest is not None
    (notes,) = digest.body.statements
    assert isinstance(notes, p.Bind) and isinstance(notes.value, p.MapOver)
    assert notes.value.at_most == 8 and notes.value.type == ListType(TEXT)
    parts, gists = notes.value.body.statements
    assert isinstance(parts, p.Bind) and parts.value.type == ListType(TEXT)
    assert isinstance(gists, p.Bind) and isinstance(gists.value, p.MapOver)
    assert isinstance(gists.value.body.result, p.Collect)
    assert isinstance(notes.value.body.result, p.StageCall)
    tokens = (
        {a.name: a.value for a in parts.value.arguments}["tokens"] if isinstance(parts.value, p.StageCall) else None
    )
    assert isinstance(tokens, p.Literal) and (tokens.type, tokens.value) == (INT, 400)


def test_interfaces_are_checked_once_and_again_when_they_change() -> None:
    reads: list[str] = []
    text = interface("std/text")
    assert text is not None
    changed = Source(text.path, text.text.replace("stage redact(text: Text)", "stage redact(text: Text, mark: Text)"))
    current = text

    def library(module: str) -> Source | None:
        reads.append(module)
        return current if module == "std/text" else None

    source = Source("a.agent", "use std/text\npipeline f(t: Text) -> Text { return text.redact(t) }\n")
    file, _ = parse(source)
    first, _ = check(file, source, library)
    again, _ = check(file, source, library)
    assert first is not None and first == again
    current = changed
    none, problems = check(file, source, library)
    assert none is None and [problem.slug for problem in problems] == ["missing-argument"]


def test_faults_of_an_interface_are_shown_where_they_are() -> None:
    def library(module: str) -> Source | None:
        text = 'type Thing\nstage make(name: Txt) -> Thing = builtin("odd:make")\npipeline p() -> Text { return "x" }\n'
        return Source("std/odd.agent", text) if module == "std/odd" else None

    source = Source("a.agent", 'use std/odd\nmodel m = odd.make("x")\npipeline f() -> Text { return "x" }\n')
    file, _ = parse(source)
    program, problems = check(file, source, library)
    assert program is None
    assert [(q.slug, q.span.path if q.span else "") for q in problems] == [
        ("unused", "a.agent"),
        ("unknown-name", "std/odd.agent"),
        ("misplaced", "std/odd.agent"),
    ]


def test_modules_that_import_each_other_end() -> None:
    def library(module: str) -> Source | None:
        other = {"std/a": "b", "std/b": "a"}.get(module)
        return Source(f"{module}.agent", f"use std/{other}\ntype T\n") if other else None

    source = Source("x.agent", 'use std/a\npipeline f() -> Text { return "x" }\n')
    file, _ = parse(source)
    _, problems = check(file, source, library)
    assert "unknown-module" in [problem.slug for problem in problems]
