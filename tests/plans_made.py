"""Plans of made problems as documents, and every way to change one of their leaves."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from planner_graphs import chat_graph, machine
from problems_made import best

from agentlang.planner.calibrate import Calibration
from agentlang.planner.moments import ZERO
from agentlang.planner.options import Options
from agentlang.planner.plan import Inputs, Made, to_json
from agentlang.planner.predict import Forecast
from agentlang.planner.search.found import OPTIMAL, Found
from agentlang.planner.space.assemble import assemble
from agentlang.planner.space.build import Built
from agentlang.planner.space.problem import Problem
from agentlang.planner.workload import Sizing

Where = tuple[str | int, ...]


def built_of(problem: Problem) -> Built:
    """A problem without a program, as if one had been walked."""
    walked = Forecast(
        first=ZERO,
        gap=None,
        finish=ZERO,
        times={},
        executions={},
        counted={},
        at_once={},
        busy={},
        channels=(),
        moves=(),
        operations={},
        opened=(),
        elsewhere={},
        free=(),
    )
    mine = machine()
    made = Made(mine, Calibration(mine.key), Options(), None)
    return Built(problem, walked, Sizing((), ()), Inputs("a", "b"), chat_graph(), "answer", "made", made)


def plan_of(problem: Problem) -> dict[str, Any] | None:
    """The document of its best plan, found by looking at every choice; None where there is none."""
    found = best(problem)
    if found is None:
        return None
    choice, outcome = found
    sure = Found((choice,), (outcome,), OPTIMAL, bound=outcome.objective)
    return json.loads(to_json(assemble(built_of(problem), sure)))


def changes(document: dict[str, Any]) -> Iterator[tuple[Where, dict[str, Any]]]:
    """The document with one leaf changed, for each leaf: numbers by one or by 1 %, truth turned, texts longer, nothing
    made a number; and with the last entry of each list removed."""
    for where, leaf in leaves(document):
        yield where, changed_at(document, where, leaf)


def changed_at(document: dict[str, Any], where: Where, leaf: Any) -> dict[str, Any]:
    """The document with one of its `leaves` changed."""
    changed = deepcopy(document)
    place: Any = changed
    for key in where[:-1]:
        place = place[key]
    if isinstance(leaf, list):
        place[where[-1]].pop()
    else:
        place[where[-1]] = other(leaf)
    return changed


def leaves(value: Any, where: Where = ()) -> Iterator[tuple[Where, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*where, key))
    elif isinstance(value, list):
        if value:
            yield where, value
        for number, inner in enumerate(value):
            yield from leaves(inner, (*where, number))
    else:
        yield where, value


def other(leaf: Any) -> Any:
    match leaf:
        case bool():
            return not leaf
        case int():
            return leaf + 1
        case float():
            return leaf * 1.01 if leaf else 1.0
        case None:
            return 1.0
        case _:
            return f"{leaf}x"
