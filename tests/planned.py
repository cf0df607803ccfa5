"""Problems and plans of a pipeline, for tests that say little about it."""

from typing import Any

from agentlang.base.problems import Problems
from agentlang.ir.graph import Graph
from agentlang.planner import place
from agentlang.planner.hardware import Machine
from agentlang.planner.placing import Placing
from agentlang.planner.plan import Plan
from agentlang.planner.space import build as building
from agentlang.planner.space.build import Built


def plan(graph: Graph, pipeline: str, machine: Machine, **given: Any) -> tuple[Plan | None, Problems]:
    """`given` are the other fields of `Placing`."""
    return place.plan(_placing(graph, pipeline, machine, given))


def build(graph: Graph, pipeline: str, machine: Machine, **given: Any) -> tuple[Built | None, Problems]:
    """The same for the problem alone."""
    return building.build(_placing(graph, pipeline, machine, given))


def _placing(graph: Graph, pipeline: str, machine: Machine, given: dict[str, Any]) -> Placing:
    """What is given as None is left out, so that a test may pass on what it was not given itself."""
    return Placing(graph, pipeline, machine, **{name: value for name, value in given.items() if value is not None})
