"""Learning from runs: factors that converge, bounded, with an honest error; kept by machine."""

from dataclasses import replace
from math import exp
from pathlib import Path
from random import Random

import pytest
from planned import plan
from planner_graphs import chat_graph, machine
from program_runs import compiled

from agentlang.planner import calibrate
from agentlang.planner.calibrate import (
    HIGHEST,
    KEEP,
    LEAST_ERROR,
    LOWEST,
    PRIOR_ERROR,
    Calibration,
    Observation,
    left_out,
)
from agentlang.planner.catalogue import catalogue
from agentlang.planner.figures import Basis, Figure
from agentlang.planner.observe import observe, prompt_sizes
from agentlang.planner.predict import forecast
from agentlang.planner.rates import of_machine

KEY = "xla|llm:decode|toy-1m"


def learned(*ratios: float) -> Calibration:
    return Calibration("toy").refined(Observation(KEY, 1.0, ratio) for ratio in ratios)


def test_before_any_run_the_factor_is_assumed() -> None:
    empty = Calibration("toy")
    assert empty.factor(KEY, "compute").value == pytest.approx(1 / 0.75)
    assert empty.factor(KEY, "memory").value == pytest.approx(1 / 0.80)
    assert empty.factor(KEY, "cpu").value == 1.0
    assert empty.factor(KEY, "cpu").basis is Basis.ASSUMED
    assert empty.factor(KEY, "cpu").error == PRIOR_ERROR


@pytest.mark.parametrize("runs", [1, 2])
def test_too_few_runs_fit_and_their_error_stays_the_priors(runs: int) -> None:
    factor = learned(*[2.0] * runs).factor(KEY, "memory")
    assert (factor.value, factor.basis, factor.error) == (2.0, Basis.FITTED, PRIOR_ERROR)
    assert factor.reason.startswith(f"fitted from {runs} run")
    assert factor.reason.endswith("too few to cross-validate: ±50% assumed")


def test_the_error_of_three_runs_is_the_worst_with_one_left_out() -> None:
    """Without 2.0 the others say 2.5, without 2.2 they say 2.4, without 2.8 they say 2.1."""
    factor = learned(2.0, 2.2, 2.8).factor(KEY, "memory")
    assert left_out((2.0, 2.2, 2.8)) == pytest.approx((0.5 / 2.5, 0.2 / 2.4, 0.7 / 2.1))
    assert factor.error == pytest.approx(0.7 / 2.1)
    assert factor.reason == "fitted from 3 runs, ±33% with each left out in turn"


def test_the_error_shrinks_with_runs_that_agree_and_not_with_runs_that_do_not() -> None:
    errors = [learned(*[2.0] * runs).factor(KEY, "memory").error for runs in (1, 2, 8, 32)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] == LEAST_ERROR
    assert learned(*[1.0, 4.0] * 8).factor(KEY, "memory").error > 0.3


@pytest.mark.parametrize("sigma", [0.05, 0.2])
@pytest.mark.parametrize("runs", [3, 5, 10, 20])
def test_four_of_five_next_runs_lie_within_the_error(sigma: float, runs: int) -> None:
    """Of runs that differ at random; of three, which know less, two of three."""
    rng = Random(runs)
    inside = 0
    for _ in range(400):
        *seen, following = (2.0 * exp(rng.gauss(0.0, sigma)) for _ in range(runs + 1))
        factor = learned(*seen).factor(KEY, "memory")
        inside += abs(following / factor.value - 1.0) <= factor.error
    assert inside / 400 > (0.63 if runs == 3 else 0.75)
    assert inside < 400


def test_one_disturbed_run_moves_nothing() -> None:
    assert learned(2.0, 2.0, 40.0, 2.0, 2.0).factor(KEY, "memory").value == 2.0


def test_ratios_are_bounded_and_nonsense_is_skipped() -> None:
    assert learned(1e9).factor(KEY, "memory").value == HIGHEST
    assert learned(1e-9).factor(KEY, "memory").value == LOWEST
    nothing = Calibration("toy").refined(
        [Observation(KEY, 0.0, 1.0), Observation(KEY, 1.0, 0.0), Observation(KEY, 1.0, float("inf"))]
    )
    assert nothing == Calibration("toy")


def test_the_oldest_runs_are_forgotten() -> None:
    moved = learned(*[2.0] * KEEP).refined([Observation(KEY, 1.0, 3.0)] * KEEP)
    assert moved.factor(KEY, "memory").value == 3.0
    assert moved.runs(KEY) == KEEP


