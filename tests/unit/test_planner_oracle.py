"""Our times of served models beside those of NVIDIA's aiconfigurator: what is asked and shown, with and without it."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
from benchmarks.planners import oracle  # noqa: E402
from benchmarks.planners.oracle import Asked, NotInstalledError, Told  # noqa: E402

sys.path.remove(str(ROOT))

STEP = Asked("llama-3.1-8b", "h100", "static_gen", 1, 16, 1024, 256)


def test_questions_are_of_devices_and_models_that_both_know() -> None:
    asked = oracle.questions()
    assert len(asked) == len(set(asked))
    assert {one.device for one in asked} == set(oracle.SYSTEMS)
    # No device of them holds 70B in 16 bits.
    assert {one.tensor for one in asked if one.model == "llama-3.1-70b"} == {4}
    assert all(oracle.ours(one) > 0.0 for one in asked)


def test_ours_are_the_planners_times() -> None:
    alone, beside = oracle.ours(STEP), oracle.ours(Asked("llama-3.1-8b", "h100", "agg", 1, 16, 1024, 256))
    # Weights of 16 GB read at 3.35 TB/s take 4.8 ms; prompts of other requests stand between steps.
    assert 4.8e-3 < alone < beside < 12e-3
    long = Asked("llama-3.1-8b", "h100", "static_ctx", 1, 1, 4096, 1)
    short = Asked("llama-3.1-8b", "h100", "static_ctx", 1, 1, 1024, 1)
    assert oracle.ours(long) > 3.5 * oracle.ours(short)


def test_tables_say_how_far_both_are_apart_and_what_it_has_not() -> None:
    told = [Told(STEP, 0.009, 0.010), Told(STEP, 0.012, 0.010), Told(STEP, 0.012, None, "KeyError: no table")]
    assert "| h100 | it has none | 15% apart, mean +5% (2, 1 it has not) | it has none |" in oracle.summary(told)
    rows = oracle.each(told).splitlines()
    assert rows[2] == "| llama-3.1-8b | 1 x h100 | 16 at once, steps alone | 9.00 ms | 10.00 ms | 0.90 |"
    assert rows[4].endswith("| 12.00 ms | — | — |")


def test_a_python_without_it_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotInstalledError, match="does not start"):
        oracle.compared([STEP], "/no/such/python")
    monkeypatch.setattr(sys, "argv", ["oracle", "--python", "/no/such/python"])
    assert oracle.main() == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("not compared: /no/such/python does not start")
    assert "pip install aiconfigurator" in said.err


@pytest.mark.skipif(find_spec("aiconfigurator") is not None, reason="aiconfigurator is installed here")
def test_this_python_says_that_it_is_not_installed() -> None:
    with pytest.raises(NotInstalledError, match="has no aiconfigurator"):
        oracle.compared([STEP], sys.executable)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("aiconfigurator") is None, reason="aiconfigurator is not installed here")
def test_where_it_is_installed_both_are_near_each_other() -> None:
    version, (told,) = oracle.compared([STEP], sys.executable)
    assert version
    assert told.off is not None and abs(told.off) < 0.5
