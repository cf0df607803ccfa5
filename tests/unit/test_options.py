"""Where stages could run: one machine, accelerators, endpoints, labels, links; and what is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from math import inf, nan
from pathlib import Path

import pytest
from planned import build
from planner_graphs import chat_graph, machine

from agentlang import api
from agentlang.base.source import Source
from agentlang.planner.calibrate import Calibration, Observation
from agentlang.planner.catalogue import device
from agentlang.planner.figures import Basis, Figure
from agentlang.planner.options import Options
from agentlang.planner.space.build import Built
from agentlang.planner.space.evaluate import evaluate
from agentlang.planner.space.problem import Choice, Option, Problem, Stage
from agentlang.stdlib.library import Library

LARGE = """
use std/llm
model writer = llm.chat("llama-3-70b-instruct", dtype: "fp8")
pipeline chat(prompt: Text) -> stream Text {
  return writer.chat(prompt, max_tokens: 1024)
}
goal chat {
  rate 10 per s
  assume {
    prompt 2048 tokens
    chat output 1024 tokens
  }
  token_gap p95 <= 30 ms
}
fleet market {
  tier fast = catalog.b200 { count 0..16 }
  tier cheap = catalog.gaudi3 { count 0..16 }
  tier old = catalog.a40 { count 0..16 }
  link * <-> * 400 Gbit/s, 5 us
  link fast <-> cheap 800 Gbit/s, 3 us
}
"""
ASKING = """
use std/llm
use std/text
model local = llm.chat("smollm2-135m-instruct")
model remote = llm.chat("gpt-oss-120b")
pipeline ask(letter: Text @pii, question: Text) -> stream Text {
  told = all(local.chat("What is in {letter}?", max_tokens: 32))
  return remote.chat("{question} {text.redact(told)}", max_tokens: 64)
}
goal ask {
  rate 1 per s
  finish p95 <= 60 s
  keep @pii on [house]
}
fleet office {
  tier house = catalog.l40s { count 0..4 }
  tier cloud = endpoint("https://models.example/v1") {
    serves ["gpt-oss-120b", "smollm2-135m-instruct"], price $0.60 per 1_000_000 tokens, first_token 400 ms
  }
  link house <-> cloud 1 Gbit/s, 20 ms
}
"""

SMALL = """
use std/llm
model writer = llm.chat("smollm2-135m-instruct")
pipeline hello(name: Text) -> stream Text {
  return writer.chat("Greet {name}.", max_tokens: 32)
}
"""


@cache
def compiled(text: str) -> api.Compiled:
    checked = api.check(Source("options.agent", text))
    assert checked.program is not None, checked.problems
    found, problems = api.compile(checked.program, Library(Path()))
    assert found is not None, problems
    return found


def tried(text: str, options: Options | None = None, **changes: Figure) -> tuple[Built | None, list[str]]:
    given = compiled(text)
    pipeline = given.program.pipelines[-1].name
    fleets = given.program.fleets
    found, problems = build(
        given.graph,
        pipeline,
        machine(**changes),
        goal=given.program.goal(pipeline),
        fleet=fleets[0] if fleets else None,
        options=options,
    )
    return found, [problem.slug for problem in problems]


@cache
def problem(text: str) -> Problem:
    found, slugs = tried(text)
    assert found is not None, slugs
    return found.problem


def stage(given: Problem, name: str) -> Stage:
    return next(each for each in given.stages if each.name == name)


def option(given: Problem, name: str, pool: str) -> Option:
    return next(each for each in stage(given, name).options if each.pool == pool)


# --- one machine -----------------------------------------------------------------------------------------------------


def test_this_machine_is_one_pool_and_every_stage_has_one_option() -> None:
    keys = ["host|toy:work|", "xla|llm:prefill|toy-1m", "xla|llm:decode|toy-1m"]
    exact = Calibration("toy").refined(Observation(key, 1.0, 1.0) for key in keys for _ in range(5))
    found, problems = build(chat_graph(), "answer", machine(), calibration=exact)
    assert found is not None, problems
    given = found.problem
    assert [(pool.name, pool.devices, pool.slots) for pool in given.pools] == [("cpu", 1, 1)]
    assert all(len(each.options) == 1 for each in given.stages)
    outcome = evaluate(given, Choice((0,) * len(given.stages), (1,)))
    assert outcome.holds
    # As worked out by hand for plans of one tier (see test_planner_place).
    assert outcome.seconds[given.moment("finish")] == pytest.approx(0.70101)
    assert outcome.memory["cpu"] == pytest.approx(100e6 + (50 + 21) * 1e6)


def test_a_light_stage_keeps_a_core_busy_and_a_heavy_one_the_machine() -> None:
    found, _ = build(chat_graph(), "answer", machine())
    assert found is not None
    tokenize, prefill = stage(found.problem, "answer.chat.tokenize"), stage(found.problem, "answer.chat.prefill")
    assert tokenize.options[0].busy == pytest.approx(tokenize.options[0].seconds / 2)
    assert prefill.options[0].busy == prefill.options[0].seconds


def test_processors_of_the_catalogue_are_one_pool_each() -> None:
    given = problem(ASKING.replace("catalog.l40s { count 0..4 }", "catalog.epyc { count 0..4 }"))
    assert [pool.name for pool in given.pools] == ["house", "cloud"]


# --- accelerators ----------------------------------------------------------------------------------------------------


def test_a_model_is_offered_by_role_degree_and_batch() -> None:
    given = problem(LARGE)
    names = {pool.name for pool in given.pools}
    for role in ("serve", "prefill", "decode"):
        assert any(f"fast writer {role} tp1 " in name for name in names)
    # 70.6 GB do not fit into 48 GB: the old devices need two at least, and one alone offers nothing.
    assert not any(name.startswith("old writer") and " tp1 " in name for name in names)
    assert "old" not in {each.pool for each in stage(given, "chat.chat.decode").options}
    assert all(len(each.options) <= 300 for each in given.stages)


def test_every_pool_holds_its_model_and_its_batch() -> None:
    given = problem(LARGE)
    for each in given.stages:
        for way in each.options:
            pool = given.pool(way.pool)
            assert sum(held.bytes for held in way.held) <= pool.devices * given.tier(pool.tier).memory
    decode = option(given, "chat.chat.decode", "fast writer decode tp2 b8")
    # 320 KiB of cache a position, 3072 positions and a few of the template, of each of eight.
    running = next(held.bytes for held in decode.held if held.key == "writer, while it runs")
    assert running == pytest.approx(8 * 3072 * 320 * 1024, rel=0.02)
    loaded = next(held.bytes for held in decode.held if held.key == "writer, loaded")
    assert loaded == pytest.approx(70_553_706_496)


def test_terms_sum_up_and_a_full_batch_takes_longer_but_carries_more() -> None:
    given = problem(LARGE)
    for each in given.stages:
        for way in each.options:
            assert sum(term.value for term in way.time.terms) == pytest.approx(way.seconds, abs=1e-12)
            assert 0.0 <= way.first <= way.seconds + 1e-12
    small = option(given, "chat.chat.decode", "fast writer decode tp2 b4")
    large = option(given, "chat.chat.decode", "fast writer decode tp2 b64")
    assert small.seconds < large.seconds < 16 * small.seconds
    assert large.joules < small.joules


def test_prompts_beside_replies_cost_the_replies_and_wait_for_a_step() -> None:
    given = problem(LARGE)
    apart = option(given, "chat.chat.decode", "fast writer decode tp2 b8")
    together = option(given, "chat.chat.decode", "fast writer serve tp2 b8")
    assert apart.seconds < together.seconds
    assert together.together == ("chat.chat.prefill",)
    assert not apart.together
    prompt = option(given, "chat.chat.prefill", "fast writer serve tp2 b8")
    step = next(term.value for term in prompt.time.terms if term.name == "the step under way")
    assert step == pytest.approx(together.seconds / 1023)


def test_the_largest_batch_of_the_promised_gap_is_offered() -> None:
    given = problem(LARGE)
    limit = 0.030 / 2.718281828 ** (1.6448536 * 0.10)
    odd = {
        pool.slots: option(given, "chat.chat.decode", pool.name).seconds / 1023
        for pool in given.pools
        if pool.name.startswith("fast writer decode tp1 ") and pool.slots & (pool.slots - 1)
    }
    assert len(odd) == 1
    ((batch, step),) = odd.items()
    assert step <= limit < step * (batch + 2) / batch


def test_the_largest_batch_that_memory_holds_is_offered() -> None:
    given = problem(LARGE.replace("  token_gap p95 <= 30 ms\n", ""))
    (pool,) = [p for p in given.pools if p.name.startswith("old writer decode tp2 ") and p.slots & (p.slots - 1)]
    held = [each.bytes for each in option(given, "chat.chat.decode", pool.name).held]
    one_more = 3072 * 320 * 1024
    # Room is left for prompts that are computed beside the replies.
    assert sum(held) <= 96e9 < sum(held) + 2 * one_more


def test_number_formats_compute_at_their_own_rate_where_the_device_has_it() -> None:
    given = problem(LARGE)
    new = option(given, "chat.chat.prefill", "cheap writer prefill tp1 b1")
    old = option(given, "chat.chat.prefill", "old writer prefill tp2 b1")
    assert any("fp8, " in term.detail for term in new.time.terms)
    assert any("stored in fp8, computed in 16 bits" in term.detail for term in old.time.terms)


def test_a_model_that_eight_devices_do_not_hold_has_groups_one_behind_the_other() -> None:
    text = LARGE.replace('dtype: "fp8"', 'dtype: "f32"').replace("catalog.a40", "catalog.l4")
    given = problem(text)
    pools = [pool for pool in given.pools if pool.tier == "old" and not pool.host]
    assert {(pool.tensor, pool.pipeline, pool.devices) for pool in pools} == {(8, 2, 16), (8, 4, 32), (8, 8, 64)}
    assert all(pool.slots % pool.pipeline == 0 for pool in pools)


def test_what_needs_cores_runs_in_the_hosts() -> None:
    given = problem(LARGE)
    host = given.pool("fast host")
    known = device("b200")
    assert known is not None and known.host_cores is not None
    assert (host.host, host.slots) == (True, int(known.host_cores.value))
    assert [each.pool for each in stage(given, "chat.chat.tokenize").options] == ["fast host", "cheap host", "old host"]
    moved, decode = stage(given, "chat.chat.transfer"), stage(given, "chat.chat.decode")
    assert {each.pool for each in moved.options} == {each.pool for each in decode.options}
    assert all(each.together == ("chat.chat.decode",) and each.busy == 0 for each in moved.options)


def test_no_pool_outdoes_another_of_its_role() -> None:
    given = problem(LARGE)
    ways = {each.pool: each for each in stage(given, "chat.chat.decode").options if " decode " in each.pool}
    for one in ways.values():
        for other in ways.values():
            a, b = given.pool(one.pool), given.pool(other.pool)
            if a is not b and a.tier == b.tier and a.devices <= b.devices:
                more = (b.devices // a.devices) * a.slots / one.busy >= b.slots / other.busy
                assert not (one.seconds < other.seconds and more)


# --- endpoints, labels, links ----------------------------------------------------------------------------------------


def test_an_endpoint_takes_whole_calls_for_money() -> None:
    given = problem(ASKING)
    decode = option(given, "ask.chat_2.decode", "cloud")
    assert decode.dollars == pytest.approx(64 * 0.6e-6)
    assert (decode.busy, decode.held, decode.joules) == (0.0, (), 0.0)
    assert "ask.chat_2.prefill" in decode.together
    assert option(given, "ask.chat_2.prefill", "cloud").seconds == pytest.approx(0.4)
    assert given.tier("cloud").endpoint and given.pool("cloud").devices == 0


def test_a_label_bars_what_touches_it_elsewhere() -> None:
    given = problem(ASKING)
    keep = "keep @pii on [house]"
    assert given.requirement(keep).place.startswith("options.agent:")
    assert option(given, "ask.chat.prefill", "cloud").barred == (keep,)
    assert all(not each.barred for each in stage(given, "ask.chat.prefill").options if each.pool != "cloud")
    # What was redacted may leave.
    assert all(not each.barred for each in stage(given, "ask.chat_2.prefill").options)


def test_the_link_that_names_most_counts() -> None:
    given = problem(LARGE)
    near, far, own = given.link("cheap", "fast"), given.link("old", "fast"), given.link("fast", "fast")
    assert near is not None and far is not None and own is not None
    assert (near.bandwidth, far.bandwidth, own.bandwidth) == (100e9, 50e9, 50e9)
    assert near.carries == "link fast <-> cheap"
    assert given.requirement(far.carries).text == "link * <-> * 50 GB/s, 5 us"
    assert problem(ASKING).link("house", "house") is None


def test_edges_follow_the_walk_and_a_cache_is_the_largest() -> None:
    found, _ = tried(LARGE)
    assert found is not None
    given = found.problem
    assert [(edge.source, edge.target) for edge in given.edges] == list(found.run.moves)
    cache = next(edge for edge in given.edges if edge.source == "chat.chat.prefill")
    assert cache.bytes == pytest.approx(2048 * 320 * 1024, rel=0.02)
    stream = next(edge for edge in given.edges if edge.source == "chat.chat.decode")
    assert stream.bytes * stream.moves == pytest.approx(1024 * 8)
    assert stream.moves == pytest.approx(1024)


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("figure", [nan, -1.0, inf, 0.0])
def test_a_machine_without_sense_is_a_problem(figure: float) -> None:
    found, slugs = tried(SMALL, bandwidth=Figure(figure, "B/s", Basis.MEASURED))
    assert found is None and slugs == ["plan-bad-figure"]


@pytest.mark.parametrize("figure", [nan, -1.0])
def test_links_and_prices_of_other_programs_are_looked_at(figure: float) -> None:
    given = compiled(LARGE)
    fleet = given.program.fleets[0]
    link = fleet.links[0]
    broken = replace(fleet, links=(replace(link, latency=replace(link.latency, value=figure)),))
    found, problems = build(given.graph, "chat", machine(), fleet=broken)
    assert found is None and [each.slug for each in problems] == ["plan-bad-figure"]
    assert problems[0].span == link.span
    found, slugs = tried(SMALL, Options(price=figure))
    assert found is None and slugs == ["plan-bad-figure"]


def test_a_model_that_no_tier_holds_is_a_problem_at_its_line() -> None:
    text = (
        LARGE.replace("{ count 0..16 }", "{ count 1 }")
        .replace("catalog.b200", "catalog.l4")
        .replace("gaudi3", "rtx4090")
    )
    given = compiled(text)
    found, problems = build(given.graph, "chat", machine(), fleet=given.program.fleets[0])
    assert found is None and [each.slug for each in problems] == ["plan-does-not-fit"]
    assert problems[0].span is not None and problems[0].span.line == 3


def test_a_model_that_nobody_serves_is_a_problem_at_its_line() -> None:
    text = ASKING.replace("smollm2-135m-instruct", "house-model-9")
    given = compiled(text)
    fleet = given.program.fleets[0]
    found, problems = build(given.graph, "ask", machine(), fleet=replace(fleet, tiers=fleet.tiers[:1]))
    assert found is None and [each.slug for each in problems] == ["plan-nobody-serves"]
    assert problems[0].span is not None and problems[0].span.line == 4
    found, slugs = tried(text)
    assert found is not None, slugs
    assert [each.pool for each in stage(found.problem, "ask.chat.decode").options] == ["cloud"]


def test_a_price_that_a_promise_needs_is_asked_for() -> None:
    text = ASKING.replace(", price $0.60 per 1_000_000 tokens", "")
    found, slugs = tried(text)
    assert found is not None, slugs
    assert any("states no price" in note for note in found.notes)
    found, slugs = tried(text.replace("rate 1 per s", "rate 1 per s\n  cost <= $5 per 1000 runs"))
    assert found is None and slugs == ["plan-needs-price"]
    found, slugs = tried(LARGE.replace("catalog.a40", "catalog.a10g"), Options(convention="annuity"))
    assert found is None and set(slugs) == {"plan-needs-price"}
