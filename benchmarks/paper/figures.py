"""The figures of the page: what is drawn from which results."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from . import drawing
from .example import PLACEMENTS, PROMISE, example
from .formulation import placed
from .report import MODES, SHOWN, workload
from .results import BASELINE, LEFT_OUT, ORDERED, cell, requests, title

ROWS = (BASELINE, ORDERED[2], *ORDERED[:2], *LEFT_OUT)


def pairs(promised: bool, dense: bool) -> str:
    """Small multiples: a panel for each workload, a row for each pair, a colour for each convention."""
    found: list[drawing.Panel] = []
    for request in requests(promised):
        dots: list[drawing.Dot] = []
        note = ""
        for lane, convention in enumerate(SHOWN):
            for times_of in ("roofline, dense", "fitted, dense") if dense else ("roofline, printed",):
                of = cell(request, times_of, convention)
                if of.base != BASELINE:
                    note = "does not serve by fitted times"
                    continue
                for one in ROWS:
                    worth = of.worth(one)
                    if worth is not None:
                        words = f"{title(one)}, {convention}, {times_of}: {worth:.2f}"
                        hollow = times_of.startswith("fitted")
                        dots.append(drawing.Dot(title(one), lane, worth, drawing.COLOURS[convention], hollow, words))
        found.append(drawing.Panel(workload(request), tuple(dots), note))
    legend = [(f"{name}, roofline" if dense else name, drawing.COLOURS[name], False) for name in SHOWN]
    if dense:
        legend += [(f"{name}, fitted", drawing.COLOURS[name], True) for name in SHOWN]
    rates = "the makers' dense rates" if dense else "rates as the paper prints them"
    return drawing.panels(
        f"Tokens a dollar by pair (prefill::decode), {MODES[promised]}; {rates}",
        "of H100::H100",
        legend,
        [title(one) for one in ROWS],
        found,
        4,
    )


def worked() -> str:
    points = [(name, *_time_and_cost(placement)) for name, placement in PLACEMENTS.items()]
    return drawing.plane(
        "The worked example", ("time in ms", "cost of a request"), points, PROMISE * 1e3, ((0, 1), (1, 2))
    )


def _time_and_cost(placement: Mapping[str, str]) -> tuple[float, float]:
    found = placed(example(), placement)
    return found.seconds * 1e3, found.dollars


FIGURES = {
    "example.svg": worked,
    "promise-printed.svg": partial(pairs, True, False),
    "promise-dense.svg": partial(pairs, True, True),
    "throughput-printed.svg": partial(pairs, False, False),
    "throughput-dense.svg": partial(pairs, False, True),
}
"""By file name, in `docs/paper`."""
