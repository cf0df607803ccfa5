"""Laws of the forms of a KV cache: whatever the form, nothing but the digits that its numbers have not is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentlang.executor.engines.split.conversions import (
    Plain,
    converted,
    empty,
    load,
    narrowed,
    store,
    stored_type,
    widened,
)
from agentlang.executor.engines.split.forms import (
    AXES,
    CacheForm,
    Unusable,
    check_convertible,
    form_of,
    is_exact,
    words_of,
)

orders = st.permutations(AXES).map(lambda order: tuple(order))
types = st.sampled_from(("float32", "float16", "bfloat16"))


@st.composite
def forms(draw: st.DrawFn, of: CacheForm | None = None) -> CacheForm:
    sizes = st.integers(1, 5)
    made = of or CacheForm(draw(sizes), draw(sizes), draw(sizes), draw(st.integers(1, 40)))
    page = draw(st.integers(0, 12))
    return replace(made, dtype=draw(types), keys=draw(orders), values=draw(orders), page=page)


def plain(form: CacheForm, seed: int) -> Plain:
    drawn = np.random.default_rng(seed).standard_normal((form.kv_heads, form.positions, form.head_dim))
    return drawn.astype(np.float32)


@given(forms(), st.integers(0, 9), st.data())
@settings(max_examples=150, deadline=None)
def test_what_is_stored_in_pieces_is_read_again(form: CacheForm, seed: int, data: st.DataObject) -> None:
    numbers, held, at = plain(form, seed), empty(form, form.keys), 0
    while at < form.positions:
        count = data.draw(st.integers(1, form.positions - at))
        store(numbers[:, at : at + count], at, held, form, form.keys)
        at += count
    exactly = widened(narrowed(numbers, form.dtype), form.dtype)
    assert np.array_equal(load(0, form.positions, held, form, form.keys), exactly)
    start = data.draw(st.integers(0, form.positions - 1))
    count = data.draw(st.integers(1, form.positions - start))
    assert np.array_equal(load(start, count, held, form, form.keys), exactly[:, start : start + count])
    assert held.nbytes == form.part_bytes


@given(st.data(), st.integers(0, 9))
@settings(max_examples=150, deadline=None)
def test_there_and_back_is_where_one_was(data: st.DataObject, seed: int) -> None:
    one = data.draw(forms())
    other = data.draw(forms(of=one))
    held = empty(one, one.keys)
    store(plain(one, seed), 0, held, one, one.keys)
    there = converted(held, one, other, one.keys, other.values)
    back = converted(there, other, one, other.values, one.keys)
    if is_exact(one, other):
        assert np.array_equal(back, held)
    # What was rounded once is not rounded again.
    assert np.array_equal(converted(back, one, other, one.keys, other.values), there)


@given(st.lists(st.floats(width=32), min_size=1, max_size=40))
@settings(max_examples=200, deadline=None)
def test_rounding_is_to_the_nearest(values: list[float]) -> None:
    numbers = np.array(values, np.float32)
    for dtype, bits, least in (("float16", 11, 2.0**-24), ("bfloat16", 8, 2.0**-133)):
        found = widened(narrowed(numbers, dtype), dtype)
        assert np.array_equal(np.isnan(found), np.isnan(numbers))
        fits = np.isfinite(numbers) & (np.abs(numbers) <= (65504.0 if dtype == "float16" else 3.3e38))
        wrong = np.abs(found[fits].astype(np.float64) - numbers[fits].astype(np.float64))
        assert np.all(wrong <= np.maximum(np.abs(numbers[fits].astype(np.float64)) * 2.0**-bits, least))
        again = widened(narrowed(found, dtype), dtype)
        assert np.array_equal(again, found, equal_nan=True)
    ours = widened(narrowed(numbers, "bfloat16"), "bfloat16")
    ml_dtypes: Any = pytest.importorskip("ml_dtypes")
    with np.errstate(over="ignore"):
        theirs = numbers.astype(ml_dtypes.bfloat16).astype(np.float32)
    assert np.array_equal(ours, theirs, equal_nan=True)
    assert np.array_equal(narrowed(numbers, "float32"), numbers, equal_nan=True)


@given(forms())
@settings(max_examples=50, deadline=None)
def test_a_form_travels_as_words(form: CacheForm) -> None:
    assert form_of(words_of(form)) == form
    assert form.all_bytes == 2 * form.layers * form.part_bytes
    assert stored_type(form.dtype).itemsize * int(np.prod(form.shape(form.values))) == form.part_bytes


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": "int4"},
        {"keys": ("heads", "positions")},
        {"values": ("heads", "heads", "width")},
        {"layers": 0},
        {"page": -1},
        {"positions": "many"},
        {"kv_heads": None},
    ],
)
def test_what_is_no_form_is_refused(change: dict[str, Any]) -> None:
    words = words_of(CacheForm(2, 2, 16, 60))
    with pytest.raises(Unusable):
        form_of({**words, **change})
    with pytest.raises(Unusable):
        form_of(7)


def test_a_form_that_cannot_be_converted_is_refused() -> None:
    form = CacheForm(2, 2, 16, 60)
    check_convertible(form, replace(form, positions=61, dtype="bfloat16", page=7))
    for change in ({"layers": 3}, {"kv_heads": 1}, {"head_dim": 8}, {"positions": 59}):
        with pytest.raises(Unusable):
            check_convertible(form, replace(form, **change))
    with pytest.raises(ValueError, match="positions 59 to 61 of 60"):
        load(59, 2, empty(form, AXES), form, AXES)
