"""Problems of any size that look like those of programs: models that several stages share, tools that one stage has.

Tiers get dearer, quicker and larger from first to last, and dollars a unit of work differ by up to a half between them,
as they do in the catalogue. A stage's options are its model's pool on each tier (weights are shared, caches add up) or,
of a tool, a pool of its own. Limits are a factor over what the quickest options take, so that some of them must be
bought.
"""

from __future__ import annotations

from random import Random

from agentlang.planner.figures import Basis, Figure, Term, predicted
from agentlang.planner.space.nodes import Builder, Move, Take
from agentlang.planner.space.problem import Edge, Held, Link, Option, Pool, Problem, Promise, Requirement, Stage, Tier

GB = 1e9


def instance(seed: int, stages: int, tiers: int) -> Problem:
    """A chain of steps, some of which are forks of two to four stages; about two stages in three run models, each on
    one of a few models. First token, end to end, and rate are promised; the cheapest is wanted."""
    rng = Random(seed)
    made = tuple(_tier(rng, number, tiers) for number in range(tiers))
    speeds = [1.6**number for number in range(tiers)]
    models = [(f"model{number}", rng.choice((1, 4, 16, 30)) * GB) for number in range(max(1, stages // 6))]
    pools: dict[str, Pool] = {}
    found: list[Stage] = []
    for number in range(stages):
        name = f"stage{number}"
        runs_model = rng.random() < 0.66
        model, weights = rng.choice(models)
        seconds, executions = rng.lognormvariate(-1.5, 0.8), rng.choice((1.0, 1.0, 1.0, 3.0, 0.3))
        noise = rng.choice((0.05, 0.1, 0.3))
        options: list[Option] = []
        for place, tier in enumerate(made):
            if runs_model and weights * 1.2 > tier.memory and place + 1 < tiers:
                continue
            key = f"{model if runs_model else name}.{tier.name}"
            slots = rng.choice((4, 8, 16)) if runs_model else rng.choice((1, 2))
            pool = pools.setdefault(key, Pool(key, tier.name, 1, slots))
            own = seconds / speeds[place] * rng.uniform(0.8, 1.25)
            held = (Held(f"weights {model}", weights), Held(f"cache {name}", 0.02 * weights)) if runs_model else ()
            time = predicted(name, "s", [Term("made", own, "s", Basis.ASSUMED, "made", name)], 0.1)
            first = own * (0.2 if runs_model else 1.0)
            options.append(Option(pool.name, time, first, own, held, joules=own * tier.watts, noise=noise))
        found.append(Stage(name, tuple(options), executions))
    rate = rng.uniform(2.0, 10.0)
    edges, nodes, moments, quickest = _shape(rng, tuple(found))
    links = tuple(
        Link(
            left.name, right.name, rng.choice((1.25, 12.5, 50)) * GB, rng.choice((1e-5, 1e-3)), carries=f"link {a} {b}"
        )
        for a, left in enumerate(made)
        for b, right in enumerate(made)
        if a < b
    )
    promises = (
        Promise("first_token", "first_token", quickest[0] * rng.uniform(2.0, 4.0), 95.0),
        Promise("finish", "finish", quickest[1] * rng.uniform(2.0, 4.0), rng.choice((95.0, 99.0))),
        Promise("rate", "rate", rate),
    )
    names = [each.name for each in promises] + [name for tier in made for name in (tier.counted, tier.held)]
    names += [link.carries for link in links]
    requirements = tuple(Requirement(name, "made", name) for name in [*names, "links"])
    return Problem(
        stages=tuple(found),
        pools=tuple(pools.values()),
        tiers=made,
        links=links,
        edges=edges,
        nodes=nodes,
        moments=moments,
        promises=promises,
        requirements=requirements,
        rate=rate,
    )


def _tier(rng: Random, number: int, tiers: int) -> Tier:
    name = f"tier{number}"
    hourly = 0.5 * 1.6**number * rng.uniform(0.8, 1.2)
    return Tier(
        name=name,
        device=name,
        low=0,
        high=rng.choice((16, 32, 64)) if number < tiers // 2 else 256,
        memory=(16, 24, 48, 80, 80, 96, 141, 192)[min(7, number * 8 // tiers)] * GB,
        dollars=Figure(hourly / 3600.0, "$/s", Basis.GIVEN, "made"),
        watts=100.0 * 1.4**number,
        counted=f"count {name}",
        held=f"memory {name}",
    )


def _shape(
    rng: Random, stages: tuple[Stage, ...]
) -> tuple[tuple[Edge, ...], tuple[object, ...], tuple[tuple[str, int], ...], tuple[float, float]]:
    """Nodes of a chain of steps and forks, and how long the first token and the whole take on the quickest options."""
    nodes = Builder()
    edges: list[Edge] = []
    before: list[tuple[int, int]] = []  # stages that the next step waits for, and the nodes of their ends
    quick: dict[int, float] = {}
    number, early, early_quick = 0, 0, 0.0
    while number < len(stages):
        width = min(len(stages) - number, rng.choice((1, 1, 2, 4)))
        ends: list[tuple[int, int]] = []
        for stage in range(number, number + width):
            arrivals: list[int] = []
            for source, end in before:
                edges.append(Edge(stages[source].name, stages[stage].name, rng.choice((1e4, 1e6, 2e8))))
                arrivals.append(nodes.sum([end, nodes.add(Move(len(edges) - 1))]))
            start = nodes.latest(arrivals)
            began = max((quick[source] for source, _ in before), default=0.0)
            times = stages[stage].executions
            quick[stage] = began + times * min(option.seconds for option in stages[stage].options)
            ends.append((stage, nodes.sum([start, nodes.add(Take(stages[stage].name, times))])))
            if stage == len(stages) - 1:
                early = nodes.sum([start, nodes.add(Take(stages[stage].name, first=True))])
                early_quick = began + min(option.first for option in stages[stage].options)
        before, number = ends, number + width
    finish = nodes.latest([end for _, end in before])
    whole = max(quick[stage] for stage, _ in before)
    return tuple(edges), tuple(nodes.nodes), (("first_token", early), ("finish", finish)), (early_quick, whole)
