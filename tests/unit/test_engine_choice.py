"""Which engine a chat model runs on where nobody says: what was profiled here is weighed, the goal first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agentlang import api
from agentlang.engine_choice import USUAL, choose_engines, engines_of, profiled, undecided, with_engines
from agentlang.planner import calibrate, hardware
from agentlang.planner.calibrate import Observation, stage_key
from agentlang.planner.hardware import Machine
from agentlang.stdlib.library import Library

MODEL = "smollm2-135m-instruct"
HEAD = f'use std/llm\nmodel writer = llm.chat("{MODEL}")\n'
BODY = "pipeline p(q: Text) -> stream Text {\n  return writer.chat(q, max_tokens: 64)\n}\n"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = hardware.load_or_measure()
    monkeypatch.setenv("AGENTLANG_HOME", str(tmp_path))
    return replace(found, engines=())


def compiled(text: str = HEAD + BODY) -> api.Compiled:
    source, _ = api.decode("choice.agent", text.encode())
    assert source is not None
    checked = api.check(source)
    assert checked.program is not None, checked.problems
    found, problems = api.compile(checked.program, Library(Path()))
    assert found is not None, problems
    return found


def measured(machine: Machine, program: api.Compiled, **factors: tuple[float, float]) -> None:
    """As if the program had been profiled: prefill and decode took so many times their rooflines."""
    for engine, (prefill, decode) in factors.items():
        seen = [
            Observation(stage_key(engine, f"llm:{step}", MODEL), 1.0, factor)
            for step, factor in (("prefill", prefill), ("decode", decode))
        ]
        calibrate.save(calibrate.load(machine.key).refined(seen))
        profiled(program, engine, machine)


def test_the_engine_that_costs_less_is_chosen_and_said(machine: Machine) -> None:
    program = compiled()
    measured(machine, program, xla=(1.5, 1.5), llamacpp=(6.0, 1.5))
    choice = choose_engines(program, "p", machine)
    assert choice.engines == {"writer": "llamacpp"}
    assert choice.compiled.graph.handle("writer").arguments["engine"] == "llamacpp"
    (why,) = choice.why
    assert why.startswith("model writer runs on llamacpp: finish ") and ", on xla " in why
    # It reads four bits where the other reads 32, so it must be far slower than its roofline to lose.
    measured(machine, program, xla=(1.5, 1.5), llamacpp=(6.0, 40.0))
    for _ in range(40):
        measured(machine, program, llamacpp=(6.0, 40.0))
    again = choose_engines(program, "p", machine)
    assert again.engines == {"writer": USUAL} and again.compiled is program


def test_the_goal_goes_before_the_cost(machine: Machine) -> None:
    text = HEAD + BODY + "goal p {\n  first_token p50 <= LIMIT\n}\n"
    # Slow to begin, fast to go on: it costs less, and its first token is late.
    factors = {"xla": (1.5, 3.0), "llamacpp": (12.0, 1.2)}
    free = compiled(text.replace("LIMIT", "1000 s"))
    measured(machine, free, **factors)
    assert choose_engines(free, "p", machine).engines == {"writer": "llamacpp"}
    first = {
        engine: next(
            term.predicted.value for term in planned.goals if term.term == "first_token" and term.predicted is not None
        )
        for engine in ("xla", "llamacpp")
        if (planned := api.plan(with_engines(free, {"writer": engine}), "p", machine, here=True)[0]) is not None
    }
    assert first["xla"] < first["llamacpp"]
    between = 1000 * (first["xla"] + first["llamacpp"]) / 2
    held = choose_engines(compiled(text.replace("LIMIT", f"{between:.0f} ms")), "p", machine)
    assert held.engines == {"writer": "xla"}
    assert "and the goal is missed" in held.why[0]


def test_only_what_was_profiled_is_weighed(machine: Machine) -> None:
    program = compiled()
    assert choose_engines(program, "p", machine).engines == {}
    measured(machine, program, llamacpp=(1.0, 1.0))
    assert choose_engines(program, "p", machine).compiled is program, "one engine is no choice"
    seen = Observation(stage_key("xla", "llm:decode", MODEL), 1.0, 9.0)
    calibrate.save(calibrate.load(machine.key).refined([seen]))
    assert choose_engines(program, "p", machine).engines == {}, "a run is no wish to choose"


@pytest.mark.parametrize("stated", ['engine: "xla"', 'dtype: "int8"'])
def test_what_the_program_says_stays(machine: Machine, stated: str) -> None:
    program = compiled(HEAD.replace(f'"{MODEL}"', f'"{MODEL}", {stated}') + BODY)
    assert undecided(program.program) == {}
    measured(machine, compiled(), xla=(9.0, 9.0), llamacpp=(1.0, 1.0))
    assert choose_engines(program, "p", machine).compiled is program


def test_a_plan_names_its_engines_and_gives_the_same_program_again(machine: Machine) -> None:
    program = compiled()
    measured(machine, program, xla=(5.0, 5.0), llamacpp=(5.0, 1.0))
    choice = choose_engines(program, "p", machine)
    planned, _ = api.plan(choice.compiled, "p", machine, here=True)
    assert planned is not None
    assert engines_of(planned, program.program) == {"writer": "llamacpp"}
    again = with_engines(program, engines_of(planned, program.program))
    assert again.graph.digest == choice.compiled.graph.digest == planned.inputs.graph
    assert program.graph.digest != again.graph.digest


def test_many_models_are_decided_together(machine: Machine) -> None:
    names = [f"m{number}" for number in range(5)]
    models = "".join(f'model {name} = llm.chat("{MODEL}")\n' for name in names)
    calls = "".join(f"  t{name} = all({name}.chat(q, max_tokens: 64))\n" for name in names)
    program = compiled(f'use std/llm\n{models}pipeline p(q: Text) -> Text {{\n{calls}  return "{{t{names[0]}}}"\n}}\n')
    measured(machine, program, xla=(5.0, 5.0), llamacpp=(5.0, 1.0))
    choice = choose_engines(program, "p", machine)
    assert set(choice.engines.values()) == {"llamacpp"} and len(choice.why) == 5
