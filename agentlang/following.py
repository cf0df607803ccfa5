"""Workers that follow the load: each tier has as many as what comes needs, within the counts that it is given.

    async with coordinated(placing) as placed, following(placed, {"gpu": rule}):
        ...

What is wanted is for `executor.scaling` to say; here a coordinator is looked at every second, and grown or shrunk
(`Coordinator.resize`): a new worker is ready before it gets runs, and one that goes finishes those that it has.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from .executor.scaling import Rule, Scaling, Seen, Wanted

if TYPE_CHECKING:
    from .executor.workers.coordinator import Coordinator

EVERY = 1.0
"""Seconds between two looks."""


@dataclass
class Followed:
    """What `following` gives: what was wanted of each tier when that last changed."""

    said: list[Wanted] = field(default_factory=list[Wanted])


@asynccontextmanager
async def following(
    placed: Coordinator,
    rules: Mapping[str, Rule],
    *,
    told: Callable[[Wanted], None] | None = None,
    every: float = EVERY,
) -> AsyncGenerator[Followed]:
    """Follow the load until the block is left; what is there then stays. `rules` are by tier. KeyError for a tier that
    has no workers."""
    for tier in rules:
        placed.crews[tier]
    followed = Followed()
    async with anyio.create_task_group() as group:
        for tier, rule in rules.items():
            group.start_soon(_follow, placed, tier, rule, followed, told, every)
        yield followed
        group.cancel_scope.cancel()


async def _follow(
    placed: Coordinator,
    tier: str,
    rule: Rule,
    followed: Followed,
    told: Callable[[Wanted], None] | None,
    every: float,
) -> None:
    scaling, came = Scaling(rule), placed.came[tier]
    while True:
        await anyio.sleep(every)
        now, before = anyio.current_time(), came
        came, running, ready = placed.came[tier], placed.running(tier), len(placed.workers(tier))
        busy = min(running, ready * rule.slots)
        wanted = scaling.see(Seen(now, came - before, running - busy, busy, ready))
        if wanted.instances == ready:
            continue
        followed.said.append(wanted)
        if told is not None:
            told(wanted)
        # What grows is there when this returns, and what shrinks has gone: until then nothing else is wanted of it.
        await placed.resize(tier, wanted.instances)
