"""Non-negative least absolute relative error: what a fit of named parts needs, and no more.

Lawson and Hanson's method (1974, "Solving Least Squares Problems", chapter 23) on reweighted rows (Holland and Welsch
1977): each row is divided by its measurement, so that errors are relative, and weighted by the inverse of its error, so
that a few odd rows do not decide.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

_TURNS = 12
_LEAST = 0.02
"""Errors below this weigh as this one: nobody measures better."""


def nonnegative(matrix: Any, target: Any) -> Any:
    """The `x >= 0` that minimises `|matrix @ x - target|`."""
    count = matrix.shape[1]
    found, free = np.zeros(count), np.zeros(count, bool)
    tolerance = 1e-12 * np.abs(matrix.T @ target).max()
    for _ in range(10 * count):
        slope = matrix.T @ (target - matrix @ found)
        if free.all() or not (slope[~free] > tolerance).any():
            break
        free[np.argmax(np.where(free, -np.inf, slope))] = True
        while True:
            tried = np.zeros(count)
            tried[free] = np.linalg.lstsq(matrix[:, free], target, rcond=None)[0]
            if (tried[free] > 0).all():
                break
            below = free & (tried <= 0)
            step = np.min(found[below] / (found[below] - tried[below]))
            found = found + step * (tried - found)
            free &= found > 1e-14
        found = tried
    return found


def fit(parts: Any, measured: Any) -> Any:
    """Coefficients `[parts]` for `parts` [rows, parts] and what was `measured` [rows]."""
    relative = parts / measured[:, None]
    # Parts differ by many powers of ten.
    scale = relative.max(axis=0)
    scale[scale == 0] = 1.0
    relative = relative / scale
    weights = np.ones(len(measured))
    found = np.zeros(parts.shape[1])
    for _ in range(_TURNS):
        found = nonnegative(relative * weights[:, None], weights)
        weights = 1.0 / np.sqrt(np.maximum(np.abs(relative @ found - 1.0), _LEAST))
    return found / scale


def left_out(
    parts: Any, measured: Any, groups: Sequence[Hashable], predict: Callable[[Any, Any], Any] | None = None
) -> Any:
    """The relative error of each row, predicted by a fit that saw no row of its group. `predict` makes a prediction of
    rows' numbers and coefficients; their sum where there is none."""
    errors = np.zeros(len(measured))
    names = np.array([groups.index(group) for group in groups])
    for name in np.unique(names):
        inside = names == name
        found = fit(parts[~inside], measured[~inside])
        said = parts[inside] @ found if predict is None else predict(inside, found)
        errors[inside] = said / measured[inside] - 1.0
    return errors
