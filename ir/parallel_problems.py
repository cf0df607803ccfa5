"""The words for what can go wrong when a model is spread over devices. One function per slug."""

from __future__ import annotations

from ..base.problems import Problem
from ..base.source import Span


def cannot_spread(stage: str, model: str, why: str, into: tuple[int, ...], span: Span | None) -> Problem:
    """`into` are the numbers of shards into which the model can be divided."""
    return Problem(
        "cannot-spread",
        f"{stage!r} cannot be spread so: of {model}, {why}",
        span,
        hint=f"{model} can be divided into {', '.join(map(str, into))} shards"
        if into
        else f"{model} cannot be divided: run it on one device",
    )


def shape_unknown(stage: str, model: str, declared: bool, span: Span | None) -> Problem:
    why = (
        "the catalogue does not have its shape" if declared else "it comes in as an argument, so nothing is known of it"
    )
    return Problem(
        "spread-shape-unknown",
        f"{stage!r} cannot be spread over devices: of the model {model!r}, {why}",
        span,
        hint="declare a model of the catalogue (`agentlang models list`), or run this one on one device",
    )


def spread_twice(stage: str, model: str, before: str, now: str, span: Span | None) -> Problem:
    return Problem(
        "spread-twice",
        f"{stage!r} spreads the model {model!r} over {now} devices, and another stage of its tier over {before}",
        span,
        hint="a tier holds a model's weights once: spread all its stages there alike, or place one on another tier",
    )
