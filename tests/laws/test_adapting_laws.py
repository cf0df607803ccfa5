"""Laws of what adapts: drift is silent where nothing drifts and loud where something does; instances follow the load
within their counts, never below what is needed, and without flapping."""

from math import exp
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentlang.executor.drift import PARTS, Drift, Drifted, Expected
from agentlang.executor.scaling import Rule, Scaling, Seen, needed

errors = st.floats(0.0, 0.6)
noises = st.floats(0.01, 0.4)


def told(drift: Drift, factor: float, noise: float, executions: int, seed: int) -> list[Drifted]:
    draw = Random(seed)
    seen = (drift.see("s", 1.0, factor * exp(draw.gauss(0.0, noise))) for _ in range(executions))
    return [each for each in seen if each is not None]


@settings(max_examples=30, deadline=None)
@given(error=errors, noise=noises, off=st.floats(-0.8, 0.8), seed=st.integers(0, 999))
def test_within_the_stated_error_there_is_no_alarm(error: float, noise: float, off: float, seed: int) -> None:
    """Once in ten thousand executions on the average: hardly ever in three hundred."""
    factor = (1.0 + error) ** off
    assert len(told(Drift({"s": Expected(error, noise)}), factor, noise, 300, seed)) <= 1


@settings(max_examples=30, deadline=None)
@given(error=errors, noise=noises, more=st.floats(1.3, 5.0), up=st.booleans(), seed=st.integers(0, 999))
def test_a_drift_is_found_soon_and_its_size_too(error: float, noise: float, more: float, up: bool, seed: int) -> None:
    factor = (1.0 + error) * (1.0 + 2.0 * noise) * more
    factor = factor if up else 1.0 / factor
    drift = Drift({"s": Expected(error, noise)})
    first = told(drift, factor, noise, 80, seed)[0]
    assert PARTS <= first.executions <= 80
    assert first.factor == pytest.approx(factor, rel=2.5 * noise + 0.05)
    # What was found is expected from then on: nothing more is to be said.
    assert drift.learned("s") == pytest.approx(factor, rel=3.0 * noise + 0.1)


@settings(max_examples=50, deadline=None)
@given(error=errors, noise=noises, odd=st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=PARTS - 1))
def test_a_few_disturbed_executions_say_nothing(error: float, noise: float, odd: list[float]) -> None:
    drift = Drift({"s": Expected(error, noise)})
    assert [drift.see("s", 1.0, each) for each in odd] == [None] * len(odd)
    assert [drift.see("s", 1.0, bad) for bad in (0.0, -1.0, float("nan"), float("inf"))] == [None] * 4
    assert drift.see("other", 1.0, 9.0) is None


def test_small_drifts_add_up_to_a_plan_that_is_doubted() -> None:
    drift = Drift({"s": Expected(0.2, 0.05)})
    said = [each for factor in (1.35, 1.8, 2.4) for each in told(drift, factor, 0.05, 60, 1)]
    assert [each.action for each in said][:2] == ["refit", "replan"]
    assert said[-1].since_plan == pytest.approx(2.4, rel=0.1)
    # A stage with no room is doubted at once.
    assert told(Drift({"s": Expected(0.2, 0.05, room=1.1)}), 1.35, 0.05, 60, 1)[0].action == "replan"


# --- scaling ----------------------------------------------------------------------------------------------------------

rules = st.builds(
    Rule,
    pool=st.just("gpu"),
    low=st.integers(0, 3),
    high=st.integers(3, 20),
    slots=st.integers(1, 8),
    service=st.floats(0.05, 5.0),
    wait=st.floats(0.0, 10.0),
    opening=st.floats(0.0, 20.0),
    calm=st.floats(0.0, 60.0),
)


@settings(max_examples=80, deadline=None)
@given(rule=rules, load=st.floats(0.0, 60.0), more=st.floats(0.0, 20.0))
def test_more_load_needs_no_fewer_instances(rule: Rule, load: float, more: float) -> None:
    least = needed(rule, load)
    assert rule.low <= least <= rule.high
    assert least <= needed(rule, load + more)
    # What is busy fits, where the counts allow it.
    assert least == rule.high or least * rule.slots >= load


@settings(max_examples=40, deadline=None)
@given(rule=rules, seed=st.integers(0, 999))
def test_instances_stay_within_their_counts_and_go_only_when_it_was_calm(rule: Rule, seed: int) -> None:
    draw, scaling, count = Random(seed), Scaling(rule), rule.low
    wants: list[tuple[float, int]] = []
    grew, now = -1e9, 0.0
    for _ in range(120):
        now += draw.uniform(0.5, 3.0)
        seen = Seen(now, draw.randrange(0, 9), draw.randrange(0, 6), draw.randrange(0, count * rule.slots + 1), count)
        want = scaling.see(seen).instances
        assert rule.low <= want <= rule.high
        wants.append((now, want))
        if want > count:
            grew = now
        elif want < count:
            assert now - grew >= rule.calm
            assert want >= needed(rule, 0.0)
        count = want


@pytest.mark.parametrize("rate", [0.5, 4.0, 20.0])
def test_a_steady_load_is_not_followed_up_and_down(rate: float) -> None:
    rule = Rule("gpu", 0, 60, 2, 1.0, 1.0, opening=10.0, calm=60.0)
    draw, scaling, count, changes = Random(7), Scaling(rule, rate), needed(rule, rate), 0
    for second in range(1, 3600):
        came, left = 0, draw.expovariate(rate)
        while left < 1.0:
            came += 1
            left += draw.expovariate(rate)
        want = scaling.see(Seen(float(second), came, 0, round(rate), count)).instances
        changes += want != count
        count = want
        assert count >= needed(rule, rate) - 1
    assert changes <= 60


def test_time_does_not_go_back_and_rules_are_checked() -> None:
    scaling = Scaling(Rule("gpu", 0, 2, 1, 1.0, 1.0))
    scaling.see(Seen(2.0, 1, 0, 0, 1))
    with pytest.raises(ValueError, match="back"):
        scaling.see(Seen(1.0, 1, 0, 0, 1))
    with pytest.raises(ValueError, match="instances"):
        Rule("gpu", 3, 2, 1, 1.0, 1.0)
