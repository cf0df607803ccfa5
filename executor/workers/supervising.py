"""What a coordinator decides: events in, orders out. No time, no processes and no connections of its own, so that a
simulation can kill what it likes.

A worker is launched for each instance that is wanted of a tier, and again when it is gone, after a pause that doubles.
A run begins when a worker of each of its tiers is ready. When one of its workers is gone, it is done again as a whole,
if that is safe: nothing of it has left to its caller, no call of it may have acted on the world, and what it was given
can be given again. Otherwise the part is lost, and the program decides. A worker that is to go gets no new runs, and
goes when it has none; one that is to be replaced, not before the other is ready.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from .supervision import (
    Acted,
    Begun,
    Drain,
    Event,
    Fired,
    Given,
    GivenUp,
    Gone,
    Joined,
    Launch,
    Lose,
    Order,
    Redo,
    Replace,
    RunOver,
    SetTimer,
    StartRun,
    Stop,
    Wanted,
    Went,
)

PAUSES = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before a worker is launched again, by how often it was gone in a row."""
HOPELESS = 6
"""Launches in a row that never got ready, after which a tier's instance is given up."""
STEADY = 10.0
"""Seconds for which a worker is ready until what was before is forgotten."""
REDONE = 3
"""How often one run is done again."""


@dataclass(slots=True)
class _Worker:
    name: str
    instance: int
    state: Literal["starting", "ready", "leaving"] = "starting"
    since: float = 0.0
    runs: set[int] = field(default_factory=set[int])
    follows: str | None = None
    """The worker whose place it takes."""


@dataclass(slots=True)
class _Tier:
    wanted: dict[int, float | None] = field(default_factory=dict[int, "float | None"])
    """By instance: when it is to be launched (None: it is there)."""
    workers: dict[str, _Worker] = field(default_factory=dict[str, _Worker])
    failures: dict[int, int] = field(default_factory=dict[int, int])
    """How often an instance was gone in a row."""
    given_up: set[int] = field(default_factory=set[int])

    @property
    def ready(self) -> list[_Worker]:
        return [worker for worker in self.workers.values() if worker.state == "ready"]

    @property
    def hopeless(self) -> bool:
        """Whether nobody is there and nobody will be."""
        coming = any(instance not in self.given_up for instance in self.wanted)
        return not coming and not any(worker.state != "leaving" for worker in self.workers.values())


@dataclass(slots=True)
class _Run:
    tiers: tuple[str, ...]
    replayable: bool
    begun: bool = False
    given: bool = False
    acted: bool = False
    again: int = 0
    redoing: bool = False
    workers: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def safe(self) -> bool:
        return self.replayable and not self.given and not self.acted and self.again < REDONE


Chooser = Callable[[str, Sequence[str]], str]
"""Which of the workers of a tier that are ready gets a run."""


