"""Lines that stand for what they emit: their blocks need no value, and an `if` no `else`."""

from __future__ import annotations

import pytest
from agent_sources import checked, sound

from agentlang.lang import program as p
from agentlang.lang.types import NONE

TOP = "enum Kind { A, B(x: Text) }\n"


def main(body: str) -> str:
    parameters = "c: Bool, xs: [Text], s: stream Text, k: Kind"
    return f"{TOP}pipeline main({parameters}) -> stream Text {{\n  {body}\n}}\n"


@pytest.mark.parametrize(
    "line",
    [
        "if c { emit xs[0] }",
        "if c { emit xs[0] } else { emit s }",
        'if c { emit "a" } else if c { emit "b" }',
        "for x in xs { emit x }",
        "for x in s { emit x }",
        "for x in xs { if c { emit x } }",
        "match k { A => { emit s }, B(x) => { emit x } }",
        "interruptible { emit s }",
        "interruptible { for x in s { emit x } }",
    ],
)
def test_a_line_that_emits_needs_no_value(line: str) -> None:
    for body in (line, f'emit "first"\n  {line}', f'{line}\n  emit "last"', f"{line}\n  return s"):
        block = sound(main(body)).pipelines[0].body
        lines = [statement for statement in block.statements if isinstance(statement, p.Evaluate)]
        assert [statement.value.type for statement in lines] == [NONE]
        assert (block.result is None) == ("return" not in body)


@pytest.mark.parametrize(
    ("slug", "body"),
    [
        ("missing-return", "a = for x in xs { emit x }\n  return s"),
        ("missing-return", "return for x in xs { emit x }"),
        ("missing-return", 'return if c { emit "a" } else { s }'),
        ("missing-return", "if c { emit s } else { return s }"),
        ("if-without-else", "if c { s }"),
        ("unused-value", 'if c { emit "a" } else { xs[0] }\n  return s'),
        ("misplaced", 'if c { emit "a" } else { return s }\n  return s'),
    ],
)
def test_a_value_that_is_needed_is_still_asked_for(slug: str, body: str) -> None:
    assert slug in {problem.slug for problem in checked(main(body))[1]}


def test_a_called_pipeline_emits_into_a_stream_that_somebody_must_read() -> None:
    def told(line: str) -> list[str]:
        called = "pipeline said(x: Text) -> stream Text {\n  emit x\n}\n"
        return [
            problem.slug for problem in checked(main(f"{line}\n  return s") + called)[1] if "unused-v" in problem.slug
        ]

    assert told("said(xs[0])") == ["unused-value"]
    assert told("emit said(xs[0])") == told("for x in said(xs[0]) { emit x }") == []
