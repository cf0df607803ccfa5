"""In the manner of Splitwise (Patel et al. 2024): two pools, one for prompts and one for replies, each of one kind of
device; all kinds and sizes of both are tried. With the same kind on both sides this is its homogeneous cluster.

Other stages go where the prompts are, if they can; this planner has no other place for them.
"""

from __future__ import annotations

from itertools import product

from agentlang.planner.space.evaluate import Outcome
from agentlang.planner.space.problem import Choice, Pool, Problem

from .shared import Answer, allowed, replicated


def splitwise(problem: Problem, homogeneous: bool = False) -> Answer:
    name = "two pools of one device (Splitwise)" if homogeneous else "two pools (Splitwise)"
    best: tuple[Choice, Outcome] | None = None
    pools = [pool for pool in problem.pools if any(o.pool == pool.name for s in problem.stages for o in s.options)]
    for prompts, replies in product(pools, repeat=2):
        if homogeneous and prompts.tier != replies.tier:
            continue
        options = _placed(problem, prompts, replies)
        found = replicated(problem, options) if options else None
        if found and (best is None or found[1].objective < best[1].objective):
            best = found
    return Answer(name, best[1].dollars, *best) if best else Answer(name, None, said="none keeps the promises")


def _placed(problem: Problem, prompts: Pool, replies: Pool) -> tuple[int, ...] | None:
    found: list[int] = []
    for stage in problem.stages:
        wanted = replies if "decode" in stage.name else prompts
        places = allowed(problem, stage)
        fitting = [place for place in places if stage.options[place].pool == wanted.name]
        if not fitting:
            return None
        found.append(min(fitting, key=lambda place, stage=stage: stage.options[place].busy))
    return tuple(found)
