"""The same problem with one requirement asked otherwise, and how to aim a search at one promise."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from ..space.problem import Link, Option, Problem, Stage

_AIM = 1e3
"""Where money is bounded and must stay, a promise that is aimed at counts so many times what may be spent."""


def with_memory(problem: Problem, tier: str, memory: float) -> Problem:
    """Another memory of each of a tier's devices."""
    return replace(
        problem, tiers=tuple(replace(each, memory=memory) if each.name == tier else each for each in problem.tiers)
    )


def with_bandwidth(problem: Problem, carries: str, bandwidth: float) -> Problem:
    """Another bandwidth of the links with that requirement."""
    links = tuple(replace(link, bandwidth=bandwidth) if link.carries == carries else link for link in problem.links)
    return replace(problem, links=links)


def with_links(problem: Problem, pairs: Collection[tuple[str, str]], bandwidth: float, latency: float) -> Problem:
    """More links."""
    return replace(problem, links=(*problem.links, *(Link(*pair, bandwidth, latency) for pair in pairs)))


def allowed(problem: Problem, name: str, tiers: Collection[str]) -> Problem:
    """What bars options bars none on these tiers."""
    places = {pool.name: pool.tier for pool in problem.pools}

    def freed(option: Option) -> Option:
        if name not in option.barred or places[option.pool] not in tiers:
            return option
        return replace(option, barred=tuple(each for each in option.barred if each != name))

    return _each_option(problem, freed)


def dropped(problem: Problem, name: str) -> Problem:
    """Without a promise; without the rate, runs come one at a time."""
    kinds = {each.name: each.kind for each in problem.promises}
    promises = tuple(each for each in problem.promises if each.name != name)
    return replace(problem, promises=promises, rate=None if kinds[name] == "rate" else problem.rate)


def aimed(problem: Problem, name: str) -> Problem:
    """A problem whose objective is what a promise comes to, while every other requirement stays. Leave the promise's
    own requirement out where it is searched (a cost and an energy keep their limit, a moment gives its up)."""
    promise = next(each for each in problem.promises if each.name == name)
    others = tuple(each for each in problem.promises if each.soft is None and each.name != name)
    if promise.kind in ("cost", "energy"):
        objective = "cheapest" if promise.kind == "cost" else "greenest"
        return replace(problem, promises=(*others, replace(promise, soft=None)), objective=objective)
    limits = [each.limit for each in others if each.kind == "cost"]
    weight = _AIM * max(limits) / promise.limit if limits and promise.limit > 0 else 1.0
    problem = replace(
        problem, promises=(*others, replace(promise, limit=0.0, soft=weight or 1.0)), objective="cheapest"
    )
    return problem if limits else _free(problem)


def counting(problem: Problem, tier: str) -> Problem | None:
    """A problem whose objective is how many devices of a tier there are; None where that cannot be said in dollars
    (without a rate, devices are paid while a run takes; with a bounded cost, dollars must stay)."""
    if problem.rate is None or any(each.kind == "cost" and each.soft is None for each in problem.promises):
        return None
    hard = tuple(each for each in problem.promises if each.soft is None)
    problem = _free(replace(problem, promises=hard, objective="cheapest"))
    one = tuple(
        replace(each, dollars=replace(each.dollars, value=1.0)) if each.name == tier else each for each in problem.tiers
    )
    return replace(problem, tiers=one)


def _free(problem: Problem) -> Problem:
    """Nothing costs anything."""
    tiers = tuple(replace(tier, dollars=replace(tier.dollars, value=0.0)) for tier in problem.tiers)
    links = tuple(replace(link, dollars=0.0) for link in problem.links)
    problem = replace(problem, tiers=tiers, links=links)
    return _each_option(problem, lambda option: replace(option, dollars=0.0) if option.dollars else option)


def _each_option(problem: Problem, change: Callable[[Option], Option]) -> Problem:
    def changed(stage: Stage) -> Stage:
        return replace(stage, options=tuple(change(option) for option in stage.options))

    return replace(problem, stages=tuple(changed(stage) for stage in problem.stages))
