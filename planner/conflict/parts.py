"""What a moment of a choice is made of: the stages, transfers and waiting lines that it is the sum of."""

from __future__ import annotations

from collections.abc import Iterable
from math import exp

from ..space.evaluate import evaluate, transfer, z_of
from ..space.nodes import Constant, Move, Take, critical, reached, values
from ..space.problem import Choice, Problem, Promise


def parts(
    problem: Problem, choice: Choice, promise: Promise, without: Iterable[str] = ()
) -> tuple[tuple[str, str, float], ...]:
    """`(what, where, seconds)`, the largest first, of a promise that is a moment: they add up to what it comes to.
    `what` is a stage, or `waiting`, or `a -> b` for a transfer; `where` is a tier, or a link."""
    taken = {stage.name: stage.options[place] for stage, place in zip(problem.stages, choice.options, strict=True)}
    places = {pool.name: pool.tier for pool in problem.pools}
    z = z_of(promise.percentile)

    def take(leaf: Take) -> float:
        option = taken[leaf.stage]
        return (option.first if leaf.first else option.seconds) * exp(z * option.noise) * leaf.times

    def move(leaf: Move) -> float:
        edge = problem.edges[leaf.edge]
        left, right = taken[edge.source].pool, taken[edge.target].pool
        link = problem.link(places[left], places[right])
        return 0.0 if left == right or link is None else leaf.times * transfer(edge, link)

    top = problem.promised(promise)
    seconds = values(problem.nodes, take, move)
    found: dict[tuple[str, str], float] = {}
    for leaf, factor in critical(problem.nodes, seconds, top):
        match leaf:
            case Take():
                key, value = (leaf.stage, places[taken[leaf.stage].pool]), take(leaf)
            case Move():
                edge = problem.edges[leaf.edge]
                left, right = places[taken[edge.source].pool], places[taken[edge.target].pool]
                key, value = (f"{edge.source} -> {edge.target}", f"{left} <-> {right}"), move(leaf)
            case Constant(value):
                key = ("everything else", "")
        found[key] = found.get(key, 0.0) + value * factor
    if promise.kind in problem.waits:
        waits = evaluate(problem, choice, without).waits
        visited = {
            taken[node.stage].pool for at in reached(problem.nodes, top) if isinstance(node := problem.nodes[at], Take)
        }
        for pool in visited:
            wait = waits.get((pool, promise.percentile), 0.0)
            key = ("waiting", places[pool])
            found[key] = found.get(key, 0.0) + wait
    ordered = sorted(found.items(), key=lambda item: -item[1])
    return tuple((what, where, value) for (what, where), value in ordered if value > 0.0)
