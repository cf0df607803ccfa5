"""Programs that the executor's machine walks in a simulation: branches by their shares, loops by their counts, models
through the scheduler, traces with what their prompts share."""

from pathlib import Path

import pytest
from planned import build

from agentlang.api import check, compile, decode
from agentlang.executor.simulate import Arrival, Closed, System, poisson, simulate
from agentlang.executor.simulate.program import Program
from agentlang.executor.simulate.served import program_of
from agentlang.planner.figures import Basis, Figure
from agentlang.planner.hardware import Machine
from agentlang.planner.space.build import Built
from agentlang.planner.space.problem import Choice
from agentlang.stdlib.library import Library

SOURCE = """use std/llm
use std/text

model writer = llm.chat("llama-3-8b-instruct", dtype: "fp8")

enum Kind { Short, Long }

pipeline chat(prompt: Text) -> stream Text {
  return writer.chat(prompt, max_tokens: 64)
}

pipeline triage(mail: Text) -> Text {
  kind = writer.chat("Which? {mail}", max_tokens: 8) into Kind
  return match kind {
    Short => "no"
    Long  => all(writer.chat("Answer: {mail}", max_tokens: 64))
  }
}

pipeline pieces(document: Text) -> Text {
  found = for piece in text.split(document, tokens: 100) { all(writer.chat(piece, max_tokens: 8)) }
  kept = for one in found where one != "" { one }
  return all(writer.chat(text.join(kept, " "), max_tokens: 8))
}

goal pieces {
  rate 1 per s
  assume { document 1_000 tokens, kept 2 items }
  finish p95 <= 20 s
}

goal chat {
  rate 4 per s
  assume { prompt 600 tokens, chat output 40 tokens }
  first_token p95 <= 2 s
}

goal triage {
  rate 2 per s
  assume { mail 300 tokens, kind.Long 25 %, triage output 40 tokens }
  finish p95 <= 20 s
}

fleet lab { tier gpu = catalog.h100 { count 0..8 } }
"""


def machine() -> Machine:
    def figure(amount: float, unit: str) -> Figure:
        return Figure(amount, unit, Basis.MEASURED, "test", "2025-01")

    return Machine(
        key="toy",
        processor="toy",
        cores=2,
        memory=figure(8e9, "B"),
        bandwidth=figure(10e9, "B/s"),
        compute=figure(100e9, "FLOP/s"),
        launch=figure(1e-5, "s"),
        disk=figure(1e9, "B/s"),
    )


@pytest.fixture(scope="module")
def built() -> dict[str, Built]:
    source, _ = decode("lab.agent", SOURCE.encode())
    assert source is not None
    program = check(source).program
    assert program is not None, check(source).problems
    compiled, found = compile(program, Library(Path()))
    assert compiled is not None, found
    out: dict[str, Built] = {}
    for name in ("chat", "triage", "pieces"):
        made, found = build(compiled.graph, name, machine(), goal=program.goal(name), fleet=program.fleets[0])
        assert made is not None, found
        out[name] = made
    out["fleet"] = program.fleets[0]  # pyright: ignore[reportArgumentType]
    return out


def placed(built: dict[str, Built], name: str, *, apart: bool = False, page: int = 64) -> tuple[System, Program]:
    """All in one pool that serves, or prompts and replies apart; one replica of each."""
    problem = built[name].problem
    serve = next(pool.name for pool in problem.pools if " serve " in pool.name and pool.slots == 8)
    halves = {
        role: next(pool.name for pool in problem.pools if f" {role} " in pool.name and pool.slots >= 1)
        for role in ("prefill", "decode")
    }
    wanted = set(halves.values()) if apart else {serve}
    options: list[int] = []
    for stage in problem.stages:
        places = [option.pool for option in stage.options]
        options.append(next((i for i, pool in enumerate(places) if pool in wanted), 0))
    used = {stage.options[place].pool for stage, place in zip(problem.stages, options, strict=True)}
    choice = Choice(tuple(options), tuple(int(pool.name in used) for pool in problem.pools))
    fleet = built["fleet"]
    return System(problem, choice, error=0.0), program_of(built[name], choice, fleet, page)  # pyright: ignore[reportArgumentType]


