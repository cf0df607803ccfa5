"""What a moment's seconds went into: back from it, from each stage to what it waited for."""

from __future__ import annotations

from collections.abc import Sequence

from .records import LINE, SERVICE, TRANSFER, Parts, add
from .stages import Execution

_CLOSE = 1e-9


def parts_of(stages: Sequence[Execution], begin: float, end: float, *, first: bool) -> Parts:
    """The path that ends at `end`: of what was over by then, the last; before that, what was over when it came; and so
    on. `first` looks at first items, where a stage has some. A stage that reads a stream counts for what it did after
    the item that the moment waited for."""
    spans: list[tuple[float, float, float, float, str]] = []
    for stage in stages:
        done = stage.first if first and stage.first is not None else stage.ended
        if done is None or stage.began is None:
            continue
        came, asked, began = stage.came, stage.asked, stage.began
        if not first and stage.last is not None:
            came = asked = began = stage.last
        spans.append((done, came, asked, began, stage.name))
    spans.sort(key=lambda span: span[0])
    out: Parts = {}
    now = end
    while spans and now > begin + _CLOSE:
        done, came, asked, began, name = spans.pop()
        if done > now + _CLOSE or came >= now:
            continue
        add(out, name, SERVICE, max(0.0, now - max(began, came)) if began < now else 0.0)
        add(out, name, LINE, max(0.0, min(began, now) - asked))
        add(out, name, TRANSFER, max(0.0, min(asked, now) - came))
        now = came
    return out
