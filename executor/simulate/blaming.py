"""What a moment's seconds went into: the path of `executor.blame`, on the stages of a simulated run."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from ..blame import Kind, Span, path
from .records import LINE, SERVICE, TRANSFER, Parts, add
from .stages import Execution

_PART: dict[Kind, int] = {"service": SERVICE, "line": LINE, "transfer": TRANSFER}


def parts_of(stages: Sequence[Execution], begin: float, end: float, *, first: bool) -> Parts:
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
        if step.what >= 0:
            add(out, stages[step.what].name, _PART[step.kind], step.end - step.start)
    return out
