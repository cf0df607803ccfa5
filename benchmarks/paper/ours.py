"""The paper's formulation as a problem of this project's planner: the same tasks, prices and promise, solved by its
search and evaluated by what evaluates every plan."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from agentlang.planner.figures import Basis, Figure, Term, predicted
from agentlang.planner.search import search
from agentlang.planner.space.evaluate import Outcome, evaluate
from agentlang.planner.space.nodes import Builder, Move, Take
from agentlang.planner.space.problem import (
    MANY,
    Choice,
    Edge,
    Link,
    Option,
    Pool,
    Problem,
    Promise,
    Requirement,
    Stage,
    Tier,
)

from .formulation import Formulation

PER_MOVE = 1000.0
"""Units that one transfer moves; its seconds and dollars are those of all of them."""


def as_problem(given: Formulation) -> Problem:
    """Tasks one after the other with a promise for their sum. ValueError for what a problem has no word for: a promise
    for each task, capacities, transfers that cost differently on the way back or between other pairs of tasks."""
    if given.each or given.capacity:
        raise ValueError("a promise for each task, and capacities of classes, are not part of a problem")
    nothing = Figure(0.0, "$/s", Basis.GIVEN, "tasks have prices, hardware has none")
    tiers = tuple(
        Tier(name, name, 0, MANY, 1.0, nothing, 0.0, counted=f"count {name}", held=f"memory {name}")
        for name in given.classes
    )
    # As many at once as come: the example has no load.
    pools = tuple(Pool(name, name, 1, 0) for name in given.classes)
    stages = tuple(Stage(task, tuple(_option(given, task, name) for name in given.classes)) for task in given.tasks)
    nodes = Builder()
    edges = tuple(Edge(source, target, PER_MOVE) for source, target in given.edges)
    parts = [nodes.add(Take(task)) for task in given.tasks] + [nodes.add(Move(place)) for place in range(len(edges))]
    soft = given.price if isfinite(given.price) else None
    finish = Promise("finish p50", "finish", given.promise, soft=soft)
    requirements = [Requirement(finish.name, "promise", f"finish p50 <= {given.promise:g} s")]
    requirements += [Requirement(tier.counted, "count", f"count of {tier.name}") for tier in tiers]
    requirements += [Requirement(tier.held, "memory", f"memory of {tier.name}") for tier in tiers]
    links = _links(given)
    requirements += [Requirement(link.carries, "link", f"link {link.left} <-> {link.right}") for link in links]
    top = nodes.sum(parts)
    return Problem(
        stages=stages,
        pools=pools,
        tiers=tiers,
        links=links,
        edges=edges,
        nodes=tuple(nodes.nodes),
        moments=(("finish", top),),
        promises=(finish,),
        requirements=(*requirements, Requirement("links", "links", "links between classes")),
        rate=None,
    )


def _option(given: Formulation, task: str, on: str) -> Option:
    seconds = given.seconds[task, on]
    time = predicted(task, "s", [Term("given", seconds, "s", Basis.GIVEN, "", task)], 0.0)
    return Option(on, time, seconds, 0.0, dollars=given.dollars[task, on])


def _links(given: Formulation) -> tuple[Link, ...]:
    found: list[Link] = []
    for number, left in enumerate(given.classes):
        for right in given.classes[number + 1 :]:
            moves = {given.moves.get((edge, *ends)) for edge in given.edges for ends in ((left, right), (right, left))}
            if len(moves) != 1:
                raise ValueError(f"transfers between {left} and {right} differ")
            seconds, dollars = moves.pop() or (0.0, 0.0)
            bandwidth = PER_MOVE / seconds if seconds else 1e30
            found.append(Link(left, right, bandwidth, 0.0, dollars / PER_MOVE, f"link {left} <-> {right}"))
    return tuple(found)


def outcome(problem: Problem, where: Mapping[str, str]) -> Outcome:
    """What a placement (task to class) comes to."""
    options = tuple(
        next(place for place, option in enumerate(stage.options) if option.pool == where[stage.name])
        for stage in problem.stages
    )
    return evaluate(problem, Choice(options, tuple(int(pool.name in where.values()) for pool in problem.pools)))


def chosen(problem: Problem) -> dict[str, str] | None:
    """Where the planner's own search puts each task; None where no placement holds."""
    found = search(problem)
    if not found.choices:
        return None
    places = zip(problem.stages, found.choices[0].options, strict=True)
    return {stage.name: stage.options[place].pool for stage, place in places}
