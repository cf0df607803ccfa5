"""Replicas of a model on simulated accelerators, whose requests are recorded ones: the scheduler of the real engines
puts their steps together, the router of the real engines chooses among them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from agentlang.executor.routing import Policy
from agentlang.executor.scheduler import Settings
from agentlang.executor.simulate.clock import VirtualClock
from agentlang.executor.simulate.replicas import Request, Serving, rates_of
from agentlang.executor.simulate.steps import Modelled, StepTimes

from ..fit.rows import DEVICES, SHAPES
from .sessions import Session, Step


@dataclass(frozen=True, slots=True)
class Outcome:
    """Steps a second, seconds to first tokens in order, the share of prompts that was cached, and of requests the most
    that a replica had beside the fewest."""

    policy: str
    throughput: float
    first: tuple[float, ...]
    cached: float
    steps: int

    def percentile(self, share: float) -> float:
        return self.first[min(len(self.first) - 1, int(share * len(self.first)))]


@dataclass(frozen=True, slots=True)
class Fleet:
    """`replicas` of a model, each with memory for `tokens` positions of KV cache, and so many sessions at a time."""

    name: str
    times: StepTimes
    replicas: int
    tokens: int
    sessions: int
    rows: int = 32
    chunk: int = 2048
    host: int = 0
    """Positions that ordinary memory holds of what made way, for each replica."""
    copies: float = 0.0
    """Seconds to copy a position there or back."""

    def settings(self, page: int) -> Settings:
        pages = max(1, self.tokens // page)
        return Settings(
            pages=pages,
            page=page,
            rows=self.rows,
            tokens=self.chunk + self.rows,
            chunk=self.chunk,
            host=self.host // page,
        )


def llama(model: str, device: str, tensor: int = 1) -> StepTimes:
    group = DEVICES[device]
    return Modelled(SHAPES[model], type(group)(group.bandwidth, group.compute, group.attention, group.link, tensor))


def closed(fleet: Fleet, page: int, sessions: list[Session], policy: Policy, affinity: float = 1.0) -> Outcome:
    """So many sessions at any time: each step a while after the one before it is over, in which its tools run, and the
    next session when one is. That is what a fleet does in a second when it has always something to do. The first and
    the last tenth of the steps are not counted, when it fills up and empties."""
    clock = VirtualClock()
    most = fleet.tokens - 1
    serving = Serving(clock, fleet.replicas, fleet.settings(page), fleet.times, policy=policy, affinity=affinity)
    for replica in serving.replicas:
        rates = rates_of(fleet.times, fleet.settings(page))
        replica.price(rates.prefill, fleet.copies * page, fleet.copies * page)
    ends: list[float] = []
    firsts: list[tuple[float, float]] = []
    left = iter(sessions)

    def next_session() -> None:
        steps = next(left, None)
        if steps is not None:
            next_step(iter(steps))

    def next_step(steps: Iterator[Step]) -> None:
        step = next(steps, None)
        if step is None:
            next_session()
            return
        length = min(step.prompt, most - step.reply)
        request = Request(length, keys=step.keys[: length // page], expected=step.reply)
        came = clock.now

        def over() -> None:
            ends.append(clock.now)
            assert request.replica is not None
            request.replica.leave(request)
            clock.at(clock.now + step.tools, partial(next_step, steps))

        def computed() -> None:
            firsts.append((clock.now, clock.now - came))
            assert request.replica is not None
            if step.reply > 1:
                request.replica.reply(request, step.reply - 1)
            else:
                over()

        request.computed, request.ended = computed, over
        request.refused = lambda _: next_step(steps)
        serving.arrive(request)

    for _ in range(fleet.sessions):
        clock.at(0.0, partial(next_session))
    clock.run()
    tenth = len(ends) // 10
    throughput = (len(ends) - 2 * tenth - 1) / (ends[-1 - tenth] - ends[tenth])
    waits = sorted(seconds for at, seconds in firsts if ends[tenth] <= at <= ends[-1 - tenth])
    record = serving.record
    return Outcome(policy, throughput, tuple(waits), record.cached / record.prompts, len(ends))
