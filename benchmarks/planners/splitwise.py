"""In the manner of Splitwise (Patel et al. 2024): two pools, one for prompts and one for replies, each of one kind of
device; all kinds and sizes of both are tried. With the same kind on both sides this is its homogeneous cluster.

Other stages go where the prompts are, if they can; this planner has no other place for them.
"""

from __future__ import annotations

from itertools import product
from math import inf

from agentlang.planner.space.evaluate import Outcome
from agentlang.planner.space.problem import Choice, Problem

from .shared import Answer, allowed, replicated


def splitwise(problem: Problem, homogeneous: bool = False) -> Answer:
    name = "two pools of one device (Splitwise)" if homogeneous else "two pools (Splitwise)"
    best: tuple[Choice, Outcome] | None = None
    # By stage and pool, the quickest option.
    quickest: list[dict[str, int]] = []
    for stage in problem.stages:
        found: dict[str, int] = {}
        for place in allowed(problem, stage):
            pool = stage.options[place].pool
            if pool not in found or stage.options[place].busy < stage.options[found[pool]].busy:
                found[pool] = place
        quickest.append(found)
    for prompts, replies in product(problem.pools, repeat=2):
        if homogeneous and prompts.tier != replies.tier:
            continue
        wanted = [replies.name if "decode" in stage.name else prompts.name for stage in problem.stages]
        if any(pool not in places for pool, places in zip(wanted, quickest, strict=True)):
            continue
        options = tuple(places[pool] for pool, places in zip(wanted, quickest, strict=True))
        held = replicated(problem, options, best[1].objective if best else inf)
        if held and (best is None or held[1].objective < best[1].objective):
            best = held
    return Answer(name, best[1].dollars, *best) if best else Answer(name, None, said="none keeps the promises")
