"""The words for what can go wrong between the islands of a program. One function per slug."""

from __future__ import annotations

from ..base.problems import Problem
from ..base.source import Span


def stopped_elsewhere(stage: str, span: Span | None) -> Problem:
    """Never shown: who follows the owner of a body is stopped when that is."""
    return Problem(
        "stopped-elsewhere",
        f"{stage!r} was stopped, for the tier that it works for has no use for it any more",
        span,
        hint="look for what failed on that tier",
    )


def tier_gone(channel: str, why: str) -> Problem:
    """`why` is what became of the connection."""
    return Problem(
        "tier-gone",
        f"the process at the other end of {channel!r} is gone: {why}",
        hint="look at what that process wrote last; `otherwise on unreachable` goes on without it",
    )


def value_stays(channel: str, why: str) -> Problem:
    """`why` says which value."""
    return Problem(
        "value-stays",
        f"what was to go through {channel!r} to another process cannot: {why}",
        hint="have the stage that makes the value and the one that uses it on one tier",
    )
