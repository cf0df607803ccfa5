"""Plans for the load of a trace: what each number of them rests on, what large runs are promised, and that `verify`
needs no trace."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from itertools import product
from math import exp
from pathlib import Path
from typing import Any

import pytest
from cli_runs import fresh_home
from planned import build
from recorded import CHAT, SIZES, azure, compiled, load, machine, two_minutes

from agentlang.api import Compiled, on_trace
from agentlang.api import load as load_file
from agentlang.cli.main import main
from agentlang.executor.simulate import Arrival
from agentlang.executor.simulate.planned import choice_of
from agentlang.executor.simulate.traces import around
from agentlang.planner.codec import decode
from agentlang.planner.figures import Basis
from agentlang.planner.options import Options
from agentlang.planner.place import decided
from agentlang.planner.plan import Plan, from_json, to_json
from agentlang.planner.plan_text import plan_text
from agentlang.planner.profile import Profile, key_of, made, save
from agentlang.planner.profile import load as kept
from agentlang.planner.space.build import Built
from agentlang.planner.space.evaluate import evaluate, z_of
from agentlang.planner.space.nodes import Take, values
from agentlang.planner.traces import Load, named
from agentlang.planner.verify import seal, verify
from agentlang.planner.verify.given import given_of

DIGEST = load(two_minutes()).digest[:12]


@cache
def program(text: str = CHAT) -> Compiled:
    return compiled(text)


def built(trace: Load | None = None, text: str = CHAT, **options: object) -> Built:
    of = program(text)
    made_of, found = build(
        of.graph,
        "chat",
        machine(),
        goal=of.program.goal("chat"),
        fleet=of.program.fleets[0],
        options=replace(Options(trace=trace), **options),  # pyright: ignore[reportArgumentType]
    )
    assert made_of is not None, found
    return made_of


def planned(of: Built, text: str = CHAT) -> Plan:
    plan, found = decided(of, program(text).program.goal("chat"), program(text).program.fleets[0])
    assert plan is not None, found
    return plan


def test_every_figure_of_the_load_says_where_it_comes_from() -> None:
    plan = planned(built(load(two_minutes())))
    of = f"180 requests of requests.csv, sha256 {DIGEST}"
    text = plan_text(plan)
    start = text.index("workload")
    assert text[start : text.index("\n\n", start)].splitlines() == [
        "workload                           basis",
        "rate                  2 per s      trace, busiest minute of requests.csv, from requests.csv:62:1",
        f"prompt.tokens         760 tokens   trace, mean of {of}",
        f"chat.output           28 tokens    trace, mean of {of}",
        f"rate, mean            1.498 per s  trace, {of} in 120 s",
        "rate, busiest minute  2 per s      trace, from requests.csv:62:1",
        f"prompt.tokens p95     4000 tokens  trace, {of}",
        f"chat.output p95       100 tokens   trace, {of}",
        f"prompt.tokens p99     4000 tokens  trace, {of}",
        f"chat.output p99       100 tokens   trace, {of}",
    ]
    assert any("where the goal assumes 600 tokens" in note for note in plan.notes)
    sizes = dict(plan.workload.sizes)
    assert sizes["prompt.tokens"].basis is sizes["chat.output"].basis is Basis.TRACE
    document = json.loads(to_json(plan))
    assert document["made"]["options"]["trace"]["digest"] == load(two_minutes()).digest
    assert document["workload"]["rate"]["basis"] == "trace"


def test_the_goal_s_rate_stays_and_a_busier_minute_is_told() -> None:
    text = CHAT.replace("goal chat {", "goal chat {\n  rate 1 per s")
    plan = planned(built(load(two_minutes()), text), text)
    assert plan.workload.rate is not None
    assert (plan.workload.rate.value, plan.workload.rate.source) == (1.0, "the goal")
    assert "the busiest minute of requests.csv has 2 per s: more than the goal's 1 per s" in plan.notes


def test_without_a_rate_nothing_is_made_up() -> None:
    plan = planned(built(load(azure([(0.0, 100, 10)]))))
    assert plan.workload.rate is None
    assert dict(plan.workload.sizes)["prompt.tokens"].value == 100.0


def test_load_and_cost_are_of_the_means() -> None:
    """A trace whose requests are all alike is what its goal would say, in every number."""
    rows = [(float(at), 600, 40) for at in range(600)]
    of = built(load(azure(rows)))
    text = CHAT.replace("goal chat {", "goal chat {\n  rate 1 per s")
    stated = built(None, text)
    assert of.problem.slow == ()
    assert of.problem.rate == 1.0
    assert of.problem.stages == stated.problem.stages
    assert planned(of).cost.per_run == planned(stated, text).cost.per_run


def test_a_promise_holds_runs_that_are_large() -> None:
    """Beside a program in which every run is as large as the promise's percentile: no stage may be predicted to take
    less, wherever it runs."""
    recorded = load(two_minutes())
    of, large = built(recorded), built(None, measured=recorded.slow(95))
    nodes, z = of.problem.nodes, z_of(95.0)
    theirs = {stage.name: {option.pool: option for option in stage.options} for stage in large.problem.stages}
    shared = [[option for option in stage.options if option.pool in theirs[stage.name]] for stage in of.problem.stages]
    tried = 0
    for options in product(*shared):
        pools = {stage.name: option.pool for stage, option in zip(of.problem.stages, options, strict=True)}
        # Where prompts stand beside replies, those of others would be large there, too.
        beside = any(" serve " in pool for pool in pools.values())
        if beside or any(pools[other] != option.pool for option in options for other in option.together):
            continue
        mine = {stage.name: option for stage, option in zip(of.problem.stages, options, strict=True)}
        other = {name: theirs[name][pool] for name, pool in pools.items()}

        def seconds(taken: Mapping[str, Any], nodes_of: Any) -> list[float]:
            def take(leaf: Take) -> float:
                option = taken[leaf.stage]
                return (option.first if leaf.first else option.seconds) * exp(z * option.noise) * leaf.times

            return values(nodes_of, take, lambda _: 0.0)

        ours, wanted = seconds(mine, nodes), seconds(other, large.problem.nodes)
        for promise in of.problem.promises:
            if promise.kind in ("first_token", "finish"):
                at = ours[of.problem.promised(replace(promise, percentile=95.0))]
                # There all rows of a batch of replies are large, of which here the others are as usual.
                batch = of.problem.pool(pools["chat.chat.decode"]).slots
                if promise.kind == "first_token" or batch == 1:
                    assert at >= wanted[large.problem.moment(promise.kind)] * (1 - 1e-9), (promise.name, pools)
                # And not much more: what does not grow is small beside what does.
                assert at <= 2.0 * wanted[large.problem.moment(promise.kind)]
        tried += 1
    assert tried > 5


def test_who_waits_waits_for_large_runs_too() -> None:
    """Prompts and replies that differ as much as the trace's, in a pool for both: more is waited for than if all were
    alike, and no more of the pool is taken."""
    of = built(load(two_minutes()))
    alike = replace(
        of.problem,
        stages=tuple(
            replace(stage, options=tuple(replace(option, varies=0.0) for option in stage.options))
            for stage in of.problem.stages
        ),
    )
    varies = {stage.name: stage.options[0].varies for stage in of.problem.stages}
    # Prompts a little more than their tokens, for their attention; replies by theirs, of which the first takes no step.
    assert 2.0 < varies["chat.chat.prefill"] < 2.3
    assert 0.73 < varies["chat.chat.decode"] < 0.9
    choice = choice_of(planned(of), of.problem)
    assert choice is not None
    mine, other = evaluate(of.problem, choice), evaluate(alike, choice)
    assert mine.loads == other.loads and mine.dollars == other.dollars
    assert max(mine.waits.values()) > 1.3 * max(other.waits.values()) > 0.0


def test_the_gap_between_tokens_is_not_that_of_a_reply() -> None:
    of = built(load(two_minutes()))
    plan = planned(of)
    gap = next(goal for goal in plan.goals if goal.term == "token_gap")
    usual = plan.prediction("token_gap")
    assert gap.predicted is not None and usual is not None
    assert usual.value < gap.predicted.value < 1.5 * usual.value


def test_what_is_promised_is_what_is_evaluated() -> None:
    of = built(load(two_minutes()))
    plan = planned(of)
    choice = choice_of(plan, of.problem)
    assert choice is not None
    outcome = evaluate(of.problem, choice)
    for goal in plan.goals:
        if goal.term in ("first_token", "finish", "token_gap"):
            assert goal.predicted is not None
            assert goal.predicted.value == pytest.approx(outcome.reached[goal.requirement])


def test_a_plan_is_verified_without_its_trace_and_refused_with_other_numbers() -> None:
    of = built(load(two_minutes()))
    document = json.loads(to_json(planned(of)))
    again = built(document_trace(document))
    assert verify(document, again.problem, given_of(again)) == ()
    for change in (
        lambda tree: tree["workload"]["rate"].update(value=1.0),
        lambda tree: tree["workload"]["sizes"][0][1].update(value=500.0),
        lambda tree: tree["workload"]["sizes"][0][1].update(basis="measured"),
        lambda tree: tree["workload"]["trace"][2][1].update(value=1000.0),
        lambda tree: tree["workload"]["trace"].pop(),
        lambda tree: tree["made"]["options"]["trace"].update(busiest=1.0),
    ):
        changed = json.loads(json.dumps(document))
        change(changed)
        changed["seal"] = seal(changed)
        # What it was made from is what it says: `verify` derives the problem from that.
        other = built(document_trace(changed))
        differs = other.inputs.workload != changed["inputs"]["workload"]
        assert differs or verify(changed, other.problem, given_of(other))


def test_the_requests_themselves_are_tried(tmp_path: Path) -> None:
    (tmp_path / "requests.csv").write_bytes(two_minutes())
    recorded, found, _ = load_file(program(), "chat", tmp_path / "requests.csv")
    assert recorded == load(two_minutes(), named(program().graph.pipeline("chat"))) and found == ()
    plan = planned(built(recorded))
    said = on_trace(program(), plan, tmp_path / "requests.csv")
    assert said is not None
    assert said.startswith("all 180 requests of requests.csv, simulated as they came: first_token p95 <= 2 s is kept, ")
    # The same requests within a second.
    rows = [(n / 180.0, 4000 if n % 10 == 3 else 400, 20) for n in range(180)]
    (tmp_path / "burst.csv").write_bytes(azure(rows))
    said = on_trace(program(), plan, tmp_path / "burst.csv")
    assert said is not None and "first_token p95 <= 2 s is missed" in said and "a higher `rate`" in said
    assert on_trace(program(), plan, tmp_path / "gone.csv") is None


@pytest.mark.slow
def test_requests_that_come_at_once_send_the_search_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bound is content with one device, whose line a burst makes too long."""
    monkeypatch.setenv("AGENTLANG_HOME", str(fresh_home(tmp_path / "home")))
    more = "\n  tier old = catalog.l40s { count 0..16 }\n  link * <-> * 100 Gbit/s, 5 us\n}"
    two = CHAT.replace("{ count 0..8 } }", "{ count 0..8 }" + more)
    (tmp_path / "chat.agent").write_text(two)
    rows = [(float(at), 400, 20) for at in range(60)] + [(60.0 + at / 200.0, 4000, 20) for at in range(20)]
    (tmp_path / "burst.csv").write_bytes(azure(rows))
    calm = [(float(at), 400 if at % 2 else 4000, 20) for at in range(80)]
    (tmp_path / "calm.csv").write_bytes(azure(calm))
    told: dict[str, tuple[int, str]] = {}
    for name in ("calm", "burst"):
        trace, out = str(tmp_path / f"{name}.csv"), str(tmp_path / name)
        done = main(["plan", str(tmp_path / "chat.agent"), "--trace", trace, "--out", out])
        assert done == 0
        plan = from_json((tmp_path / name).read_bytes())
        told[name] = (sum(tier.used for tier in plan.tiers), plan.search.confirmed)
        assert (
            f"all 80 requests of {name}.csv, simulated as they came: first_token p95 <= 2 s is kept" in plan.notes[-1]
        )
    assert told["calm"][0] < told["burst"][0]
    for name, (_, by) in told.items():
        assert by.endswith(f", and all 80 requests of {name}.csv, simulated as they came")
    capsys.readouterr()


