"""Laws of prefixes: what is prefilled ahead is a beginning of every prompt that goes on from it (the oracle looks at
that), and changes nothing of what a program means, also where the prefill ahead fails."""

from __future__ import annotations

import ir_programs as P
import pytest
from hypothesis import HealthCheck, given, settings
from ir_meaning import keeps_meaning, passed
from ir_random import programs

from agentlang.ir import compile as irc
from agentlang.ir.compile import Module
from agentlang.ir.passes import PASSES
from agentlang.lang import program as p

lawful = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
EVERY = {"hoist_prefix": {"least": 0, "cost": 0}}
"""Whatever is shared is prefilled ahead, though it may not be worth it."""


def hoisted(module: Module) -> Module:
    made, problems = irc.run_passes(module, P.SmallLibrary(), passes=["hoist_prefix"], options=EVERY)
    assert made is not None, [problem.title for problem in problems]
    return made


@lawful
@given(programs())
def test_what_is_prefilled_ahead_changes_nothing(program: p.Program) -> None:
    before = passed(program, "split_llm")[-1]
    keeps_meaning(before, hoisted(before))


@lawful
@given(programs())
def test_a_second_time_there_is_nothing_left(program: p.Program) -> None:
    once = hoisted(passed(program, "split_llm")[-1])
    assert hoisted(once).text() == once.text()


@lawful
@given(programs())
def test_all_passes_with_every_prefix(program: p.Program) -> None:
    module, problems = irc.lower(program)
    assert module is not None, problems
    made, problems = irc.run_passes(module, P.SmallLibrary(), options=EVERY)
    assert made is not None, [problem.title for problem in problems]
    assert made.passes == PASSES
    keeps_meaning(passed(program, "inline_pipelines")[-1], made)


@pytest.mark.parametrize("name", P.ALL)
def test_the_example_programs_mean_the_same(name: str) -> None:
    before = passed(P.ALL[name](), "split_llm")[-1]
    after = hoisted(before)
    if name != "handbook":  # whose search no toy stands for
        keeps_meaning(before, after)
