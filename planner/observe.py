"""From a run to what calibration learns: the roofline of each stage at the run's own sizes beside its measured
seconds."""

from __future__ import annotations

from collections.abc import Mapping

from ..ir.graph import Graph
from .calibrate import Calibration, Observation
from .catalogue import catalogue
from .cost import opening_time
from .hardware import Machine
from .predict import behind, forecast, opened
from .rates import of_machine
from .workload import sizing


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
    name of a model or resource: the time that opening it took. Names that the pipeline does not have, or that have no
    demand, are left out.
    """
    values = sizing(graph, pipeline, {}, sizes).values
    rates = of_machine(machine, catalogue()["laptop"])
    nothing = Calibration(machine.key)
    run = forecast(graph, pipeline, values, rates, nothing, engine=engine)
    out = [
        Observation(time.key, time.roofline * run.executions[stage], seconds[stage])
        for stage, time in run.times.items()
        if stage in seconds
    ]
    for name in opened(graph, run.opened):
        handle = graph.handle(name)
        time = opening_time(handle, values, rates, nothing, behind(handle))
        if time and name in seconds:
            out.append(Observation(time.key, time.roofline, seconds[name]))
    return tuple(out)