def test_a_chat_through_a_pool_that_serves(built: dict[str, Built]) -> None:
    system, program = placed(built, "chat")
    assert len(program.served) == 1
    found = simulate(system, poisson(4.0, 80, 1), 1, program=program)
    assert found.ended == {"done": 80}
    assert found.moment("token_gap").count == 80 * 39
    alone = simulate(system, Closed(1, 20), 1, program=program)
    # With nobody beside it, a reply is first token and 39 gaps, and nobody stands in line.
    first, gap = alone.moment("first_token").mean, alone.moment("token_gap").mean
    assert alone.moment("finish").mean == pytest.approx(first + 39 * gap, rel=0.02)
    assert found.moment("first_token").percentiles[2] > alone.moment("first_token").percentiles[2]
    assert repr(simulate(system, poisson(4.0, 80, 1), 1, program=program)) == repr(found)


def test_alike_steps_at_once_change_nothing(built: dict[str, Built]) -> None:
    system, program = placed(built, "chat")
    runs = poisson(6.0, 60, 3)
    quick = simulate(system, runs, 3, program=program)
    slow = simulate(system, runs, 3, program=program, bulk=False)
    for one, other in zip(quick.moments, slow.moments, strict=True):
        assert one.count == other.count
        assert one.percentiles == pytest.approx(other.percentiles, rel=1e-9)


def test_prompts_and_replies_apart(built: dict[str, Built]) -> None:
    system, program = placed(built, "chat", apart=True)
    assert len(program.served) == 2
    found = simulate(system, poisson(2.0, 60, 1), 1, program=program)
    assert found.ended == {"done": 60}
    assert found.moment("token_gap").count == 60 * 39


def test_branches_come_by_their_shares(built: dict[str, Built]) -> None:
    system, program = placed(built, "triage")
    found = simulate(system, poisson(2.0, 240, 1), 1, program=program)
    assert found.ended == {"done": 240}
    served = next(pool for pool in found.pools if " serve " in pool.pool)
    # One prompt of each mail, and a second one of a quarter of them.
    assert 240 * 1.17 < served.served < 240 * 1.33


def test_what_a_goal_states_is_what_is_simulated(built: dict[str, Built]) -> None:
    """Also of a size that would follow from others: how many pieces are kept."""
    for name in ("chat", "triage", "pieces"):
        _, program = placed(built, name)
        assert dict(program.base) == pytest.approx(built[name].work.values)


def test_a_trace_brings_its_sizes_and_what_prompts_share(built: dict[str, Built]) -> None:
    system, program = placed(built, "chat", page=16)
    assert program.named.prompt is not None and program.named.reply is not None
    keys = tuple(("same", place) for place in range(60))
    runs = tuple(
        Arrival(float(place), {program.named.prompt: 1000.0, program.named.reply: 5.0}, keys) for place in range(4)
    )
    found = simulate(system, runs, program=program)
    assert found.moment("token_gap").count == 4 * 4
    served = next(pool for pool in found.pools if " serve " in pool.pool)
    assert served.cached == pytest.approx(3 * 960 / 4000, rel=0.05)


def test_a_prompt_that_no_memory_holds_fails_its_run(built: dict[str, Built]) -> None:
    system, program = placed(built, "chat")
    assert program.named.prompt is not None
    found = simulate(system, (Arrival(0.0, {program.named.prompt: 5e6}), Arrival(1.0)), program=program)
    assert found.ended == {"done": 1, "failed (too_long)": 1}


def test_a_call_that_a_run_would_end_is_named(built: dict[str, Built]) -> None:
    system, program = placed(built, "chat")
    assert program.named.reply is not None
    assert simulate(system, (Arrival(0.0),), program=program).notes == ()
    long = (Arrival(0.0, {program.named.reply: 60_000.0}), Arrival(1.0))
    found = simulate(system, long, program=program)
    assert found.ended == {"done": 2}
    (note,) = found.notes
    assert note.startswith("chat.chat.decode took more than 60 s in 1 of 2 executions")
