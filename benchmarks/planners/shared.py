"""What the other planners have in common: the options that a stage may take at all, replicas for a choice of them."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from math import ceil, inf

from agentlang.planner.space.evaluate import FULLEST, STEPS, Outcome, evaluate
from agentlang.planner.space.problem import Choice, Option, Problem, Stage


@dataclass(frozen=True, slots=True)
class Answer:
    """Of one planner. `dollars` a run as that planner counts them; `choice` and its `outcome` as this project's
    `evaluate` has it, where the answer is one; `said` is what else there is to say."""

    planner: str
    dollars: float | None
    choice: Choice | None = None
    outcome: Outcome | None = None
    said: str = ""


def allowed(problem: Problem, stage: Stage) -> list[int]:
    """Places of the options of a stage that no label forbids and that fit into their pool's memory alone."""
    found: list[int] = []
    for place, option in enumerate(stage.options):
        pool = problem.pool(option.pool)
        tier = problem.tier(pool.tier)
        fits = tier.endpoint or sum(held.bytes for held in option.held) <= pool.devices * tier.memory
        if fits and not option.barred:
            found.append(place)
    return found


def slots_needed(problem: Problem, taken: Mapping[str, Option]) -> dict[str, float]:
    """Slots that are busy in each pool at the promised rate, by pool: what replicas have to offer at least."""
    found: dict[str, float] = {}
    for stage in problem.stages:
        option = taken[stage.name]
        found[option.pool] = found.get(option.pool, 0.0) + (problem.rate or 0.0) * stage.executions * option.mean_busy
    return found


def taken_by(problem: Problem, options: tuple[int, ...]) -> dict[str, Option]:
    return {stage.name: stage.options[place] for stage, place in zip(problem.stages, options, strict=True)}


def coherent(taken: Mapping[str, Option]) -> bool:
    """Whether stages are in one pool that want to be."""
    return all(taken[other].pool == option.pool for option in taken.values() for other in option.together)


def used(problem: Problem, replicas: tuple[int, ...], tier: str) -> int:
    """Devices of a tier that replicas take: of its pools, or of its hosts' pools where these need more."""
    sums = {False: 0, True: 0}
    for number, pool in zip(replicas, problem.pools, strict=True):
        if pool.tier == tier:
            sums[pool.host] += number * pool.devices
    return max(sums.values())


def _paid(problem: Problem, replicas: tuple[int, ...]) -> float:
    """Dollars a run of devices alone, which is less than what a choice costs."""
    if problem.rate is None:
        return 0.0
    tiers = (tier for tier in problem.tiers if not tier.endpoint)
    return sum(max(tier.low, used(problem, replicas, tier.name)) * tier.dollars.value for tier in tiers) / problem.rate


def with_capacity(problem: Problem, options: tuple[int, ...], fullest: float = 1.0) -> Choice | None:
    """The options with as few replicas as carry the load, up to `fullest` of their slots; None where there are not as
    many devices. This is capacity alone: nobody asks how long a line is."""
    needed = slots_needed(problem, taken_by(problem, options))
    replicas: list[int] = []
    for pool in problem.pools:
        least = 0
        if pool.name in needed:
            least = max(1, ceil(needed[pool.name] / (pool.slots * fullest) - 1e-9)) if pool.slots else 1
        replicas.append(least)
    if any(used(problem, tuple(replicas), tier.name) > tier.high for tier in problem.tiers if not tier.endpoint):
        return None
    return Choice(options, tuple(replicas))


def replicated(problem: Problem, options: tuple[int, ...], below: float = inf) -> tuple[Choice, Outcome] | None:
    """The options with the replicas that make them cheapest and keep every requirement; None where none do, or none
    for less than `below`. Where
    nothing is soft and the goal is the cheapest, a replica more never costs less, so the first that holds, in the
    order of cost, is it. ValueError for other goals."""
    if problem.objective != "cheapest" or any(promise.soft is not None for promise in problem.promises):
        raise ValueError("replicas of other goals are not in order")
    if not coherent(taken_by(problem, options)):
        return None
    start = with_capacity(problem, options, FULLEST / STEPS)
    if start is None:
        return None
    if _paid(problem, start.replicas) >= below:
        return None
    # More replicas shorten waiting lines and widen links; what is broken beside these stays so, or gets dearer.
    helped = [promise.name for promise in problem.promises if promise.kind == "rate"]
    helped += [link.carries for link in problem.links]
    if evaluate(problem, start, without=helped or ("",)).broken:
        return None
    order = count()
    seen = {start.replicas}
    outcome = evaluate(problem, start)
    line = [(outcome.objective, next(order), start, outcome)]
    while line:
        least, _, choice, outcome = heapq.heappop(line)
        if least >= below:
            return None
        if outcome.holds:
            return choice, outcome
        for place, pool in enumerate(problem.pools):
            if not choice.replicas[place] or not pool.slots:
                continue
            more = tuple(n + (number == place) for number, n in enumerate(choice.replicas))
            if more not in seen and used(problem, more, pool.tier) <= problem.tier(pool.tier).high:
                seen.add(more)
                tried = evaluate(problem, Choice(options, more))
                heapq.heappush(line, (tried.objective, next(order), Choice(options, more), tried))
    return None
