"""Every known mistake is recognised, said well, and pointed at; nothing else is said beside it."""

from __future__ import annotations

import pytest

from agentlang.base.source import Source
from agentlang.lang.mistakes import MISTAKES, Mistake
from agentlang.lang.parser import parse
from agentlang.lang.syntax import PipelineDecl


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.example[:40])
def test_a_mistake_is_said(mistake: Mistake) -> None:
    _, problems = parse(Source("x.agent", mistake.example))
    assert [problem.slug for problem in problems] == [mistake.slug]
    (problem,) = problems
    assert problem.span is not None
    assert (mistake.title in problem.title, problem.span.line) == (True, mistake.line), problem
    assert problem.hint, "a problem says what to do next"
    assert not problem.title.endswith(".")


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.example[:40])
def test_a_declaration_behind_a_mistake_is_read(mistake: Mistake) -> None:
    text = mistake.example.rstrip("\n") + "\n\npipeline behind() -> Text {\n  return x\n}\n"
    file, _ = parse(Source("x.agent", text))
    last = file.declarations[-1]
    assert isinstance(last, PipelineDecl)
    assert last.name.text == "behind"


def fixed(mistake: Mistake) -> str | None:
    """The example after its fix, if it has one."""
    _, (problem, *_) = parse(Source("x.agent", mistake.example))
    if problem.fix is None:
        return None
    text = mistake.example
    for edit in sorted(problem.fix.edits, key=lambda edit: edit.span.start, reverse=True):
        text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    return text


FIXED = {mistake.example: text for mistake in MISTAKES if (text := fixed(mistake)) is not None}


@pytest.mark.parametrize("example", FIXED, ids=lambda example: example[:40])
def test_a_fix_mends_the_mistake(example: str) -> None:
    assert not parse(Source("x.agent", FIXED[example]))[1], FIXED[example]


def test_most_mistakes_have_a_fix() -> None:
    assert len(FIXED) > len(MISTAKES) / 2
