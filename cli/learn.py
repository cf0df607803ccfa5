"""After a run: refine this machine's cost model by what was measured, so that the next prediction is nearer."""

from __future__ import annotations

from ..api import Compiled
from ..executor.frames import End
from ..executor.measured import measured, sizes
from ..planner import calibrate
from ..planner.hardware import Machine
from ..planner.observe import observe


def learn(compiled: Compiled, pipeline: str, machine: Machine, end: End) -> None:
    """Keep the run's stage times as observations. A cache that cannot be written loses nothing but the lesson."""
    body = compiled.graph.pipeline(pipeline)
    seen = observe(compiled.graph, pipeline, machine, sizes(body, end), measured(body, end))
    try:
        calibrate.save(calibrate.load(machine.key).refined(seen))
    except OSError:
        return
