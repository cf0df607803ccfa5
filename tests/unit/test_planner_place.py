"""Plans: what they hold, what they refuse, why a goal is missed, and what would help."""

from dataclasses import replace

import pytest
from planned import plan
from planner_graphs import SPAN, chat_graph, fleet, goal, graph, machine, op, term, value

from agentlang.base.problems import Problem, Severity
from agentlang.base.units import ENERGY_PER_COUNT, NUMBER, Quantity
from agentlang.lang.program import Assumption, Goal, GoalTerm
from agentlang.lang.types import TEXT
from agentlang.planner.calibrate import Calibration, Observation
from agentlang.planner.codec import DecodeError
from agentlang.planner.figures import Basis
from agentlang.planner.goals import term_text
from agentlang.planner.place import Options, choose_fleet
from agentlang.planner.plan import Plan, from_json, to_json
from agentlang.planner.rates import PRICE_VARIABLE
from agentlang.planner.report import compare, comparison_json, comparison_text, goal_json, plan_text
from agentlang.planner.space.evaluate import FULLEST, waiting
from agentlang.planner.tails import tail


@pytest.fixture(autouse=True)
def _no_price(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PRICE_VARIABLE, raising=False)


def exact() -> Calibration:
    keys = ["host|toy:work|", "xla|llm:prefill|toy-1m", "xla|llm:decode|toy-1m"]
    return Calibration("toy").refined(Observation(key, 1.0, 1.0) for key in keys for _ in range(5))


def planned(given: Goal | None = None, **options: object) -> tuple[Plan, tuple[Problem, ...]]:
    found, problems = plan(
        chat_graph(),
        "answer",
        machine(),
        goal=given,
        calibration=exact(),
        program="a" * 64,
        options=Options(**options),  # pyright: ignore[reportArgumentType]
    )
    assert found is not None, problems
    return found, problems


def slugs(problems: tuple[Problem, ...]) -> list[str]:
    return [problem.slug for problem in problems]


# --- what a plan holds -----------------------------------------------------------------------------------------------


def test_without_goal_and_fleet_this_machine_is_planned() -> None:
    found, problems = planned()
    assert not problems
    assert (found.fleet, found.feasible, found.runs_here) == ("this machine", True, True)
    assert [p.name for p in found.predictions] == ["first_token", "token_gap", "finish"]
    assert found.prediction("finish").value == pytest.approx(0.70101)  # pyright: ignore[reportOptionalMemberAccess]
    stage = found.stage("answer.chat.decode")
    assert (stage.tier, stage.engine, stage.model, stage.batch) == ("cpu", "xla", "writer", 1)
    assert (stage.tensor_parallel, stage.pipeline_parallel, stage.instances) == (1, 1, 1)
    assert [(c.source, c.target, c.items) for c in found.channels] == [
        ("answer.chat.decode", "answer.chat.detokenize", 64)
    ]
    with pytest.raises(KeyError):
        found.stage("nobody")


def test_memory_is_weights_and_the_largest_moment() -> None:
    found, _ = planned()
    assert found.pools[0].memory.value == pytest.approx(100e6 + (50 + 21) * 1e6)


def test_opening_is_predicted_once_and_apart() -> None:
    found, _ = planned()
    assert found.load.value == pytest.approx(0.05)
    assert all("disk" not in term.name for p in found.predictions for term in p.terms)


def test_sizes_carry_their_basis() -> None:
    found, _ = planned(goal(question=10.0))
    sizes = dict(found.workload.sizes)
    assert (sizes["question.tokens"].value, sizes["question.tokens"].basis) == (10.0, Basis.GIVEN)
    assert sizes["answer.output"].basis is Basis.DERIVED
    found, _ = planned(goal(question=10.0), measured={"question.tokens": 7.0})
    sizes = dict(found.workload.sizes)
    assert (sizes["question.tokens"].value, sizes["question.tokens"].basis) == (7.0, Basis.MEASURED)
    found, _ = planned()
    assert dict(found.workload.sizes)["question.tokens"].basis is Basis.ASSUMED


def test_an_assumption_of_nothing_is_a_warning() -> None:
    given = replace(goal(), assumptions=(Assumption("questoin", Quantity(9.0, NUMBER), SPAN, output=True),))
    _, problems = planned(given)
    assert slugs(problems) == ["plan-unknown-size"]
    assert problems[0].severity is Severity.WARNING


