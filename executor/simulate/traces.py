"""Recorded requests (`planner.traces` reads them) as arrivals: times count from the first, sizes have the names of the
pipeline's."""

from __future__ import annotations

from dataclasses import dataclass

from ...base.problems import has_errors
from ...planner.traces import Named, Reader
from .arrivals import Arrival


@dataclass(frozen=True, slots=True)
class Trace:
    """`page` is how many tokens one of its keys names, 0 where it has none. `notes` say how it was read."""

    format: str
    arrivals: tuple[Arrival, ...]
    page: int = 0
    notes: tuple[str, ...] = ()


def around(runs: tuple[Arrival, ...], most: int) -> tuple[Arrival, ...]:
    """At most so many of them: those that come in the shortest time, since they are the hardest to serve, with a
    quarter before them, while the fleet fills up."""
    if len(runs) <= most:
        return runs
    densest = most - most // 4
    spans = (runs[place + densest - 1].at - runs[place].at for place in range(len(runs) - densest + 1))
    start = min(enumerate(spans), key=lambda span: span[1])[0]
    return runs[max(0, start - most // 4) :][:most]


def arrivals(reader: Reader, sizes: Named) -> Trace | None:
    """The requests of a trace, read to its end. None where the reader has an error to tell."""
    out: list[Arrival] = []
    zero: float | None = None
    for request in reader:
        zero = request.at if zero is None else zero
        own = sizes.sizes(request.prompt, request.reply)
        out.append(Arrival(request.at - zero, own, request.keys, request.session))
    if has_errors(reader.problems):
        return None
    return Trace(reader.format, tuple(out), reader.page, reader.notes)
