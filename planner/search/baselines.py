"""What simpler ways to choose come to, so that what a search saves is a fact.

- All on the quickest tier, as far as stages can run there.
- All on the best tier: the one that is best for the objective of those that hold.
- All on the cheapest tier: the one whose devices cost least an hour.
- Stage by stage (`greedy`).
- The paper's formulation (`formulation`).

The first three choose options (parallelism, batch) and replicas on the tier as well as a search of a second can. The
other two are given the replicas that their options need. What a baseline comes to is what `evaluate` says of it; one
that breaks something comes to nothing, and says what it breaks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..space.evaluate import Outcome, evaluate
from ..space.problem import MANY, Option, Problem
from .exhaustive import combinations
from .found import INFEASIBLE, Baseline
from .greedy import price_of, trial
from .one_by_one import greedy as chosen_greedily
from .reading import Reading
from .searching import search

SECONDS = 1.0
"""Of the search on one tier, and of that for the paper's formulation; counted, so that it is the same everywhere."""

_UNFOUND = f"nothing found in {SECONDS:.0f} s"


def baselines(problem: Problem, without: Iterable[str] = ()) -> tuple[Baseline, ...]:
    """Each with its objective, or why it has none; nothing where there is no more than one choice. Those of one tier
    only where there are several. SolverMissingError as of `search`."""
    dropped = tuple(without)
    found: list[Baseline] = []
    if combinations(Reading(problem, dropped)) < 2:
        return ()
    tiers = [tier for tier in problem.tiers if not tier.endpoint]
    if len(problem.tiers) > 1:
        alone = {tier.name: on_one(problem, tier.name, dropped) for tier in problem.tiers}
        quickest = min(alone, key=lambda tier: _quickness(problem, tier))
        cheapest = min(tiers or problem.tiers, key=lambda tier: tier.dollars.value).name
        values = {name: each.objective for name, each in alone.items() if each.objective is not None}
        best = min(values, key=lambda name: values[name], default=quickest)
        words: dict[str, list[str]] = {}
        for how, name in (("quickest", quickest), ("best", best if values else ""), ("cheapest", cheapest)):
            words.setdefault(name, []).append(how)
        found += [
            replace(alone[name], name=f"all on the {' and '.join(how)} tier, {name}")
            for name, how in words.items()
            if name
        ]
    found += [greedy(problem, dropped), formulation(problem, dropped)]
    return tuple(found)


def _places(problem: Problem, stage: int, tier: str) -> list[int]:
    """A stage's options on a tier, or all of them where it has none there."""
    tiers = {pool.name: pool.tier for pool in problem.pools}
    options = problem.stages[stage].options
    return [place for place, option in enumerate(options) if tiers[option.pool] == tier] or list(range(len(options)))


def on_one(problem: Problem, tier: str, without: tuple[str, ...] = ()) -> Baseline:
    """The best objective with everything on a tier that can be there."""
    stages = tuple(
        replace(stage, options=tuple(stage.options[place] for place in _places(problem, number, tier)))
        for number, stage in enumerate(problem.stages)
    )
    found = search(replace(problem, stages=stages), without=without, seconds=SECONDS, steady=True)
    if found.outcomes:
        return Baseline(tier, found.outcomes[0].objective)
    why = "no choice there keeps the goal" if found.status == INFEASIBLE else _UNFOUND
    return Baseline(tier, None, why)


def _quickness(problem: Problem, tier: str) -> float:
    return sum(
        stage.executions * min(stage.options[place].seconds for place in _places(problem, number, tier))
        for number, stage in enumerate(problem.stages)
    )


def greedy(problem: Problem, without: tuple[str, ...] = ()) -> Baseline:
    """Stage by stage, the dearest first, without a look back: see `one_by_one`."""
    name, reading = "stage by stage", Reading(problem, without)
    options = chosen_greedily(reading) if all(reading.allowed) else None
    if options is None:
        return Baseline(name, None, "finds a stage that goes nowhere beside those before it")
    return _with_replicas(name, reading, options)


def formulation(problem: Problem, without: tuple[str, ...] = ()) -> Baseline:
    """The options with the least price whose medians keep the latencies: a device is paid by the part of it that is
    used, and nobody waits. So the paper's optimisation decides; it knows no whole replicas, no lines and no tails."""
    name, reading = "the paper's formulation", Reading(problem, without)

    def priced(stage: int, place: int, option: Option) -> Option:
        return replace(option, dollars=price_of(reading, stage, place), busy=0.0, noise=0.0)

    nothing = tuple(replace(tier, dollars=replace(tier.dollars, value=0.0), low=0, high=MANY) for tier in problem.tiers)
    means = replace(
        problem,
        stages=tuple(
            replace(stage, options=tuple(priced(at, place, each) for place, each in enumerate(stage.options)))
            for at, stage in enumerate(problem.stages)
        ),
        tiers=nothing,
        promises=tuple(replace(each, percentile=50.0) for each in problem.promises if each.kind != "rate"),
        rate=None,
    )
    found = search(means, without=without, seconds=SECONDS, steady=True)
    if not found.choices:
        none = "nothing keeps the latencies even at their medians"
        return Baseline(name, None, none if found.status == INFEASIBLE else _UNFOUND)
    return _with_replicas(name, reading, found.choices[0].options)


def _with_replicas(name: str, reading: Reading, options: tuple[int, ...]) -> Baseline:
    """What options come to with the replicas that they need."""
    found = trial(reading, options)
    if not found.replicas:
        return Baseline(name, None, "puts apart what has to be in one pool")
    try:
        outcome = evaluate(reading.problem, found.choice, reading.dropped)
    except ValueError:
        return Baseline(name, None, "puts apart what has to be in one pool")
    return (
        Baseline(name, outcome.objective) if outcome.holds else Baseline(name, None, _misses(reading.problem, outcome))
    )


def _misses(problem: Problem, outcome: Outcome) -> str:
    texts = {each.name: each.text for each in problem.requirements}
    broken = list(dict.fromkeys(texts.get(each.requirement) or each.requirement for each in outcome.broken))
    return f"misses {', '.join(f'`{each}`' for each in broken[:2])}" + (" and more" if len(broken) > 2 else "")