def test_a_plan_survives_json_and_is_a_value() -> None:
    given = goal(term("rate", 0.1), term("first_token", 2.0, 95.0), term("finish", 0.1, 99.0))
    for found in (planned()[0], planned(given)[0]):
        again = from_json(to_json(found))
        assert again == found
        assert hash(again) == hash(found)
        assert again.digest == found.digest
        assert plan_text(again) == str(found)


@pytest.mark.parametrize("text", ["", "null", "[]", "{", '{"format": 1}', "[" * 100_000])
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(DecodeError):
        from_json(text)


def test_a_plan_of_another_format_is_refused() -> None:
    found, _ = planned()
    with pytest.raises(DecodeError, match="format 99"):
        from_json(to_json(replace(found, format=99)))


def test_equal_inputs_give_equal_plans_and_each_input_is_hashed() -> None:
    one, _ = planned(goal(term("finish", 1.0)))
    two, _ = planned(goal(term("finish", 1.0)))
    assert one.digest == two.digest
    other, _ = planned(goal(term("finish", 2.0)))
    assert one.inputs.goal != other.inputs.goal
    assert one.inputs.graph == other.inputs.graph
    colder, _ = plan(chat_graph(), "answer", machine(), calibration=Calibration("toy"))
    assert colder is not None
    assert colder.inputs.calibration != one.inputs.calibration
    faster, _ = plan(chat_graph(), "answer", machine(cores=8), calibration=exact())
    assert faster is not None
    assert faster.inputs.hardware != one.inputs.hardware


# --- goals -----------------------------------------------------------------------------------------------------------


def test_a_goal_that_holds() -> None:
    found, problems = planned(goal(term("first_token", 1.0, 95.0), term("finish", 2.0, 99.0), term("token_gap", 0.1)))
    assert not problems
    assert found.feasible
    assert {line.kind for line in found.certificate} == {"memory", "promise", "count"}
    assert all(line.holds for line in found.certificate)
    assert [f"{t.term} {t.percentile:g}" for t in found.tails] == ["first_token 95", "finish 99"]


def test_budgets_share_the_finish_along_its_path() -> None:
    found, _ = planned(goal(term("finish", 7.0101)))
    budgets = {stage.id: stage.budget for stage in found.stages}
    assert budgets["answer.chat.prefill"] == pytest.approx(5.0)
    assert budgets["answer.chat.decode"] == pytest.approx(2.0)
    assert sum(budget or 0.0 for budget in budgets.values()) == pytest.approx(7.0101)


def test_a_missed_goal_says_the_number_the_reason_and_what_would_help() -> None:
    found, problems = planned(goal(term("first_token", 0.1, 95.0)))
    assert not found.feasible
    (problem,) = problems
    assert (problem.slug, problem.severity, problem.span) == ("plan-goal-missed", Severity.WARNING, SPAN)
    assert "`first_token p95 <= 100 ms` cannot hold on cpu" in problem.title
    assert "FLOPs / peak of answer.chat.prefill (500 ms)" in problem.title
    assert problem.hint is not None
    assert "at most 9 tokens in question" in problem.hint
    # What the hint promises holds, and one more does not.
    for tokens, holds in ((9.0, True), (10.0, False)):
        assert planned(goal(term("first_token", 0.1, 95.0), question=tokens))[0].feasible is holds


def test_the_relaxed_limit_of_the_hint_holds() -> None:
    given = goal(term("finish", 0.1, 99.0))
    found, problems = planned(given)
    assert found.goals[0].predicted is not None
    assert problems[0].hint is not None
    assert f"`{term_text(replace(found.goals[0], limit=0.71))}`" in problems[0].hint
    assert planned(goal(term("finish", 0.71, 99.0)))[0].feasible


def test_enforced_goals_are_errors() -> None:
    _, problems = planned(goal(term("finish", 0.1)), enforce_goal=True)
    assert [problem.severity for problem in problems] == [Severity.ERROR]


