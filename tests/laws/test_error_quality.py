"""How well faults are found, measured: programs with one fault each, and where the problems then point.

Nine in ten report the fault on its own line, all within the declaration that has it, and at most two problems stand
anywhere else. The faults are those that fingers make: a bracket, a colon, a quote left out, a word misspelt or twice.
"""

from __future__ import annotations

import pytest
from agent_sources import ACCEPTANCE, EXAMPLES, checked
from mutations import Mutation, sample
from whole_language import WHOLE

from agentlang.base.problems import Problem, Severity
from agentlang.base.source import Source
from agentlang.lang.parser import parse

# Whether the problems of meaning are counted too, and names are misspelt, not only words of the language.
WITH_CHECKER = True
COPIES = 20
MANY = 150

TEXTS = {path.name: path.read_text("utf-8") for path in [*EXAMPLES, *sorted(ACCEPTANCE.glob("*.agent"))]}
TEXTS |= {"whole.agent": WHOLE}


def problems(text: str, meaning: bool) -> tuple[Problem, ...]:
    found = checked(text)[1] if meaning else parse(Source("page.agent", text))[1]
    return tuple(problem for problem in found if problem.severity is not Severity.NOTE)


def measured(name: str, count: int) -> tuple[int, int, list[str]]:
    """Mutations, how many are reported on their own line, and what is wrong with the others."""
    text = TEXTS[name]
    # The program with every construct has no meaning that could be checked.
    meaning = WITH_CHECKER and name != "whole.agent"
    assert not problems(text, meaning)
    found: dict[str, tuple[Problem, ...]] = {}

    def is_faulty(changed: str) -> bool:
        found[changed] = problems(changed, meaning)
        return bool(found[changed])

    chosen = sample(text, count, name, is_faulty, names=meaning)
    own, wrong = 0, list[str]()
    for mutation in chosen:
        lines = [problem.span.line for problem in found[mutation.text] if problem.span]
        own += mutation.line in lines
        outside = [line for line in lines if not mutation.first <= line <= mutation.last]
        elsewhere = [line for line in lines if line != mutation.line]
        if len(outside) == len(lines) or len(elsewhere) > 2 or (outside and not meaning):
            wrong.append(described(mutation, found[mutation.text]))
    return len(chosen), own, wrong


def described(mutation: Mutation, found: tuple[Problem, ...]) -> str:
    said = "; ".join(f"{problem.span} {problem.title}" for problem in found)
    return f"{mutation.kind} {mutation.what!r} on line {mutation.line}: {said}"


@pytest.mark.parametrize("name", TEXTS)
def test_faults_are_found_where_they_are(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    count, own, wrong = measured(name, COPIES)
    with capsys.disabled():
        print(
            f"\n{name}: {own} of {count} faults on their own line, {len(wrong)} outside of their declaration or noisy"
        )
    assert count == COPIES
    assert not wrong, "\n".join(wrong)
    assert own >= 0.9 * count


@pytest.mark.slow
@pytest.mark.parametrize("name", TEXTS)
def test_many_faults_are_found_where_they_are(name: str) -> None:
    count, own, wrong = measured(name, MANY)
    assert not wrong, "\n".join(wrong)
    assert own >= 0.95 * count
