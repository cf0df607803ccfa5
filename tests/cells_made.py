"""Problems that one placement does not carry and several do: the small one with limits that both tiers keep, and random
mixtures of tiers."""

from dataclasses import replace
from random import Random

from problems_made import required, seconds_of, small_problem, tier_of

from agentlang.planner.space.problem import Link, Option, Pool, Problem

BUSY = 9.0
"""Runs a second that neither of the tiers of the small problem carries."""


def patient(rate: float | None) -> Problem:
    """The small problem with limits that both of its tiers keep."""
    return small_problem(first_token=5.0, finish=60.0, rate=rate)


def mixture(seed: int) -> Problem:
    """The patient problem over two to four tiers of random speed, price and number, each with a pool of its own and
    sometimes one in which prefill and decode go together; at 40 % to 100 % of what about all devices carry."""
    rng = Random(seed)
    base = patient(1.0)
    names = [f"tier{number}" for number in range(rng.randint(2, 4))]
    tiers = tuple(
        tier_of(name, high=rng.randint(1, 5), low=rng.choice((0, 0, 1)), hourly=rng.uniform(1.0, 8.0)) for name in names
    )
    pools: list[Pool] = []
    options: list[list[Option]] = [[], [], []]
    carried = 0.0
    for tier in tiers:
        slots, speed = rng.choice((4, 8, 16)), rng.uniform(0.5, 2.0)
        carried += 0.9 * tier.high * slots / 4.5 * speed
        for pool in (tier.name, f"{tier.name} serve")[: rng.choice((1, 2))]:
            pools.append(Pool(pool, tier.name, 1, slots))
            serve = pool != tier.name
            slower = 1.1 if serve else 1.0
            for place, (stage, seconds) in enumerate(zip(base.stages, (0.1, 0.3, 4.2), strict=True)):
                taken = seconds / speed * slower
                others = tuple(each.name for each in base.stages[1:] if each is not stage) if serve and place else ()
                time = seconds_of(stage.name, ("made", taken))
                options[place].append(
                    Option(
                        pool, time, taken * 0.5, taken if place else 0.0, noise=0.1, joules=taken * 100, together=others
                    )
                )
    links = tuple(
        Link(left, right, 10e9, 1e-3, carries=f"link {left} <-> {right}")
        for number, left in enumerate(names)
        for right in names[number + 1 :]
    )
    rate = round(carried * rng.uniform(0.4, 1.0), 3)
    promises = tuple(replace(each, limit=rate) if each.kind == "rate" else each for each in base.promises)
    promises = tuple(replace(each, limit=0.1) if each.kind == "cost" else each for each in promises)
    stages = tuple(replace(stage, options=tuple(some)) for stage, some in zip(base.stages, options, strict=True))
    return replace(
        base,
        stages=stages,
        pools=tuple(pools),
        tiers=tiers,
        links=links,
        promises=promises,
        requirements=tuple(required(tiers, links, promises)),
        rate=rate,
        objective=rng.choice(("cheapest", "cheapest", "greenest", "fastest")),
    )


def with_rate(problem: Problem, rate: float) -> Problem:
    """The same with a promise of this rate, whether it has one or not."""
    name = next((each.name for each in problem.promises if each.kind == "rate"), None)
    return problem.with_limit(name, rate) if name else problem