def test_waiting_is_a_term_and_a_lower_rate_helps() -> None:
    given = goal(term("rate", 1.2), term("finish", 1.0, 95.0))
    found, problems = planned(given)
    names = [t.name for t in found.goals[1].predicted.terms]  # pyright: ignore[reportOptionalMemberAccess]
    assert "waiting p95" in names
    assert slugs(problems) == ["plan-no-plan"]
    hint = str(problems[0].hint)
    rate = float(hint.split("`rate ")[1].split(" per s")[0])
    assert 0.0 < rate < 1.2
    assert planned(goal(term("rate", rate), term("finish", 1.0, 95.0)))[0].feasible


def test_an_overloaded_tier_is_said_once() -> None:
    found, problems = planned(goal(term("rate", 3.0), term("finish", 2.0, 95.0), term("token_gap", 0.1, 95.0)))
    assert slugs(problems) == ["plan-overloaded"]
    assert "at most 1.36 per s" in problems[0].title
    assert "4 of cpu" in str(problems[0].hint)
    finish = next(g for g in found.goals if g.term == "finish")
    assert finish.predicted is None
    assert not finish.met
    assert from_json(to_json(found)) == found


def test_a_limit_that_even_an_idle_tier_misses_is_named_before_its_overload() -> None:
    _, problems = planned(goal(term("rate", 3.0), term("finish", 0.1, 95.0)))
    (problem,) = problems
    assert "`finish p95 <= 100 ms`" in problem.title
    assert "of cpu" in str(problem.hint)


def test_cost_without_a_rate_is_the_time_of_the_run() -> None:
    found, _ = planned(price=3600.0)
    assert found.cost.per_run.value == pytest.approx(0.70101)
    assert found.cost.per_1000_runs == pytest.approx(701.01)
    assert found.cost.convention == "given"


def test_cost_with_a_rate_is_of_the_whole_machine() -> None:
    found, problems = planned(goal(term("rate", 0.1), term("cost", 9.0)), price=3600.0)
    assert found.cost.per_run.value == pytest.approx(10.0)
    assert any(t.name == "idle share" for t in found.cost.per_run.terms)
    assert slugs(problems) == ["plan-no-plan"]
    assert "$10,000" in str(problems[0])


def test_the_environment_states_a_price(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PRICE_VARIABLE, "$0.36")
    assert planned()[0].tiers[0].price.value == 0.36
    for text in ("cheap", "-1", "nan", "inf"):
        monkeypatch.setenv(PRICE_VARIABLE, text)
        found, problems = plan(chat_graph(), "answer", machine())
        assert found is None
        assert slugs(problems) == ["plan-bad-price"]


def test_a_convention_that_needs_a_price_says_so() -> None:
    found, problems = plan(chat_graph(), "answer", machine(), options=Options(convention="rent"))
    assert found is None
    assert slugs(problems) == ["plan-needs-price"]
    rented, _ = planned(convention="rent", price=1.0)
    assert rented.cost.convention == "given"


def test_energy_of_a_goal_is_compared_in_joules() -> None:
    limit = GoalTerm("energy", Quantity(10.0, ENERGY_PER_COUNT), SPAN)
    found, problems = planned(goal(limit))
    assert found.energy.value == pytest.approx(45 * found.tiers[0].devices * 0.7, rel=0.01)
    assert len(problems) == 1
    assert "energy" in problems[0].title


# --- refusals --------------------------------------------------------------------------------------------------------


def test_a_fleet_of_several_tiers_has_a_plan_and_one_of_none_is_refused() -> None:
    found, problems = plan(
        chat_graph(), "answer", machine(), fleet=fleet(("a", "laptop", 1, 1), ("b", "h100", 0, 4), links=1)
    )
    assert found is not None, problems
    assert [tier.name for tier in found.tiers] == ["a", "b"]
    assert "not used: b" in plan_text(found) or found.tiers[1].devices
    found, problems = plan(chat_graph(), "answer", machine(), fleet=fleet())
    assert (found, slugs(problems)) == (None, ["plan-bad-figure"])


def test_an_unknown_device_is_refused_with_a_suggestion() -> None:
    found, problems = plan(chat_graph(), "answer", machine(), fleet=fleet(("a", "h10", 1, 1)))
    assert found is None
    assert slugs(problems) == ["plan-unknown-device"]
    assert "`catalog.h100`" in str(problems[0].hint)


def test_what_is_not_planned_yet_is_refused_not_ignored() -> None:
    found, problems = plan(chat_graph(), "answer", machine(), goal=goal(GoalTerm("watts", None, SPAN, word="x")))
    assert (found, slugs(problems)) == (None, ["plan-term-not-planned"])


