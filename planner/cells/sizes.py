"""One placement at every size: how many runs a second each number of its devices serves, and what that costs.

A placement keeps its promises up to some rate and with no more devices serves no more. Only those rates matter, so a
placement is a short list of sizes, smallest first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ..search import search
from ..space.evaluate import FULLEST, SLACK, STEPS, Outcome, evaluate
from ..space.problem import Choice, Pool, Problem

MOST = 96
"""Sizes of one placement; where there are more, those that are closest together are left out."""


@dataclass(frozen=True, slots=True)
class Size:
    """With `replicas` by pool, up to `rate` runs a second are served on `devices` by tier. `run` is what a run adds to
    the objective beside devices that are paid around the clock."""

    rate: float
    devices: tuple[int, ...]
    replicas: tuple[tuple[str, int], ...]
    run: float


@dataclass(frozen=True, slots=True)
class Placement:
    """The places of the options of all stages, and their sizes."""

    options: tuple[int, ...]
    sizes: tuple[Size, ...]


def at_rate(problem: Problem, rate: float) -> Problem:
    """The same with another rate, and a promise of that."""
    promised = next(each.name for each in problem.promises if each.kind == "rate")
    return problem.with_limit(promised, rate)


def placement(problem: Problem, options: tuple[int, ...]) -> Placement:
    """All sizes of a placement that there are devices for."""
    assert problem.rate is not None
    narrow = _narrowed(problem, options)
    sizes: list[Size] = []
    rate = problem.rate / MOST
    while rate <= problem.rate * (1 + SLACK):
        asked = at_rate(narrow, rate)
        found = search(asked, seconds=1.0, steady=True)
        if not found.choices:
            if sizes:
                break
            # With few runs a device costs each of them more than was promised.
            rate = min(2.0 * rate, problem.rate) if rate < problem.rate else 2.0 * rate
            continue
        most = carried(asked, found.choices[0], problem.rate)
        sizes.append(_size(asked, found.choices[0], most))
        rate = max(most * (1 + 1e-6), rate + problem.rate / MOST)
        if rate > problem.rate > most:
            rate = problem.rate
    return Placement(options, tuple(sizes))


def _narrowed(problem: Problem, options: tuple[int, ...]) -> Problem:
    """Only these options, and their pools; no device is paid that is not used."""
    stages = tuple(
        replace(stage, options=(stage.options[place],)) for stage, place in zip(problem.stages, options, strict=True)
    )
    taken = {stage.options[0].pool for stage in stages}
    pools = tuple(pool for pool in problem.pools if pool.name in taken)
    return replace(problem, stages=stages, pools=pools, tiers=tuple(replace(each, low=0) for each in problem.tiers))


def _size(problem: Problem, choice: Choice, rate: float) -> Size:
    asked = at_rate(problem, rate)
    outcome = evaluate(asked, choice)
    run = outcome.objective
    if problem.objective == "cheapest":
        run -= sum(tier.dollars.value * outcome.devices[tier.name] for tier in problem.tiers) / rate
    devices = tuple(outcome.devices[tier.name] for tier in problem.tiers)
    return Size(rate, devices, tuple(_used(problem.pools, choice)), run)


def _used(pools: tuple[Pool, ...], choice: Choice) -> Iterator[tuple[str, int]]:
    return ((pool.name, count) for pool, count in zip(pools, choice.replicas, strict=True) if count)


def carried(problem: Problem, choice: Choice, most: float) -> float:
    """The greatest rate up to `most` at which a choice holds that holds at the problem's: where a pool comes to the
    next step of its load, or a link is full."""
    rate = problem.rate
    assert rate is not None
    outcome = evaluate(problem, choice)
    steps = sorted(each for each in _steps(problem, outcome, rate) if rate < each < most)
    steps = [*dict.fromkeys(steps), most]
    low, high = -1, len(steps)  # it holds at `low`, and not at `high`
    while high - low > 1:
        middle = (low + high) // 2
        if evaluate(at_rate(problem, steps[middle]), choice).holds:
            low = middle
        else:
            high = middle
    return steps[low] if low >= 0 else rate


def _steps(problem: Problem, outcome: Outcome, rate: float) -> Iterator[float]:
    for load in outcome.loads.values():
        if load > 0.0:
            yield from (rate * step / STEPS / load for step in range(1, FULLEST + 1))
    for (left, right), moved in outcome.traffic.items():
        link = problem.link(left, right)
        if link is not None and moved > 0.0:
            yield link.bandwidth * _pairs(problem, outcome.devices, left, right) / moved


def _pairs(problem: Problem, devices: Mapping[str, int], left: str, right: str) -> int:
    return min((devices[name] for name in (left, right) if not problem.tier(name).endpoint), default=1)
