"""What the planner predicts of a call or a pipeline, for hover: made in the background, kept by the text it is of.

Compiling and planning take from a tenth of a second to some seconds the first time, so nobody waits for them: a hover
shows what is there after a moment, and the next one shows all of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from ...lang.ide import Analysis
from ...lang.ide.hover import Hover

if TYPE_CHECKING:
    from ...lang.program import Program
    from ...planner.cells.plan import CellsPlan
    from ...planner.plan import Plan

_log = logging.getLogger(__name__)


class Predictions:
    """The plans of the goals of programs, the last few texts of them."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="plans")
        self._plans: dict[tuple[str, str], Future[tuple[Plan | CellsPlan, ...]]] = {}

    async def of(self, analysis: Analysis, found: Hover) -> tuple[str, ...]:
        """Lines about what was hovered over. Nothing where no goal is about it, or where there is no plan."""
        program = analysis.program
        if program is None or not program.goals:
            return ()
        key = (analysis.path, analysis.text)
        made = self._plans.get(key)
        if made is None:
            while len(self._plans) >= 4:
                self._plans.pop(next(iter(self._plans))).cancel()
            made = self._plans[key] = self._pool.submit(_plans, program, Path(analysis.path).parent)
        try:
            plans = await asyncio.shield(asyncio.wrap_future(made))
        except Exception:
            # A model that is not known, a machine that cannot be measured: hover says less then.
            _log.info("no prediction for %s", analysis.path, exc_info=True)
            return ()
        return tuple(_lines(plans, found))


def _plans(program: Program, folder: Path) -> tuple[Plan | CellsPlan, ...]:
    from ...api import compile, plan_in_cells
    from ...planner import hardware
    from ...stdlib.library import Library

    compiled, _ = compile(program, Library(folder), plain=True)
    if compiled is None:
        return ()
    machine = hardware.load_or_measure()
    found = (plan_in_cells(compiled, goal.pipeline, machine)[0] for goal in program.goals)
    return tuple(plan for plan in found if plan is not None)


def _lines(plans: tuple[Plan | CellsPlan, ...], found: Hover) -> Iterator[str]:
    from ...planner.cells.plan import placements
    from ...planner.figures import show_value

    for cell, plan in (part for each in plans for part in placements(each)):
        of = f" in {cell}" if cell else ""
        if found.pipeline == plan.pipeline and (found.place is None or found.code.startswith(("pipeline", "agent"))):
            for term in plan.goals:
                share = f" p{term.percentile:g}" if term.percentile is not None else ""
                if term.predicted is not None:
                    shown = show_value(term.predicted.value, term.unit)
                    met = "kept" if term.met else "not kept"
                    limit = show_value(term.limit, term.unit)
                    yield f"predicted {term.term}{share}{of}: {shown} (limit {limit}, {met})"
        elif found.place is not None:
            here = f"{found.place.path}:{found.place.line}:"
            for stage in plan.stages:
                if stage.place.startswith(here) and stage.time.value > 0:
                    times = f", {stage.executions:.3g} times a run" if stage.executions != 1 else ""
                    last = stage.id.rpartition(".")[2]
                    yield f"predicted {last} on {stage.tier}{of}: {show_value(stage.time.value, 's')}{times}"
