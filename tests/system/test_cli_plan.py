"""`agentlang plan` of a fleet with several tiers, as a user asks for it: text, JSON, a file, a convention, a fleet."""

import json
from pathlib import Path

import pytest
from cli_runs import agentlang

from agentlang.planner.plan import Plan, from_json

PROGRAM = """
use std/llm

model writer = llm.chat("llama-3-8b-instruct")

pipeline ask(question: Text) -> stream Text {
  return writer.chat(question, max_tokens: 200)
}

goal ask {
  rate 4 per s
  first_token p95 <= 500 ms
  finish p95 <= 20 s
  cost <= $5 per 1_000 runs
}

fleet office {
  tier old = catalog.a100 { count 0..4 }
  tier new = catalog.h100 { count 0..4 }
  link * <-> * 100 Gbit/s, 10 us
}

fleet small {
  tier only = catalog.a100 { count 0..4 }
}
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "ask.agent"
    path.write_text(PROGRAM.lstrip(), "utf-8")
    return path


def planned(program: Path, *words: str) -> Plan:
    done = agentlang("plan", program, "--json", *words, cwd=program.parent)
    assert done.code == 0, done.err
    json.loads(done.out, parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))
    return from_json(done.out)


def test_a_plan_of_several_tiers_is_the_same_as_text_as_json_and_in_a_file(program: Path) -> None:
    done = agentlang("plan", program, "--fleet", "office", "--out", "plan.json", cwd=program.parent)
    assert done.code == 0, done.err
    kept = from_json((program.parent / "plan.json").read_bytes())
    again = planned(program, "--fleet", "office")
    assert again == kept
    assert str(kept) in done.out
    assert kept.feasible and not kept.runs_here
    assert kept.search.confirmed.startswith("simulation")
    assert any(value is not None for _, value in kept.search.baselines)
    for words in ("plan of ask on office: meets its goal", "to spare", "proven optimal", "confirmed by", "budget"):
        assert words in done.out


@pytest.mark.slow
def test_the_fleet_and_the_convention_are_chosen(program: Path) -> None:
    refused = agentlang("plan", program, cwd=program.parent)
    assert refused.code == 2
    assert "plan-which-fleet" in refused.err
    small = planned(program, "--fleet", "small")
    assert {stage.tier for stage in small.stages} == {"only"}
    annuity, capex = (planned(program, "--fleet", "office", "--cost", cost) for cost in ("annuity", "capex"))
    assert (annuity.cost.convention, capex.cost.convention) == ("annuity", "capex")
    assert capex.cost.per_run.value < annuity.cost.per_run.value