def keep(*tiers: str) -> GoalTerm:
    return GoalTerm("keep", None, SPAN, word="pii", tiers=tiers)


def test_a_label_is_kept_on_a_tier_that_it_may_be_on_and_here() -> None:
    for on in (fleet(("a", "h100", 1, 1)), None):
        found, problems = plan(chat_graph(), "answer", machine(), goal=goal(keep("a", "b")), fleet=on)
        assert found is not None and problems == ()


def test_a_soft_term_may_be_missed() -> None:
    missed = term("finish", 0.01)
    soft = GoalTerm("soft", Quantity(10.0, NUMBER), SPAN, word="finish")
    hard, problems = plan(chat_graph(), "answer", machine(), goal=goal(missed))
    assert hard is not None and not hard.feasible and slugs(problems) == ["plan-goal-missed"]
    found, problems = plan(chat_graph(), "answer", machine(), goal=goal(missed, soft))
    assert found is not None and found.feasible and problems == ()
    (shown,) = found.goals
    assert (shown.met, shown.soft) == (False, 10.0)
    assert "missed (soft)" in plan_text(found)


def test_what_does_not_fit_is_refused() -> None:
    small = machine(memory=replace(machine().memory, value=120e6))
    found, problems = plan(chat_graph(), "answer", small)
    assert (found, slugs(problems)) == (None, ["plan-does-not-fit"])
    assert "writer, loaded" in str(problems[0].hint)


# --- a device of the catalogue ---------------------------------------------------------------------------------------


def test_a_device_is_planned_at_its_stated_rates_and_does_not_run_here() -> None:
    found, problems = plan(chat_graph(), "answer", machine(), fleet=fleet(("gpu", "h100", 0, 8)))
    assert found is not None
    assert not problems
    assert not found.runs_here
    gap = found.prediction("token_gap")
    assert gap is not None
    weights = [t for t in gap.terms if t.name == "weights / bandwidth"]
    assert weights[0].value == pytest.approx(100e6 / 3350e9)
    assert weights[0].basis is Basis.DATASHEET


def test_the_fewest_instances_that_meet_the_goal_are_taken() -> None:
    given = goal(term("rate", 1000.0), term("finish", 0.5, 95.0))
    found, _ = plan(chat_graph(), "answer", machine(), goal=given, fleet=fleet(("gpu", "h100", 0, 64)))
    assert found is not None
    assert found.feasible
    tier = found.tiers[0]
    assert tier.devices > 1
    assert tier.utilisation < 1.0
    fewer, _ = plan(chat_graph(), "answer", machine(), goal=given, fleet=fleet(("gpu", "h100", 0, tier.devices - 1)))
    assert fewer is not None
    assert not fewer.feasible
    fastest = replace(given, terms=(*given.terms, GoalTerm("prefer", None, SPAN, word="fastest")))
    most, _ = plan(chat_graph(), "answer", machine(), goal=fastest, fleet=fleet(("gpu", "h100", 0, 64)))
    assert most is not None
    assert most.objective_value == most.prediction("finish").value  # pyright: ignore[reportOptionalMemberAccess]


def test_a_laptop_of_the_fleet_is_this_machine() -> None:
    found, _ = plan(chat_graph(), "answer", machine(), fleet=fleet(("cpu", "laptop", 1, 1)), calibration=exact())
    assert found is not None
    assert found.runs_here
    assert found.predictions == planned()[0].predictions


# --- fleets of a program ---------------------------------------------------------------------------------------------


def test_choosing_a_fleet() -> None:
    from types import SimpleNamespace
    from typing import Any

    lab, market = fleet(("a", "h100", 1, 1)), replace(fleet(("b", "a100", 1, 1)), name="market")

    def choose(*fleets: Any, name: str | None = None) -> tuple[Any, list[str]]:
        program: Any = SimpleNamespace(fleets=fleets)
        found, problems = choose_fleet(program, name)
        return found, slugs(problems)

    assert choose() == (None, [])
    assert choose(lab) == (lab, [])
    assert choose(lab, market) == (None, ["plan-which-fleet"])
    assert choose(lab, market, name="market") == (market, [])
    assert choose(lab, name="markt") == (None, ["plan-unknown-fleet"])


