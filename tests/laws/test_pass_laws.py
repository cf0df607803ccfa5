"""Laws of the passes, on programs at random: each keeps what a program means, alone and together, by the oracle and on
the machine; and a second time it finds nothing more to do where it says so."""

from __future__ import annotations

import ir_programs as P
import pytest
from hypothesis import HealthCheck, given, settings
from ir_meaning import keeps_meaning, passed
from ir_random import programs

from agentlang.ir.graph import walk
from agentlang.ir.library import Called, Part
from agentlang.ir.passes import OPTIMISING
from agentlang.lang import program as p
from agentlang.lang.types import JSON, StreamType

lawful = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("name", OPTIMISING)
@lawful
@given(programs())
def test_a_pass_keeps_what_a_program_means(name: str, program: p.Program) -> None:
    before, after = passed(program, name)
    keeps_meaning(before, after)


class Costly(P.SmallLibrary):
    """Redacting costs something here, so that it is not done where nobody asks for it; many texts at once cost less."""

    def harmless(self, entry: str) -> bool:
        return entry != "text:redact" and super().harmless(entry)


@lawful
@given(programs())
def test_batches_of_calls_keep_what_a_program_means(program: p.Program) -> None:
    before, after = passed(program, "batch_calls", library=Costly())
    keeps_meaning(before, after, Costly())


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


class Parts(P.SmallLibrary):
    """Makes two parts of every stage that gives a value."""

    def parts(self, call: Called) -> tuple[Part, ...]:
        if call.result is None or isinstance(call.result, StreamType):
            return ()
        arguments = {name: name for name in call.parameters}
        return (Part("lookup", "toy:ask", arguments, JSON, acts=True), Part("compute", "toy:read", {"raw": 0}))

    def harmless(self, entry: str) -> bool:
        return entry.startswith("toy:") or super().harmless(entry)


@lawful
@given(programs())
def test_calls_in_parts_mean_the_same(program: p.Program) -> None:
    before, after = passed(program, "split_tool", library=Parts())
    keeps_meaning(before, after, Parts())
    stages = [operation for pipeline in before.graph().pipelines for operation in walk(pipeline.body)]
    if any(each.name == "agent.stage" and not isinstance(each.results[0].type, StreamType) for each in stages):
        assert "agent.lookup" in after.text()
