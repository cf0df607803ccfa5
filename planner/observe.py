"""From a run to what calibration learns: the roofline of each stage at the run's own sizes beside its measured
seconds."""

from __future__ import annotations

from collections.abc import Mapping

from ..ir.graph import Graph, Operation
from .calibrate import Calibration, Observation
from .catalogue import catalogue
from .cost import StageTime, opening_time
from .figures import Basis
from .hardware import Machine
from .predict import forecast, opened, opened_as
from .rates import Rates, of_machine
from .workload import sizing

_STEPS = 30
_MOST = 4096.0


def observe(
    graph: Graph,
    pipeline: str,
    machine: Machine,
    sizes: Mapping[str, float],
    seconds: Mapping[str, float],
    *,
    engine: str = "xla",
) -> tuple[Observation, ...]:
    """What one run on this machine teaches.

    `sizes` are the run's own, by the names of the pipeline's sizes; what is missing keeps its default. `seconds` are by
    stage id: the time that the stage itself worked, over all its executions, without waiting for others; and by the
    name of a model or resource: the time that opening it took (`load` for all of them together). Names that the
    pipeline does not have, or that have no demand, are left out.
    """
    values = sizing(graph, pipeline, {}, sizes).values
    rates = of_machine(machine, catalogue()["laptop"])
    nothing = Calibration(machine.key)
    run = forecast(graph, pipeline, values, rates, nothing, engine=engine)
    total = {name: time.roofline for name, time in _openings(graph, run.opened, values, rates, nothing)}
    if "load" in seconds and total:
        # Nobody says how long each took: they share the time as they share the bytes.
        share = seconds["load"] / sum(total.values())
        seconds = {**{name: roofline * share for name, roofline in total.items()}, **seconds}
    out = [
        Observation(time.key, time.roofline * run.executions[stage], seconds[stage])
        for stage, time in run.times.items()
        if stage in seconds
    ]
    for name, time in _openings(graph, run.opened, values, rates, nothing):
        if name in seconds:
            out.append(Observation(time.key, time.roofline, seconds[name]))
    return tuple(out)


def prompt_sizes(
    graph: Graph, pipeline: str, sizes: Mapping[str, float], tokens_in: float, *, machine: Machine, engine: str = "xla"
) -> dict[str, float]:
    """`sizes`, with the sizes of texts that nobody knew scaled so that all prompts of the run together come to
    `tokens_in` tokens, which a run counts. What runs teach is then about the machine, not about the length of a
    guess."""
    work = sizing(graph, pipeline, {}, sizes)
    rates = of_machine(machine, catalogue()["laptop"])
    guessed = {
        name: figure.value
        for name, figure in work.figures
        if figure.basis is Basis.ASSUMED and name.endswith(".tokens") and name not in sizes
    }

    def scaled(factor: float) -> dict[str, float]:
        return {**sizes, **{name: value * factor for name, value in guessed.items()}}

    def total(factor: float) -> float:
        values = sizing(graph, pipeline, {}, scaled(factor)).values
        run = forecast(graph, pipeline, values, rates, Calibration(machine.key), engine=engine)
        prefills = [stage for stage, operation in run.operations.items() if operation.name == "agent.prefill"]
        return sum(run.executions[stage] * _tokens_in(run.operations[stage], values) for stage in prefills)

    low, high = 0.0, 1.0
    while guessed and total(high) < tokens_in and high < _MOST:
        low, high = high, high * 2.0
    if not guessed or total(low) > tokens_in or total(high) < tokens_in:
        return scaled(low) if guessed and total(low) > tokens_in else dict(sizes)
    for _ in range(_STEPS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if total(middle) <= tokens_in else (low, middle)
    return scaled(low)


def _tokens_in(operation: Operation, values: Mapping[str, float]) -> float:
    return operation.demand.tokens_in.value(values) if operation.demand else 0.0


def _openings(
    graph: Graph, used: tuple[str, ...], values: Mapping[str, float], rates: Rates, calibration: Calibration
) -> list[tuple[str, StageTime]]:
    handles = [graph.handle(name) for name in opened(graph, used)]
    times = ((h.name, opening_time(h, values, rates.disk, calibration, opened_as(h))) for h in handles)
    return [(name, time) for name, time in times if time]
