"""Caches from one form to another. Pure: arrays in, arrays out, or into a place that the caller has.

Between two forms lies always the plain one, f32 `[kv_heads, positions, head_dim]` in one piece, of the positions that
are wanted and no more: a piece of a prompt can be stored, and read again, without touching the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .forms import AXES, CacheForm, check_convertible

Array: TypeAlias = NDArray[Any]
"""Numbers as they are stored: float32, float16, or bfloat16 as its sixteen bits."""
Plain: TypeAlias = NDArray[np.float32]

_STORED = {"float32": np.dtype(np.float32), "float16": np.dtype(np.float16), "bfloat16": np.dtype(np.uint16)}
_LARGEST_HALF = np.float32(65504.0)


def stored_type(dtype: str) -> np.dtype[Any]:
    """What numbers of a form's type are held as here."""
    return _STORED[dtype]


def narrowed(numbers: Plain, dtype: str) -> Array:
    """f32 as another type, rounded to nearest even. What float16 cannot hold becomes its largest number, not
    infinity: an infinite key would leave no weight to any other."""
    if dtype == "float16":
        return np.clip(numbers, -_LARGEST_HALF, _LARGEST_HALF).astype(np.float16)
    if dtype == "bfloat16":
        bits = np.ascontiguousarray(numbers).view(np.uint32)
        rounded = (bits + (((bits >> 16) & 1) + np.uint32(0x7FFF))) >> 16
        # A number that is none keeps a bit that says so: rounding could carry it over to infinity.
        return np.where(np.isnan(numbers), (bits >> 16) | 0x40, rounded).astype(np.uint16)
    return numbers


def widened(numbers: Array, dtype: str) -> Plain:
    """Numbers of a form's type as f32: exact."""
    if dtype == "bfloat16":
        return (numbers.astype(np.uint32) << 16).view(np.float32)
    return numbers.astype(np.float32, copy=False)


def empty(form: CacheForm, axes: tuple[str, ...]) -> Array:
    """Room for one layer's keys or values."""
    return np.zeros(form.shape(axes), stored_type(form.dtype))


def store(piece: Plain, start: int, held: Array, form: CacheForm, axes: tuple[str, ...]) -> None:
    """Write positions `start…` of one layer's keys or values, `[kv_heads, n, head_dim]`, into where they are held."""
    for place, first, last in _stretches(form, start, piece.shape[1]):
        stretch = _plainly(held[place] if form.page else held, axes)
        at = start + first - (place * form.page if form.page else 0)
        stretch[:, at : at + last - first] = narrowed(piece[:, first:last], form.dtype)


def load(start: int, count: int, held: Array, form: CacheForm, axes: tuple[str, ...]) -> Plain:
    """Positions `start…` of what is held, as f32 `[kv_heads, count, head_dim]`; a view where nothing has to change."""
    found: list[Plain] = []
    for place, first, last in _stretches(form, start, count):
        stretch = _plainly(held[place] if form.page else held, axes)
        at = start + first - (place * form.page if form.page else 0)
        found.append(widened(stretch[:, at : at + last - first], form.dtype))
    return found[0] if len(found) == 1 else np.concatenate(found, axis=1)


def converted(held: Array, form: CacheForm, wanted: CacheForm, axes: tuple[str, ...], other: tuple[str, ...]) -> Array:
    """One layer's keys or values, held in `form` by `axes`, in the form `wanted` by the axes `other`; positions that
    are not there are zero. Raises `Unusable`."""
    check_convertible(form, wanted)
    into = empty(wanted, other)
    store(load(0, form.positions, held, form, axes), 0, into, wanted, other)
    return into


def _plainly(held: Array, axes: tuple[str, ...]) -> Array:
    """A view with the axes in the plain order."""
    return held.transpose([axes.index(axis) for axis in AXES])


def _stretches(form: CacheForm, start: int, count: int) -> Iterator[tuple[int, int, int]]:
    """The page, and which of `count` positions from `start` on lie in it; in one piece all do."""
    if start < 0 or count < 1 or start + count > form.positions:
        raise ValueError(f"positions {start} to {start + count} of {form.positions}")
    if not form.page:
        yield 0, 0, count
        return
    done = 0
    while done < count:
        page = (start + done) // form.page
        last = min(count, (page + 1) * form.page - start)
        yield page, done, last
        done = last