def test_of_many_requests_the_densest_are_tried() -> None:
    times = (
        [float(at) for at in range(100)] + [100.0 + at / 10.0 for at in range(30)] + [110.0 + at for at in range(100)]
    )
    runs = tuple(Arrival(at) for at in times)
    part = around(runs, 40)
    assert len(part) == 40
    assert part[0].at == 90.0 and part[-1].at == 102.9
    assert around(runs, 1000) == runs


def document_trace(document: Mapping[str, Any]) -> Load:
    return decode(json.dumps(document["made"]["options"]["trace"]).encode(), Load)


def test_past_runs_stand_in_for_what_is_assumed_and_a_trace_for_both(tmp_path: Path) -> None:
    pipeline = program().graph.pipeline("chat")
    profile = made(pipeline, 5, {"chat.output": 31.0})
    save(profile, tmp_path / "w.json")
    save(Profile("of another", 1, ()), tmp_path / "w.json")
    assert kept(pipeline, tmp_path / "w.json") == profile
    (tmp_path / "w.json").write_text("[{]")
    assert kept(pipeline, tmp_path / "w.json") is None
    assert key_of(pipeline) == key_of(compiled(CHAT.replace("p95 <= 2 s", "p95 <= 3 s")).graph.pipeline("chat"))
    assert key_of(pipeline) != key_of(compiled(CHAT.replace("512", "256")).graph.pipeline("chat"))
    plan = planned(built(None, profile=profile))
    sizes = dict(plan.workload.sizes)
    assert (sizes["chat.output"].value, sizes["prompt.tokens"].value) == (31.0, 600.0)
    assert "chat.output    31 tokens   measured in 5 runs" in plan_text(plan)
    assert "chat.output: 31 tokens (measured in 5 runs), where the goal assumes 40 tokens" in plan.notes
    both = built(load(two_minutes(), replace(SIZES, reply=None)), profile=profile)
    found = {name: figure.basis for name, figure in both.work.figures}
    assert found == {"prompt.tokens": Basis.TRACE, "chat.output": Basis.MEASURED}