# --- after a run -----------------------------------------------------------------------------------------------------


def test_measured_beside_predicted() -> None:
    found, _ = planned(goal(term("finish", 1.0, 95.0), term("rate", 0.1)))
    seen = {
        "first_token": 0.6,
        "token_gap": 0.02,
        "token_gap p95": 0.03,
        "finish": 1.2,
        "answer.chat.decode": 0.4,
        "x": 1.0,
    }
    lines = {line.name: line for line in compare(found, seen)}
    assert set(lines) == set(seen) - {"x"}
    assert lines["token_gap"].ratio == pytest.approx(2.0)
    assert lines["answer.chat.decode"].ratio == pytest.approx(2.0)
    assert lines["token_gap p95"].predicted > lines["token_gap"].predicted
    assert (lines["finish"].limit, lines["finish"].met) == (1.0, False)
    assert lines["first_token"].met is None
    text = comparison_text(compare(found, seen))
    assert "x 2.00" in text
    assert "over" in text
    data = comparison_json(compare(found, seen))
    assert data["finish"]["measured"] == 1.2
    goals = goal_json(found, seen)
    assert goals["finish p95"]["met"] is False
    assert goals["finish p95"]["measured"] == 1.2
    assert goals["rate"]["met"] is None


def test_the_text_of_a_plan_has_what_people_ask() -> None:
    text = plan_text(planned(goal(term("rate", 0.5), term("finish", 0.1, 95.0), term("cost", 1.0)))[0])
    for words in (
        "does not meet its goal",
        "answer.chat.decode",
        "weights / bandwidth",
        "finish p95 <= 100 ms",
        "MISSED",
        "median x",
        "question.tokens  50 tokens  assumed",
        "per 1000 runs = 1000 x",
        "annuity, assumed",
    ):
        assert words in text


def test_stages_that_count_as_free_are_noted() -> None:
    made = value(TEXT)
    operations = (op("stage", "answer.mystery", (), made, entry="toy:x"), op("return", "answer.return", (made,)))
    found, _ = plan(graph(operations, TEXT), "answer", machine())
    assert found is not None
    assert found.notes == ("no demand is known of answer.mystery: it counts as free",)
    assert "note: no demand" in plan_text(found)
    assert found.prediction("finish").value == 0.0  # pyright: ignore[reportOptionalMemberAccess]


def test_a_pipeline_of_nothing_plans() -> None:
    made = value(TEXT)
    operations = (op("constant", "answer.c", (), made, value="x"), op("return", "answer.return", (made,)))
    given = goal(term("rate", 5.0), term("finish", 1.0, 95.0), term("cost", 1.0))
    found, problems = plan(graph(operations, TEXT), "answer", machine(), goal=given)
    assert not problems
    assert found is not None
    assert found.feasible
    assert from_json(to_json(found)) == found


# --- tails -----------------------------------------------------------------------------------------------------------


def test_waiting_grows_with_the_load_and_has_no_bound_above_the_fullest() -> None:
    seconds = [waiting(1, step, 95.0) for step in range(FULLEST + 2)]
    assert seconds[:2] == [0.0, 0.0]
    assert seconds == sorted(seconds)
    assert seconds[-1] == float("inf") > seconds[-2]


def test_waiting_agrees_with_a_simulated_queue() -> None:
    """Lindley's recursion with Poisson arrivals and constant service: the 95th percentile within a fifth."""
    import random

    generator = random.Random(7)
    service, rate, wait, seen = 1.0, 0.6, 0.0, []
    for _ in range(200_000):
        seen.append(wait)
        wait = max(0.0, wait + service - generator.expovariate(rate))
    exact = sorted(seen)[int(0.95 * len(seen))]
    assert service / 2.0 * waiting(1, 12, 95.0) == pytest.approx(exact, rel=0.2)


def test_tails_of_percentiles() -> None:
    assert tail("finish", 50.0, 0.3, Basis.ASSUMED).factor == pytest.approx(1.0)
    assert tail("finish", 95.0, 0.1, Basis.ASSUMED).factor == pytest.approx(1.179, abs=0.001)
    assert tail("finish", 99.0, 0.1, Basis.ASSUMED).factor > tail("finish", 95.0, 0.1, Basis.ASSUMED).factor