def test_kept_beside_other_machines(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    mine, other = learned(2.0), replace(learned(3.0), machine="other")
    calibrate.save(mine, path)
    calibrate.save(other, path)
    assert calibrate.load("toy", path) == mine
    assert calibrate.load("other", path) == other
    assert calibrate.load("nobody", path) == Calibration("nobody")
    path.write_text("[{]")
    assert calibrate.load("toy", path) == Calibration("toy")
    calibrate.save(mine, path)
    assert calibrate.load("toy", path) == mine


def test_predictions_converge_to_what_runs_measure() -> None:
    """A machine on which decode is 1.7 times its roofline, and prefill 1.2 times: after runs, plans know."""
    sizes = {"question.tokens": 30.0, "answer.output": 11.0}
    rates = of_machine(machine(), catalogue()["laptop"])
    known = Calibration("toy")
    truth = {"answer.chat.prefill": 0.30 * 1.2, "answer.chat.decode": 0.10 * 1.7, "writer": 0.2, "nobody": 3.0}
    for noise in (0.9, 1.0, 1.1, 1.0, 1.0):
        seconds = {stage: value * noise for stage, value in truth.items()}
        known = known.refined(observe(chat_graph(), "answer", machine(), sizes, seconds))
    other = {**sizes, "best.items": 4.0, "question.tokens": 60.0, "answer.output": 21.0}
    found = forecast(chat_graph(), "answer", other, rates, known)
    assert found.times["answer.chat.prefill"].seconds == pytest.approx(0.60 * 1.2)
    assert found.times["answer.chat.decode"].seconds == pytest.approx(0.20 * 1.7)
    assert found.times["answer.chat.decode"].factor.basis is Basis.FITTED
    made, _ = plan(chat_graph(), "answer", machine(), calibration=known)
    assert made is not None
    assert made.load.value == pytest.approx(0.2)
    assert made.load.terms[1].basis is Basis.FITTED


def test_factors_belong_to_a_machine() -> None:
    warm, cold = (plan(chat_graph(), "answer", machine(key=key), calibration=learned(9.0))[0] for key in ("toy", "new"))
    assert warm is not None
    assert cold is not None
    assert warm.stage("answer.chat.decode").time.value > 5 * cold.stage("answer.chat.decode").time.value


def test_the_time_of_opening_everything_is_shared_by_bytes() -> None:
    (seen,) = observe(chat_graph(), "answer", machine(), {}, {"load": 0.2})
    assert (seen.key, seen.roofline, seen.measured) == (
        "open|llm:model|toy-1m",
        pytest.approx(0.05),
        pytest.approx(0.2),
    )


@pytest.mark.parametrize("tokens", [0.0, 3.0, 50.0, 777.0])
def test_guessed_sizes_follow_the_tokens_that_a_run_counted(tokens: float) -> None:
    found = prompt_sizes(chat_graph(), "answer", {"answer.output": 5.0}, tokens, machine=machine())
    assert found == {"answer.output": 5.0, "question.tokens": pytest.approx(tokens, abs=1e-3)}


def test_a_known_size_is_not_scaled() -> None:
    sizes = {"question.tokens": 5.0}
    assert prompt_sizes(chat_graph(), "answer", sizes, 99.0, machine=machine()) == sizes


TOOLS = """
tool quick(text: Text) -> Text = python("tools:quick") effects []
tool slow(text: Text) -> Text = python("tools:slow") effects []

pipeline answer(text: Text) -> Text { return slow(quick(text)) }
"""


def test_of_a_tool_runs_teach_how_long_that_one_takes(tmp_path: Path) -> None:
    program = tmp_path / "tools.agent"
    program.write_text(TOOLS)
    (tmp_path / "tools.py").write_text("def quick(text): ...\ndef slow(text): ...\n")
    graph = compiled(program).graph
    here = machine(launch=Figure(1e-5, "s", Basis.MEASURED, "test", "2025-01"))
    known = Calibration("toy")
    for noise in (0.9, 1.0, 1.1, 1.0, 1.0):
        seconds = {"answer.quick": 0.004 * noise, "answer.slow": 2.0 * noise}
        known = known.refined(observe(graph, "answer", here, {}, seconds))
    made, _ = plan(graph, "answer", here, calibration=known)
    assert made is not None
    assert made.stage("answer.quick").time.value == pytest.approx(0.004)
    assert made.stage("answer.slow").time.value == pytest.approx(2.0)
