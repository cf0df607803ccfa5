"""Faults in simulations: instances killed, stages slow, links cut; what was lost, done again, late, and to blame."""

from dataclasses import replace
from pathlib import Path

import pytest
from planned import build
from test_simulate_programs import SOURCE, built, machine, placed

from agentlang.api import check, compile, decode
from agentlang.executor.simulate import (
    Arrival,
    Cut,
    Faults,
    Follow,
    Kill,
    Simulation,
    Slow,
    System,
    days,
    poisson,
    simulate,
)
from agentlang.executor.simulate import faults as words
from agentlang.executor.simulate.faults import unknown
from agentlang.executor.simulate.program import Program
from agentlang.executor.simulate.served import program_of
from agentlang.planner.space.build import Built
from agentlang.planner.space.problem import Choice
from agentlang.stdlib.library import Library

__all__ = ["built"]

EVERY = tuple(Arrival(float(second)) for second in range(60))


def two(built: dict[str, Built], name: str) -> tuple[System, Program]:
    """With two replicas of each pool that is used."""
    system, program = placed(built, name)
    choice = replace(system.choice, replicas=tuple(2 * count for count in system.choice.replicas))
    return System(system.problem, choice, error=0.0), program


def again(one: Simulation) -> int:
    assert one.aftermath is not None
    return one.aftermath.redone


def test_a_killed_instance_is_done_again_and_blamed(built: dict[str, Built]) -> None:
    system, program = placed(built, "triage")
    faults = Faults((Kill("gpu", 20.0, down=5.0),))
    calm = simulate(system, EVERY, 1, program=program)
    found = simulate(system, EVERY, 1, program=program, faults=faults)
    assert repr(found) == repr(simulate(system, EVERY, 1, program=program, faults=faults))
    # Nothing had left those runs and nothing of them acted, so that nobody can tell; whoever came meanwhile waited.
    assert found.ended == {"done": 60} and found.aftermath is not None
    assert found.aftermath.failed == 0 and found.aftermath.struck[0].name == "gpu#0 down"
    assert found.moment("finish").largest == pytest.approx(5.0 + calm.moment("finish").percentiles[0], rel=0.2)
    before, during, after = found.aftermath.periods
    assert before.runs + during.runs + after.runs == 60
    assert before.moments[0].largest < 2.0 < during.moments[0].largest
    assert after.moments[0].percentiles[0] == pytest.approx(before.moments[0].percentiles[0], rel=0.3)
    # The slowest twentieth of the runs is slow for the instance, and for nothing else.
    worst = next(blame for blame in found.blame if blame.kind == "finish")
    assert worst.stage in ("gpu#0 down", "gpu down") and worst.share > 0.5 and worst.pool == ""


def test_what_had_left_fails_by_name(built: dict[str, Built]) -> None:
    """A stream of which tokens have left is not begun again."""
    system, program = placed(built, "chat")
    runs = (Arrival(0.0), Arrival(9.0))
    alone = simulate(system, (Arrival(0.0),), 1, program=program)
    middle = (alone.moment("first_token").mean + alone.moment("finish").mean) / 2.0
    found = simulate(system, runs, 1, program=program, faults=Faults((Kill("gpu", middle, down=1.0),)))
    assert found.ended == {"done": 1, "failed (unreachable)": 1}
    assert found.aftermath is not None and found.aftermath.failed == 1 and found.aftermath.redone == 0
    early = simulate(system, runs, 1, program=program, faults=Faults((Kill("gpu", 1e-6, down=1.0),)))
    assert early.ended == {"done": 2} and again(early) == 1


def test_the_other_instance_serves_meanwhile(built: dict[str, Built]) -> None:
    system, program = two(built, "triage")
    found = simulate(system, EVERY, 1, program=program, faults=Faults((Kill("gpu", 20.0, 1, 20.0),)))
    assert found.aftermath is not None and " serve " in found.aftermath.struck[0].pool
    assert found.ended == {"done": 60}
    assert found.moment("finish").largest < 5.0
    # Without a time the supervisor starts it again: later each time that it ends soon.
    kills = tuple(Kill("gpu", at, 0) for at in (10.0, 12.0, 14.0))
    often = simulate(system, EVERY, 1, program=program, faults=Faults(kills, opening=0.5)).aftermath
    assert often is not None
    pauses = [round(each.end - each.start, 6) for each in often.struck]
    assert pauses == sorted(pauses) and pauses[0] >= 0.5 and pauses[-1] > pauses[0]


