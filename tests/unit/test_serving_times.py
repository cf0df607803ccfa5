"""Times of served models: laws of the parts, physics as a bound, and the published measurements where they are here."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlang.ir.library import ModelShape
from agentlang.planner.serving.terms import Beside, Group, bound, decode_parts, prefill_parts
from agentlang.planner.serving.times import COUNTED, DECODE, PREFILL, decode_step, prefill

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.fit import __main__ as fits
from benchmarks.fit.least import fit, left_out, nonnegative
from benchmarks.fit.rows import home

LLAMA_70B = ModelShape("70b", 80, 8192, 64, 8, 128, 28672, 128256, 8192, 70_550_000_000, 69_500_000_000, 2.0, 2.0)
H100 = Group(3.35e12, 989e12, 989e12, 450e9, 8)

batches = st.integers(1, 512).map(float)
lengths = st.integers(1, 32_768).map(float)
devices = st.sampled_from([1, 2, 4, 8])


def test_the_parts_of_a_step_by_hand() -> None:
    parts = decode_parts(LLAMA_70B, H100, 16, 1000)
    # 139 GB of weights over 8 devices of 3.35 TB/s; 320 KiB of KV for each of 16,000 positions.
    assert parts["matrices"] == pytest.approx(139e9 / 8 / 3.35e12)
    assert parts["cache"] == pytest.approx(16_000 * 320 * 1024 / 8 / 3.35e12)
    assert (parts["layers"], parts["spreading"], parts["sequences"]) == (80, 240, 1280)
    # Two all-reduces a layer of 16 rows of 8,192 numbers of two bytes, 7/8 of it twice over the link.
    assert parts["all_reduce"] == pytest.approx(160 * 16 * 8192 * 2 * 1.75 / 450e9)
    beside = decode_parts(LLAMA_70B, H100, 16, 1000, Beside(500, 250))
    each = 2 * 69.5e9 / 989e12 + 2 * 80 * 64 * 128 * 500 / 989e12
    assert beside["prompts"] == pytest.approx(32 * each / 8)
    assert prefill_parts(LLAMA_70B, H100, 1, 4096)["matrices"] == pytest.approx(2 * 69.5e9 * 4096 / 989e12 / 8)


@given(batches, lengths, devices)
def test_no_prediction_is_below_physics_and_terms_sum_up(batch: float, context: float, tensor: int) -> None:
    group = replace(H100, tensor=tensor)
    for found, least in (
        (decode_step(LLAMA_70B, group, batch, context), bound(LLAMA_70B, group, batch, batch * context)),
        (prefill(LLAMA_70B, group, batch, context), bound(LLAMA_70B, group, batch * context)),
    ):
        assert found.value >= least * (1 - 1e-9)
        assert sum(term.value for term in found.terms) == pytest.approx(found.value)
        assert found.low < found.value < found.high
        assert all(term.value > 0 for term in found.terms)


@given(batches, lengths, devices)
def test_more_work_takes_longer(batch: float, context: float, tensor: int) -> None:
    group = replace(H100, tensor=tensor)
    step = decode_step(LLAMA_70B, group, batch, context).value
    assert decode_step(LLAMA_70B, group, batch + 1, context).value > step
    assert decode_step(LLAMA_70B, group, batch, context + 1).value > step
    assert decode_step(LLAMA_70B, group, batch, context, Beside(100, 100)).value > step
    # A step for all is cheaper than a step for each.
    assert decode_step(LLAMA_70B, group, 2 * batch, context).value < 2 * step
    assert prefill(LLAMA_70B, group, batch, context + 1).value > prefill(LLAMA_70B, group, batch, context).value


def test_a_time_is_read_as_a_sum() -> None:
    found = decode_step(LLAMA_70B, replace(H100, tensor=1), 1, 100)
    assert found.dominating is not None and found.dominating.name == "matrices"
    assert "x 1.07, fitted to 572 published rows" in found.dominating.detail
    assert {term.name for term in found.terms} == {"matrices", "cache", "layers", "sequences"}, "alone, nothing is sent"
    assert set(DECODE.coefficients) > COUNTED


@given(st.lists(st.floats(0.1, 10), min_size=3, max_size=3), st.integers(0, 1000))
def test_a_fit_finds_what_made_the_rows(coefficients: list[float], seed: int) -> None:
    drawn = np.random.default_rng(seed)
    # Some parts are seconds and some are counts.
    units = np.array([1.0, 1e-6, 1e6])
    parts = drawn.uniform(0.1, 10, (40, 3)) * units
    measured = parts @ (np.array(coefficients) / units)
    # One row in ten is off by half: it does not decide.
    measured[::10] *= 1.5
    np.testing.assert_allclose(fit(parts, measured) * units, coefficients, atol=0.1 * max(coefficients))
    errors = left_out(parts, measured, [number % 4 for number in range(40)])
    assert np.median(np.abs(errors)) < 0.05


def test_coefficients_are_never_negative() -> None:
    matrix = np.array([[1.0, 1.0], [1.0, 2.0], [1.0, 3.0]])
    np.testing.assert_allclose(nonnegative(matrix, np.array([3.0, 2.0, 1.0])), [2.0, 0.0])
    np.testing.assert_allclose(nonnegative(matrix, np.array([1.0, 2.0, 3.0])), [0.0, 1.0], atol=1e-12)


@pytest.mark.skipif(not home().is_dir(), reason="the published measurements are not here (AGENTLANG_DATA)")
def test_the_published_measurements_are_predicted() -> None:
    found = {each.name: each for each in fits.all_fits()}
    most = {
        "decode, A100, batches alone": 0.16,
        "decode, H100, batches alone": 0.12,
        "decode, H100, prompts between steps": 0.16,
        "prefill, A100": 0.14,
        "prefill, H100": 0.14,
        "prefill, both": 0.14,
    }
    assert {name for name, limit in most.items() if found[name].mean > limit} == set()
    for shipped, name in ((DECODE, "decode, H100, prompts between steps"), (PREFILL, "prefill, both")):
        assert shipped.error == pytest.approx(found[name].mean, abs=0.002)
        refitted = dict(zip(found[name].parts, found[name].coefficients, strict=True))
        assert dict(shipped.coefficients) == pytest.approx(refitted, rel=0.02)
    for each in found.values():
        physics = fits.prefill_bound if each.name.startswith("prefill") else fits.decode_bound
        for row in each.rows:
            measured = row.prefill if each.name.startswith("prefill") else row.step
            assert measured is not None and measured > physics(row), "a measurement is faster than physics"
