"""In the manner of Splitwise (Patel et al. 2024): two pools, one for prompts and one for replies, each of one kind of
device; all kinds and sizes of both are tried. With the same kind on both sides this is its homogeneous cluster.

Other stages go where the prompts are: into their pool, or to another pool of those devices, or of those of the replies.
They have no other place.
"""

from __future__ import annotations

from itertools import product
from math import inf

from agentlang.planner.space.evaluate import Outcome
from agentlang.planner.space.problem import Choice, Problem, Stage

from .shared import Answer, allowed, replicated


def splitwise(problem: Problem, homogeneous: bool = False) -> Answer:
    name = "two pools of one device (Splitwise)" if homogeneous else "two pools (Splitwise)"
    best: tuple[Choice, Outcome] | None = None
    quickest = [_quickest(problem, stage) for stage in problem.stages]
    tiers = {pool.name: pool.tier for pool in problem.pools}
    replying = ["decode" in stage.name or "transfer" in stage.name for stage in problem.stages]
    # A side is a pool that a model's own stage runs in.
    sides = [
        [
            pool
            for pool in problem.pools
            if any(
                pool.name in places
                for stage, places in zip(problem.stages, quickest, strict=True)
                if stage.name.endswith(main)
            )
        ]
        for main in ("prefill", "decode")
    ]
    for prompts, replies in product(*sides):
        if homogeneous and prompts.tier != replies.tier:
            continue
        options: list[int] = []
        for places, late in zip(quickest, replying, strict=True):
            own = (replies, prompts) if late else (prompts, replies)
            place = places.get(own[0].name)
            if place is None:
                near = [at for tier in own for pool, at in places.items() if tiers[pool] == tier.tier]
                place = near[0] if near else None
            if place is None:
                break
            options.append(place)
        if len(options) < len(problem.stages):
            continue
        held = replicated(problem, tuple(options), best[1].objective if best else inf)
        if held and (best is None or held[1].objective < best[1].objective):
            best = held
    return Answer(name, best[1].dollars, *best) if best else Answer(name, None, said="none keeps the promises")


def _quickest(problem: Problem, stage: Stage) -> dict[str, int]:
    """By pool, the place of the quickest option of a stage."""
    found: dict[str, int] = {}
    for place in allowed(problem, stage):
        pool = stage.options[place].pool
        if pool not in found or stage.options[place].busy < stage.options[found[pool]].busy:
            found[pool] = place
    return found
