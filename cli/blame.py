"""A promise that a run missed, and what its time went into, as a short table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.units import DURATION, Quantity

if TYPE_CHECKING:
    from ..executor.blame import Missed, Part

_SHOWN = 6
"""Parts that are told apart; the rest is one line."""


def blame_text(missed: Missed) -> str:
    """The longest parts first, each beside the slice of its stage where it has one."""
    from ..planner.report import table

    rows: list[tuple[str, ...]] = [("", "why", "took", "of all", "slice")]
    shown, rest = missed.parts[:_SHOWN], missed.parts[_SHOWN:]
    for part in shown:
        slice_ = "" if part.slice_ is None else _time(part.slice_)
        rows.append((part.stage or "-", part.cause, _time(part.seconds), _share(part.seconds, missed), slice_))
    if rest:
        seconds = sum(part.seconds for part in rest)
        rows.append((f"{len(rest)} more", "", _time(seconds), _share(seconds, missed), ""))
    lines = [f"{missed.name} took {_time(missed.measured)}, {_time(missed.limit)} were promised:", *table(rows)]
    if missed.uncounted:
        lines.append(f"not counted: {', '.join(f'{_time(sum_)} {why}' for why, sum_ in _uncounted(missed.uncounted))}")
    return "\n".join(lines)


def _uncounted(parts: tuple[Part, ...]) -> list[tuple[str, float]]:
    words = {
        "opening": "to open models",
        "person": "while a person was asked",
        "reader": "while nobody took what was there",
    }
    found: dict[str, float] = {}
    for part in parts:
        found[words[part.cause]] = found.get(words[part.cause], 0.0) + part.seconds
    return list(found.items())


def _share(seconds: float, missed: Missed) -> str:
    return f"{seconds / missed.measured:.0%}"


def _time(seconds: float) -> str:
    return str(Quantity(float(f"{seconds:.3g}"), DURATION))
