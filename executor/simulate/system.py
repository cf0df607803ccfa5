"""What is simulated: a problem with a choice, and the spread of its times.

Two things make a time differ from its prediction. Noise: each execution is log-normal around its median, with the sigma
of its option. Error: the prediction itself may be wrong; each stage gets one factor for the whole simulation, drawn
log-normal with the relative error of its prediction as sigma. `error` scales the latter; without it (0) a simulation
says what queues do to the numbers that a plan believes in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import exp, log1p
from random import Random

from ...planner.space.evaluate import Outcome, evaluate, transfer
from ...planner.space.problem import Choice, Edge, Link, Option, Pool, Problem


@dataclass(frozen=True)
class System:
    """See the module. ValueError where an option's pool has no replica."""

    problem: Problem
    choice: Choice
    error: float = 1.0

    def __post_init__(self) -> None:
        for name, option in self.taken.items():
            if self.replicas[option.pool] < 1:
                raise ValueError(f"stage {name} is in pool {option.pool}, which has no replica")
        if not self.error >= 0.0:
            raise ValueError("the scale of errors cannot be negative")

    @cached_property
    def taken(self) -> Mapping[str, Option]:
        """The option of each stage."""
        pairs = zip(self.problem.stages, self.choice.options, strict=True)
        return {stage.name: stage.options[place] for stage, place in pairs}

    @cached_property
    def executions(self) -> Mapping[str, float]:
        return {stage.name: stage.executions for stage in self.problem.stages}

    @cached_property
    def pools(self) -> Mapping[str, Pool]:
        """The pools that are used."""
        used = {option.pool for option in self.taken.values()}
        return {pool.name: pool for pool in self.problem.pools if pool.name in used}

    @cached_property
    def replicas(self) -> Mapping[str, int]:
        return {pool.name: count for pool, count in zip(self.problem.pools, self.choice.replicas, strict=True)}

    @cached_property
    def outcome(self) -> Outcome:
        """What the bounds of a search say of the choice."""
        return evaluate(self.problem, self.choice)

    @cached_property
    def crossing(self) -> Mapping[int, tuple[Edge, Link]]:
        """Edges whose value passes a link, by their numbers."""
        out: dict[int, tuple[Edge, Link]] = {}
        for number, edge in enumerate(self.problem.edges):
            left, right = self.taken[edge.source].pool, self.taken[edge.target].pool
            link = self.problem.link(self.pools[left].tier, self.pools[right].tier)
            if left != right and link is not None:
                out[number] = (edge, link)
        return out

    @cached_property
    def moving(self) -> Mapping[int, float]:
        """Seconds of one transfer of an edge that passes a link."""
        return {number: transfer(edge, link) for number, (edge, link) in self.crossing.items()}

    @cached_property
    def dollars_a_second(self) -> float:
        """Of all devices that are paid for."""
        return sum(tier.dollars.value * self.outcome.devices[tier.name] for tier in self.problem.tiers)

    @cached_property
    def dollars_a_run(self) -> float:
        """What is paid beside the devices."""
        options = sum(self.executions[name] * option.dollars for name, option in self.taken.items())
        return options + sum(edge.bytes * edge.moves * link.dollars for edge, link in self.crossing.values())

    def drawn_errors(self, seed: int) -> Mapping[str, float]:
        """By stage, what all its times are multiplied by."""
        draw = Random(f"errors {seed}")
        out: dict[str, float] = {}
        for name, option in self.taken.items():
            time = option.time
            relative = (time.high - time.value) / time.value if time.value > 0.0 else 0.0
            out[name] = exp(draw.gauss(0.0, 1.0) * log1p(max(0.0, relative)) * self.error)
        return out