class Supervisor:
    """`handle` is all of it. Without `choose`, a tier's workers take turns."""

    def __init__(self, choose: Chooser | None = None) -> None:
        self._tiers: dict[str, _Tier] = {}
        self._runs: dict[int, _Run] = {}
        self._choose = choose or self._in_turn
        self._turns: dict[str, int] = {}
        self._generation = 0

    def handle(self, event: Event) -> list[Order]:
        return list(self._handle(event))

    def instances(self, tier: str) -> Mapping[int, str]:
        """The workers of a tier that are ready, by instance."""
        known = self._tiers.get(tier)
        return {} if known is None else {worker.instance: worker.name for worker in known.ready}

    def _handle(self, event: Event) -> Iterator[Order]:
        match event:
            case Wanted():
                yield from self._wanted(event)
            case Joined():
                yield from self._joined(event)
            case Gone():
                yield from self._gone(event)
            case Begun():
                yield from self._begun(event)
            case Given() | Acted():
                run = self._runs.get(event.run)
                if run is not None:
                    run.given |= isinstance(event, Given)
                    run.acted |= isinstance(event, Acted)
            case RunOver():
                yield from self._over(event.run)
            case Drain():
                tier = self._tiers[event.tier]
                tier.wanted.pop(event.instance, None)
                for worker in [w for w in tier.workers.values() if w.instance == event.instance]:
                    yield from self._leave(event.tier, worker, replaced=False)
                yield from self._begin_those_that_wait()
            case Replace():
                for worker in self._tiers[event.tier].ready:
                    if worker.instance == event.instance:
                        yield self._launch(event.tier, event.instance, event.at, worker.name)
            case Fired():
                for name, tier in self._tiers.items():
                    for instance, due in tuple(tier.wanted.items()):
                        if due is not None and due <= event.at + 1e-6:
                            yield self._launch(name, instance, event.at)

    # --- workers ---

    def _wanted(self, event: Wanted) -> Iterator[Order]:
        tier = self._tiers.setdefault(event.tier, _Tier())
        missing = event.count - len(tier.wanted)
        number = 0
        while missing > 0:
            if number not in tier.wanted:
                tier.given_up.discard(number)
                yield self._launch(event.tier, number, event.at)
                missing -= 1
            number += 1
        for instance in sorted(tier.wanted, reverse=True)[: max(0, -missing)]:
            yield from self._handle(Drain(event.at, event.tier, instance))

    def _launch(self, name: str, instance: int, at: float, follows: str | None = None) -> Launch:
        tier = self._tiers[name]
        self._generation += 1
        worker = _Worker(f"{name}/{instance}.{self._generation}", instance, since=at, follows=follows)
        tier.workers[worker.name] = worker
        tier.wanted[instance] = None
        return Launch(worker.name, name, instance)

    def _joined(self, event: Joined) -> Iterator[Order]:
        name, worker = self._worker(event.name)
        if worker is None or worker.state != "starting":
            return
        worker.state, worker.since = "ready", event.at
        before = self._tiers[name].workers.get(worker.follows or "")
        if before is not None:
            yield from self._leave(name, before, replaced=True)
        yield from self._begin_those_that_wait()

    def _leave(self, tier: str, worker: _Worker, *, replaced: bool) -> Iterator[Order]:
        if worker.state != "leaving":
            worker.state = "leaving"
            yield Went(tier, worker.instance, replaced)
        if not worker.runs:
            yield from self._stop(tier, worker)

    def _stop(self, tier: str, worker: _Worker) -> Iterator[Order]:
        del self._tiers[tier].workers[worker.name]
        yield Stop(worker.name)

    def _gone(self, event: Gone) -> Iterator[Order]:
        name, worker = self._worker(event.name)
        if worker is None:
            return
        tier = self._tiers[name]
        del tier.workers[event.name]
        for number in sorted(worker.runs):
            run = self._runs[number]
            if run.redoing:
                continue
            if run.safe:
                run.redoing = True
                run.again += 1
                yield Redo(number)
            else:
                yield Lose(number, name)
        instance = worker.instance
        others = any(w.instance == instance and w.state != "leaving" for w in tier.workers.values())
        if instance in tier.wanted and not others:
            steady = worker.state == "ready" and event.at - worker.since >= STEADY
            failures = tier.failures[instance] = 1 if steady else tier.failures.get(instance, 0) + 1
            if event.forever or (failures >= HOPELESS and worker.state == "starting"):
                tier.given_up.add(instance)
                yield GivenUp(name, instance)
            else:
                due = event.at + PAUSES[min(failures, len(PAUSES)) - 1]
                tier.wanted[instance] = due
                yield SetTimer(due)
        yield from self._begin_those_that_wait()

    def _worker(self, name: str) -> tuple[str, _Worker | None]:
        for tier, known in self._tiers.items():
            if name in known.workers:
                return tier, known.workers[name]
        return "", None

    # --- runs ---

    def _begun(self, event: Begun) -> Iterator[Order]:
        run = self._runs.setdefault(event.run, _Run(event.tiers, event.replayable))
        yield from self._free(event.run)
        run.begun = run.redoing = False
        yield from self._begin_those_that_wait()

    def _begin_those_that_wait(self) -> Iterator[Order]:
        for number, run in tuple(self._runs.items()):
            if run.begun or run.redoing:
                continue
            without = tuple(tier for tier in run.tiers if tier not in self._tiers or self._tiers[tier].hopeless)
            there = [tier for tier in run.tiers if tier not in without]
            if not all(self._tiers[tier].ready for tier in there):
                continue
            run.begun = True
            run.workers = {tier: self._chosen(tier) for tier in there}
            for tier, worker in run.workers.items():
                self._tiers[tier].workers[worker].runs.add(number)
            yield StartRun(number, dict(run.workers), without)

    def _chosen(self, tier: str) -> str:
        return self._choose(tier, [worker.name for worker in self._tiers[tier].ready])

    def _in_turn(self, tier: str, names: Sequence[str]) -> str:
        turn = self._turns[tier] = self._turns.get(tier, -1) + 1
        return names[turn % len(names)]

    def _over(self, number: int) -> Iterator[Order]:
        yield from self._free(number)
        self._runs.pop(number, None)

    def _free(self, number: int) -> Iterator[Order]:
        """The run has no workers any more; those that only waited for it go."""
        run = self._runs.get(number)
        if run is None:
            return
        workers, run.workers = run.workers, {}
        for tier, name in workers.items():
            worker = self._tiers[tier].workers.get(name)
            if worker is not None:
                worker.runs.discard(number)
                if worker.state == "leaving" and not worker.runs:
                    yield from self._stop(tier, worker)
