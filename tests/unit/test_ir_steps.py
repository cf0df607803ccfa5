"""Records, cases and maps of more parts than an operation has operands: they are put together in steps, each of which
extends the one before."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from agent_sources import checked

from agentlang.base.problems import has_errors
from agentlang.ir import compile as irc
from agentlang.ir.compile import Module
from agentlang.ir.dialect.spec import MOST_OPERANDS
from agentlang.ir.graph import Operation, walk
from agentlang.stdlib.library import Library

PARTS = 2 * MOST_OPERANDS
FIELDS = ", ".join(f"f{n}: Text" for n in range(PARTS))
GIVEN = ", ".join(f"f{n}: t" for n in range(PARTS))
ENTRIES = ", ".join(f'"f{n}": t' for n in range(PARTS))
SOURCE = f"""
type Wide {{ {FIELDS} }}

enum Held {{ Much({FIELDS}), Nothing }}

pipeline build(t: Text) -> Wide {{ Wide({GIVEN}) }}

pipeline case(t: Text) -> Held {{ Held.Much({GIVEN}) }}

pipeline table(t: Text) -> {{Text: Text}} {{ {{{ENTRIES}}} }}
"""
WORDS = ("build", "case", "table")


def lowered(more: str = "") -> Module:
    program, problems = checked(SOURCE + more)
    assert program is not None and not has_errors(problems), problems
    module, problems = irc.lower(program)
    assert module is not None, problems
    return module


def steps(word: str) -> list[Operation]:
    body = lowered().graph().pipeline(word).body
    return [operation for operation in walk(body) if operation.name == f"agent.{word}"]


@pytest.mark.parametrize("word", WORDS)
def test_each_step_extends_the_one_before(word: str) -> None:
    names = "keys" if word == "table" else "fields"
    first, second, last = steps(word)
    assert [len(step.operands) for step in (first, second, last)] == [MOST_OPERANDS, MOST_OPERANDS, 2]
    assert "extends" not in first.attributes
    assert second.attributes["extends"] is last.attributes["extends"] is True
    assert (second.operands[0], last.operands[0]) == (first.results[0], second.results[0])
    known = [name for step in (first, second, last) for name in step.attributes[names]]  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
    assert known == [f"f{n}" for n in range(PARTS)]
    # The whole has the id that one operation would have, and the steps are below it.
    assert last.id == f"{word}.{word}"
    assert all(step.id.startswith(f"{last.id}.") for step in (first, second))


def test_the_size_of_the_whole_is_that_of_all_parts() -> None:
    calls = lowered("pipeline count(t: Text) -> Int {\n  whole = table(t)\n  return len(whole)\n}")
    module, problems = irc.run_passes(calls, Library(Path()))
    assert module is not None, problems
    sizes = {size.name: str(size.default) for size in module.graph().pipeline("count").sizes}
    assert sizes["whole.items"] == str(PARTS)


def test_steps_read_back() -> None:
    text = lowered().text(locations=False)
    module, problems = irc.parse(text)
    assert module is not None and problems == ()
    assert module.text(locations=False) == text


# The last step of an operation, what is changed in its line, and what is said of it.
BREAKERS = [
    ("build", r"extends = true, ", "", "2 operands but 1 field names"),
    ("table", r"extends = true, ", "", "2 operands but 1 keys"),
    ("case", r"extends = true, ", "", "2 operands but 1 field names"),
    ("build", rf'fields = \["f{PARTS - 1}"\]', 'fields = ["f1"]', "Wide has the fields f0, f1"),
    ("case", rf'fields = \["f{PARTS - 1}"\]', 'fields = ["f1"]', "Held.Much has the fields f0, f1"),
    ("table", r"\(%\d+, ", "(%arg0, ", "extends nothing that is {Text: Text}"),
]


@pytest.mark.parametrize(("word", "pattern", "instead", "title"), BREAKERS)
def test_a_step_that_does_not_fit(word: str, pattern: str, instead: str, title: str) -> None:
    lines = lowered().text(locations=False).splitlines()
    last = max(at for at, line in enumerate(lines) if f'"agent.{word}"' in line)
    lines[last] = re.sub(pattern, instead, lines[last], count=1)
    if instead == "(%arg0, ":
        lines[last] = lines[last].replace(": (!agent.map_of<!agent.text>, ", ": (!agent.text, ")
    _, problems = irc.parse("\n".join(lines))
    assert any(title in problem.title for problem in problems), problems


def test_what_is_not_whole_is_not_used() -> None:
    text = lowered().text(locations=False)
    whole, part = re.findall(r'(%\d+) = "agent.build"', text)[-1:-3:-1]
    _, problems = irc.parse(
        text.replace(f'"agent.return"({whole}) {{id = "build', f'"agent.return"({part}) {{id = "build')
    )
    assert any("Wide has the fields f0, f1" in problem.title for problem in problems), problems
