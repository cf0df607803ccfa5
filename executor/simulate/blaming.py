"""What a moment's seconds went into: the path of `executor.blame`, on the stages of a simulated run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

from ..blame import Kind, Span, path
from .records import LINE, SERVICE, TRANSFER, Parts, add
from .stages import Execution

_PART: dict[Kind, int] = {"service": SERVICE, "line": LINE, "transfer": TRANSFER}


Shares = Callable[[Execution, Kind, float, float], list[tuple[str, float]]]
"""What of a step is to blame on something else than the stage, by name, in seconds."""


def parts_of(
    stages: Sequence[Execution], begin: float, end: float, *, first: bool, shares: Shares | None = None
) -> Parts:
    """The path that ends at `end`. `first` looks at first items, where a stage has some. A stage that reads a stream
    counts for what it did after the item that the moment waited for."""
    spans: list[Span] = []
    for number, stage in enumerate(stages):
        done = stage.first if first and stage.first is not None else stage.ended
        if done is None or stage.began is None:
            continue
        came, asked, began = stage.came, stage.asked, stage.began
        if not first and stage.last is not None:
            came = asked = began = stage.last
        spans.append(Span(done, came, asked, began, inf, number))
    out: Parts = {}
    for step in path(spans, begin, end):
        if step.what < 0:
            continue
        stage, seconds = stages[step.what], step.end - step.start
        for name, part in shares(stage, step.kind, step.start, step.end) if shares is not None else ():
            add(out, name, _PART[step.kind], part)
            seconds -= part
        add(out, stage.name, _PART[step.kind], seconds)
    return out
