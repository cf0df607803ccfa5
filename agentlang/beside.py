"""The same plan simulated and for real, on this machine: runs come at the same moments in both, and what was simulated
stands beside what was measured (`executor.simulate.truth` says how they are compared).

    found, problems = await beside(compiled, "answer", [inputs], machine, runs=20, rate=0.5)
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from statistics import median
from typing import TYPE_CHECKING

import anyio

from .api import Compiled, compare, plan, problem, run_sizes
from .base.problems import OutsideError, Problems

if TYPE_CHECKING:
    from .executor.frames import End
    from .executor.simulate.truth import Row
    from .planner.hardware import Machine
    from .planner.plan import Plan

ALONE = 5
"""Runs that have the machine to themselves, before the others come."""
_SHOWN = 0.01
"""Stages that take a smaller part of a run are left out."""


@dataclass(frozen=True, slots=True)
class Beside:
    """`runs` were measured together, `alone` one after another before them. `rows` are of the promises and moments,
    `stages` of the stages. `notes` say what else there is to know."""

    runs: int
    alone: int
    rate: float | None
    rows: tuple[Row, ...]
    stages: tuple[Row, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Known:
    """Of one run: the sizes that it had, the seconds of its stages and moments, and what is predicted of those."""

    sizes: Mapping[str, float]
    measured: Mapping[str, float]
    predicted: Mapping[str, float]
    waited: float
    """In line for a model."""


async def beside(
    compiled: Compiled,
    pipeline: str,
    inputs: Sequence[Mapping[str, object]],
    machine: Machine,
    *,
    runs: int,
    rate: float | None = None,
    one_by_one: bool = False,
    seed: int = 0,
    signals: Iterable[signal.Signals] = (),
    told: Callable[[str], None] | None = None,
) -> tuple[Beside | None, Problems]:
    """Runs take the `inputs` in turn. `rate` runs a second come at random, by the seed (without it the goal's), or
    `one_by_one`. A first run, which opens models and compiles, is not counted. `told` hears how far it is. Raises
    `OutsideError` where a run fails."""
    from .executor.simulate import Arrival, Closed, System, poisson, simulate
    from .executor.simulate.planned import choice_of
    from .executor.simulate.served import program_of
    from .executor.simulate.truth import moment_row, stage_row

    planned, found = plan(compiled, pipeline, machine, here=True)
    built, more = problem(compiled, pipeline, machine, here=True)
    choice = choice_of(planned, built.problem) if planned is not None and built is not None else None
    if planned is None or built is None or choice is None:
        return None, found or more
    rate = None if one_by_one else rate or built.problem.rate
    times = None if rate is None else [arrival.at for arrival in poisson(rate, runs, seed)]
    single, ends = await _real(compiled, planned, inputs, runs, times, signals, told)
    learnt = _learned(compiled, planned, machine, (*single, *ends))
    alone, loaded = learnt[: len(single)], learnt[len(single) :]

    system, program = System(built.problem, choice, error=0.0), program_of(built, choice, None)
    at = [0.0] * len(loaded) if times is None else times
    sized = tuple(Arrival(time, known.sizes) for time, known in zip(at, loaded, strict=True))
    usual = tuple(Arrival(time) for time in at)
    steps: list[tuple[bool, Mapping[str, float]]] = [
        (False, {}),
        (True, {}),
        (True, _factors(alone)),
        (True, _factors(loaded)),
    ]
    simulations = [
        simulate(
            system,
            (sized if own else usual) if times is not None else Closed(1, runs, _mean(loaded) if own else {}),
            seed,
            program=program,
            factors=factors,
        )
        for own, factors in steps
    ]
    idle = Closed(1, runs, _mean(loaded))
    simulations.append(simulate(system, idle, seed, program=program, factors=_factors(loaded)))
    errors = {each.name: each.high / each.value - 1.0 for each in planned.predictions if each.value}
    wanted = {("finish", 50.0): None, ("finish", 95.0): None} | {
        (goal.term, goal.percentile or 50.0): goal.limit for goal in planned.goals if goal.term in errors
    }
    for kind in ("first_token", "first_item"):
        if kind in errors:
            wanted.setdefault((kind, 50.0), None)
    rows: list[Row] = []
    for (kind, at_), limit in sorted(wanted.items()):
        numbers = _gaps(ends) if kind.endswith("gap") else [k.measured[kind] for k in loaded if kind in k.measured]
        served = numbers
        if not kind.endswith("gap"):
            served = [max(0.0, k.measured[kind] - k.waited) for k in loaded if kind in k.measured]
        row = moment_row(kind, at_, simulations, numbers, served, errors.get(kind, errors.get("finish", 0.0)), limit)
        rows += [row] if row is not None else []
    finish = median(known.measured["finish"] for known in loaded)
    stages: list[Row] = []
    for stage in planned.stages:
        took = [k.measured[stage.id] for k in loaded if stage.id in k.measured]
        if not took or median(took) < _SHOWN * finish:
            continue
        time = stage.time
        row = stage_row(
            stage.id,
            time.value * stage.executions,
            median(known.predicted.get(stage.id, 0.0) for known in loaded),
            [k.measured[stage.id] for k in alone if stage.id in k.measured],
            took,
            time.high / time.value - 1.0 if time.value else 0.0,
        )
        stages += [row] if row is not None else []
    compiling = sum(bool(end.usage.get("programs_compiled")) for end in ends)
    notes = (f"{compiling} of the runs waited for a compiler",) if compiling else ()
    if len(inputs) < len(single) + len(ends) and any(stage.operation == "agent.prefill" for stage in planned.stages):
        notes += (
            "runs with equal inputs find their prompts computed: give as many lines with --input as there are runs",
        )
    return Beside(len(ends), len(single), rate, tuple(rows), tuple(stages), notes), found


async def _real(
    compiled: Compiled,
    planned: Plan,
    inputs: Sequence[Mapping[str, object]],
    runs: int,
    times: Sequence[float] | None,
    signals: Iterable[signal.Signals],
    told: Callable[[str], None] | None,
) -> tuple[list[End], list[End]]:
    """Runs alone, and runs as they come, in one executor."""
    from .executor.backends.local import LocalBackend
    from .executor.deployment import Deployment
    from .executor.promised import promises_of
    from .executor.shell import open_shell

    compiled.library.serve(compiled.graph)
    promises = promises_of(planned)
    deployment = Deployment(compiled.graph, promises=() if promises is None else (promises,))
    turns = cycle(inputs)
    single: list[End] = []
    ends: dict[int, End] = {}
    async with open_shell(deployment, LocalBackend(compiled.library), signals=signals) as shell:

        async def one(number: int) -> None:
            ends[number] = await shell.start(planned.pipeline, next(turns)).result()
            if told is not None:
                told(f"run {len(ends)} of {runs}")

        for number in range(ALONE + 1 if times is not None else 1):
            end = _ended(await shell.start(planned.pipeline, next(turns)).result())
            if told is not None:
                told(f"alone: run {number} of {ALONE}" if number else "first run, not counted")
            if number:
                single.append(end)
        if times is None:
            for number in range(runs):
                await one(number)
        else:
            begin = anyio.current_time()
            async with anyio.create_task_group() as group:
                for number, at in enumerate(times):
                    await anyio.sleep_until(begin + at)
                    group.start_soon(one, number)
    return single, [_ended(ends[number]) for number in sorted(ends)]


def _ended(end: End) -> End:
    if end.outcome.problem is not None and end.outcome.status != "done":
        raise OutsideError(end.outcome.problem)
    return end


def _learned(compiled: Compiled, planned: Plan, machine: Machine, ends: Sequence[End]) -> list[_Known]:
    """What each run had and took; runs of equal sizes are predicted once."""
    from .executor.measured import measured

    predicted: dict[tuple[tuple[str, float], ...], dict[str, float]] = {}
    out: list[_Known] = []
    for end in ends:
        had = run_sizes(compiled, planned.pipeline, end, machine)
        key = tuple(sorted(had.items()))
        if key not in predicted:
            predicted[key] = {row.name: row.predicted for row in compare(compiled, planned, end, machine)}
        took = measured(compiled.graph.pipeline(planned.pipeline), end)
        waited: dict[str, float] = {}
        for execution in end.timings.executions:
            waited[execution.stage] = waited.get(execution.stage, 0.0) + execution.line
        took = {name: seconds - min(seconds, waited.get(name, 0.0)) for name, seconds in took.items()}
        out.append(_Known(had, took, predicted[key], sum(waited.values())))
    return out


def _factors(known: Sequence[_Known]) -> dict[str, float]:
    """By stage, the median of measured over predicted."""
    ratios: dict[str, list[float]] = {}
    for each in known:
        for name, seconds in each.predicted.items():
            if seconds > 0.0 and each.measured.get(name, 0.0) > 0.0:
                ratios.setdefault(name, []).append(each.measured[name] / seconds)
    return {name: median(found) for name, found in ratios.items()}


def _mean(known: Sequence[_Known]) -> dict[str, float]:
    names = dict.fromkeys(name for each in known for name in each.sizes)
    return {name: sum(each.sizes.get(name, 0.0) for each in known) / len(known) for name in names}


def _gaps(ends: Sequence[End]) -> list[float]:
    return [gap for end in ends for gap in end.timings.gaps]