def test_what_is_slow_takes_longer_while_it_is(built: dict[str, Built]) -> None:
    system, program = placed(built, "chat")
    calm = simulate(system, EVERY, 1, program=program).moment("token_gap")
    slow = Faults(slows=(Slow("gpu", 20.0, 40.0, 3.0),))
    found = simulate(system, EVERY, 1, program=program, faults=slow)
    one_by_one = simulate(system, EVERY, 1, program=program, faults=slow, bulk=False)
    assert [each.percentiles for each in found.moments] == [
        pytest.approx(each.percentiles, rel=1e-9) for each in one_by_one.moments
    ]
    assert found.aftermath is not None
    gaps = {each.name: next(m for m in each.moments if m.kind == "token_gap") for each in found.aftermath.periods}
    assert gaps["before"].percentiles[0] == pytest.approx(calm.percentiles[0], rel=0.05)
    assert gaps["during"].percentiles[0] == pytest.approx(3.0 * calm.percentiles[0], rel=0.1)
    stage = Faults(slows=(Slow("chat.chat.decode", 20.0, 40.0, 3.0),))
    of_stage = simulate(system, EVERY, 1, program=program, faults=stage).moment("token_gap")
    assert of_stage.largest == pytest.approx(found.moment("token_gap").largest, rel=0.1)


def apart() -> tuple[System, Program]:
    """Words on one tier, the model on another."""
    text = SOURCE.partition("fleet")[0] + (
        "fleet both {\n  tier edge = catalog.laptop { count 1 }\n  tier gpu = catalog.h100 { count 0..8 }\n"
        "  link edge <-> gpu 1 Gbit/s, 1 ms\n}\n"
    )
    source, _ = decode("lab.agent", text.encode())
    assert source is not None
    program = check(source).program
    assert program is not None, check(source).problems
    compiled, _ = compile(program, Library(Path()))
    assert compiled is not None
    fleet = program.fleets[0]
    made, found = build(compiled.graph, "chat", machine(), goal=program.goal("chat"), fleet=fleet)
    assert made is not None, found
    problem = made.problem
    serve = next(p.name for p in problem.pools if " serve " in p.name and p.tier == "gpu" and p.slots == 8)
    options: list[int] = []
    for stage in problem.stages:
        pools = [option.pool for option in stage.options]
        options.append(pools.index(serve) if serve in pools else next(i for i, p in enumerate(pools) if "edge" in p))
    used = {stage.options[place].pool for stage, place in zip(problem.stages, options, strict=True)}
    choice = Choice(tuple(options), tuple(int(pool.name in used) for pool in problem.pools))
    return System(problem, choice, error=0.0), program_of(made, choice, fleet)


def test_a_cut_link_makes_wait_and_then_is_unreachable(built: dict[str, Built]) -> None:
    system, program = apart()
    every = EVERY[:30]

    def cut(start: float, end: float) -> Simulation:
        return simulate(system, every, 1, program=program, faults=Faults(cuts=(Cut("edge", "gpu", start, end),)))

    calm = simulate(system, every, 1, program=program)
    short, long = cut(10.0, 14.0), cut(10.0, 24.0)
    assert short.ended == {"done": 30}
    assert short.moment("finish").largest == pytest.approx(4.0 + calm.moment("finish").percentiles[0], rel=0.2)
    assert next(blame for blame in short.blame if blame.kind == "finish").stage == "edge-gpu cut"
    # The wire waits for six seconds; what would have to wait longer is told so.
    assert long.ended["failed (unreachable)"] == pytest.approx(8, abs=1)
    assert unknown(system, Cut("gpu", "moon", 1.0, 2.0)) is not None
    assert unknown(system, Kill("gpu", 1.0, 2)) == "gpu has 1 instance, counted from 0"
    with pytest.raises(ValueError, match="gpux"):
        simulate(system, poisson(1.0, 3), program=program, faults=Faults((Kill("gpux", 1.0),)))


def test_instances_follow_the_load_within_their_counts(built: dict[str, Built]) -> None:
    """Three replicas where one does: the others are drained, no run is lost, and it costs less."""
    system, program = placed(built, "triage")
    more = replace(system.choice, replicas=tuple(3 * count for count in system.choice.replicas))
    system = System(system.problem, more, error=0.0)
    come = days(2.0, 200, 1, 200.0)
    static = simulate(system, come, 1, program=program)
    follow = Follow(opening=5.0, calm=30.0)
    found = simulate(system, come, 1, program=program, follow=follow)
    assert found.ended == {"done": 200} and found.holds == static.holds
    assert found.dollars < 0.8 * static.dollars
    (grown,) = found.grown
    assert 1.0 <= grown.mean < 2.5 and grown.most == 3 and grown.changes >= 1
    assert repr(found) == repr(simulate(system, come, 1, program=program, follow=follow))


@pytest.mark.parametrize(
    "text", ["gpu", "gpu@", "gpu@30", "gpu@30s:5", "gpu#x@30s", "gpu@5s..3s", "@3s", "gpu@3s:5s:5s"]
)
def test_what_is_no_fault_is_said(text: str) -> None:
    for read in (words.kill, words.slow, words.cut):
        with pytest.raises(ValueError, match=r"not written|before"):
            read(text)


def test_faults_as_they_are_written() -> None:
    assert words.kill("gpu#1@30s:500ms") == Kill("gpu", 30.0, 1, 0.5)
    assert words.kill("gpu@2min") == Kill("gpu", 120.0)
    assert words.slow("answer.decode@10s..1min:x2.5") == Slow("answer.decode", 10.0, 60.0, 2.5)
    assert words.cut("edge-gpu@1s..2s") == Cut("edge", "gpu", 1.0, 2.0)
