"""What was simulated beside what was measured: intervals that meet, terms that add up."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlang.executor.simulate.truth import Row, between, stage_row, text

times = st.floats(1e-4, 1e3)


@given(planned=times, sized=times, alone=st.lists(times, min_size=1), loaded=st.lists(times, min_size=1))
def test_terms_add_up_to_the_difference(planned: float, sized: float, alone: list[float], loaded: list[float]) -> None:
    row = stage_row("s", planned, sized, alone, loaded, 0.2)
    assert row is not None
    assert sum(seconds for _, seconds in row.terms) == pytest.approx(row.measured - row.simulated, abs=1e-6)
    assert row.low <= row.measured <= row.high
    assert stage_row("s", planned, sized, alone, [], 0.2) is None


def test_the_interval_holds_the_percentile_nine_times_of_ten() -> None:
    draw = Random(1)
    for wanted, true in ((50.0, 0.5), (90.0, 0.9)):
        held = 0
        for _ in range(400):
            low, high = between(sorted(draw.random() for _ in range(40)), wanted)
            held += low <= true <= high
        assert held / 400 >= 0.88


def test_rows_agree_within_the_error_and_say_why_not() -> None:
    near = Row("finish p50", 1.0, 0.2, 1.15, 1.1, 1.3)
    far = Row("finish p95", 1.0, 0.2, 2.0, 1.8, 2.2, (("stages here alone", 0.9), ("not explained", 0.1)))
    assert near.agrees and not far.agrees
    lines = text([near, far], 20)
    assert lines[1].rstrip().endswith("agree") and lines[2].rstrip().endswith("x 2.00")
    assert lines[3] == "finish p95 differs by +1 s: stages here alone +900 ms, not explained +100 ms"
