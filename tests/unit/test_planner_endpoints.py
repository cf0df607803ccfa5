"""Models that somebody else serves: nothing of them is here, and the time is what their endpoint states."""

from dataclasses import replace

import pytest
from planned import plan
from planner_graphs import SPAN, chat_graph, machine

from agentlang.ir.graph import Attribute, Graph
from agentlang.lang.program import Endpoint, Fleet, Tier
from agentlang.planner.calibrate import Calibration, Observation
from agentlang.planner.catalogue import catalogue
from agentlang.planner.endpoints import FIRST_TOKEN, RATE
from agentlang.planner.figures import Basis
from agentlang.planner.plan import Plan
from agentlang.planner.predict import Forecast, forecast
from agentlang.planner.rates import of_device, of_machine

KEYS = ("llm:tokenize", "llm:prefill", "llm:transfer", "llm:decode", "llm:detokenize")
SIZES = {"question.tokens": 50.0, "best.items": 4.0, "answer.output": 21.0}


def served(serves: str = "toy-1m", **stated: float) -> Graph:
    endpoint: dict[str, Attribute] = {"serves": (serves,), "url": "https://models", **stated}
    tier: dict[str, Attribute] = {"name": "cloud", "device": "", "least": 0, "most": 1, "endpoint": endpoint}
    return replace(chat_graph(), fleets={"office": {"tiers": (tier,), "links": ()}})


def run(given: Graph, here: bool = True) -> Forecast:
    laptop = catalogue()["laptop"]
    rates = of_machine(machine(), laptop) if here else of_device(catalogue()["h100"])
    known = Calibration(rates.key).refined(Observation(f"endpoint|{k}|toy-1m", 1.0, 1.0) for k in KEYS for _ in "abc")
    return forecast(given, "answer", SIZES, rates, known)


def planned(given: Graph) -> Plan:
    found, problems = plan(given, "answer", machine())
    assert found is not None, problems
    return found


def test_the_prefill_waits_for_the_first_token_and_the_decode_for_the_others() -> None:
    found = run(served(first_token=0.4, rate=20.0))
    assert found.first.at == pytest.approx(0.4)
    assert found.finish.at == pytest.approx(0.4 + 20 / 20.0)
    assert found.gap is not None and found.gap.at == pytest.approx(1 / 20.0)
    assert found.busy_seconds == 0.0
    assert (found.opened, found.elsewhere) == ((), {"writer": "cloud"})
    bases = {term.basis for time in found.times.values() for term in time.time.terms}
    assert bases == {Basis.GIVEN}


def test_what_an_endpoint_does_not_state_is_assumed() -> None:
    found = run(served())
    assert found.finish.at == pytest.approx(FIRST_TOKEN + 20 / RATE)
    assert {term.basis for time in found.times.values() for term in time.time.terms} == {Basis.ASSUMED}


def test_only_what_is_served_is_elsewhere_and_only_for_this_machine() -> None:
    for found in (run(served("other")), run(served(), here=False)):
        assert (found.opened, found.elsewhere) == (("writer",), {})
        assert found.busy_seconds > 0.0


def test_a_model_that_is_served_needs_no_memory_here() -> None:
    there, here = planned(served()), planned(served("other"))
    assert there.pools[0].memory.value == 0.0
    assert here.pools[0].memory.value > 100e6
    assert there.notes == ("model writer is served by cloud: it is not here",)


def test_a_fleet_of_an_endpoint_alone_is_paid_by_the_token() -> None:
    tier = Tier("cloud", "", (0, 1), SPAN, Endpoint("https://models", None, ("toy-1m",)))
    found, problems = plan(served(), "answer", machine(), fleet=Fleet("office", (tier,), (), SPAN))
    assert found is not None, problems
    assert {stage.tier for stage in found.stages} == {"cloud"}
    assert (found.tiers[0].endpoint, found.tiers[0].devices) == (True, 0)
    assert "tier cloud states no price of a token: it counts as free" in found.notes
