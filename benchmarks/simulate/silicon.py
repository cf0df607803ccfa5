"""The published times to the first token under load, simulated: requests in a closed loop on one replica.

Those measurements contain the waiting of prompts for each other, which no formula of a prefill knows. Here the
scheduler lets it arise: `concurrency` requests at any time, steps as `planner.serving` predicts them, fitted to none of
these times.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from math import ceil
from statistics import fmean, median

from agentlang.executor.scheduler import Settings
from agentlang.executor.simulate.clock import VirtualClock
from agentlang.executor.simulate.replicas import Request, Serving
from agentlang.executor.simulate.steps import Modelled
from agentlang.ir.demand.llm import cache_bytes_per_token

from ..fit.rows import Row, home, silicon

MEMORY = 80e9 * 0.9
CHUNK = 8192
PAGE = 64
WAVES = 5
"""How many requests each place of the loop sends, one after the other."""


@dataclass(frozen=True, slots=True)
class Point:
    """Seconds to the first token of one row: the mean of all requests, and of those behind the first wave."""

    row: Row
    measured: float
    simulated: float
    settled: float
    step: float


def measured() -> list[tuple[Row, float]]:
    """The rows with their measured seconds."""
    with (home() / "h100_silicon.csv").open(newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["mode"] == "agg" and line["concurrency"]]
    return [(row, float(line["silicon_ttft_ms"]) / 1e3) for row, line in zip(silicon(), lines, strict=True)]


def simulated(row: Row) -> tuple[list[float], float]:
    """The seconds to the first token of each request, in order of arrival, and the mean gap between tokens."""
    clock = VirtualClock()
    room = MEMORY * row.group.tensor - row.shape.parameters * row.shape.weight_bytes
    longest = ceil((row.prompt + row.reply) / PAGE)
    pages = max(int(room / cache_bytes_per_token(row.shape) / PAGE), longest)
    rows = max(row.batch, 1)
    settings = Settings(pages=pages, page=PAGE, rows=rows, tokens=max(CHUNK, rows), chunk=CHUNK)
    serving = Serving(clock, 1, settings, Modelled(row.shape, row.group))
    firsts: list[float] = []
    gaps: list[float] = []
    left = [row.batch * WAVES]

    def begin() -> None:
        if not left[0]:
            return
        left[0] -= 1
        came = clock.now
        request = Request(row.prompt)

        def computed() -> None:
            firsts.append(clock.now - came)
            assert request.replica is not None
            if row.reply > 1:
                request.replica.reply(request, row.reply - 1)
            else:
                ended()

        def ended() -> None:
            if request.times:
                gaps.append((clock.now - request.times[0]) / max(1, row.reply - 2))
            assert request.replica is not None
            request.replica.leave(request)
            begin()

        request.computed, request.ended = computed, ended
        serving.arrive(request)

    for _ in range(row.batch):
        clock.at(0.0, begin)
    clock.run()
    return firsts, fmean(gaps) if gaps else 0.0


def points(most: int | None = None) -> list[Point]:
    """All rows, or about `most` of them, evenly."""
    rows = measured()
    if most is not None:
        rows = rows[:: max(1, len(rows) // most)]
    out: list[Point] = []
    for row, seconds in rows:
        firsts, gap = simulated(row)
        settled = firsts[row.batch :]
        out.append(Point(row, seconds, fmean(firsts), fmean(settled), gap))
    return out


def errors(points: list[Point], which: str) -> tuple[float, float, float]:
    """Mean and median of the relative errors, and the median of the ratio of simulated over measured."""
    ratios = [float(getattr(point, which)) / point.measured for point in points]
    off = [abs(ratio - 1.0) for ratio in ratios]
    return fmean(off), median(off), median(ratios)
