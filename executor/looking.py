"""What a shell is doing right now, for those who look at it now and then. Whoever looks may be another thread: what is
found is a moment's, and of two stages the numbers may be a step apart."""

from __future__ import annotations

from dataclasses import dataclass

from .machine import Machine


@dataclass(frozen=True, slots=True)
class Standing:
    """An execution of a stage that has not ended: `items` that it has made, of which `waiting` were not read by all who
    read them; `held` says that it may make no more until they are. `tier` is None where there is only one."""

    run: int
    number: int
    stage: str
    entry: str
    tier: str | None
    items: int
    waiting: int
    held: bool


@dataclass(frozen=True, slots=True)
class RunStanding:
    """A run that has not ended: since when it runs, and until when it has time by its timeout and by what was promised,
    both on the shell's clock. `unread` of its items wait for the caller."""

    run: int
    pipeline: str
    started: float
    until: float | None
    unread: int


@dataclass(frozen=True, slots=True)
class Look:
    at: float
    runs: tuple[RunStanding, ...]
    stages: tuple[Standing, ...]


def look(machine: Machine, now: float) -> Look:
    """What stands in the machine. Takes a microsecond or two for each stage that runs."""
    tier = machine.deployment.graph.tier
    runs: list[RunStanding] = []
    for run in list(machine.runs.values()):
        ends: list[float] = []
        if run.timeout is not None:
            ends.append(run.times.started + run.timeout)
        if run.dues is not None and (limit := run.dues.limit) is not None:
            ends.append(limit)
        port = run.output
        unread = 0 if port is None else port.reader.position - port.reader.taken
        name = run.prepared.pipeline.name
        runs.append(RunStanding(run.number, name, run.times.started, min(ends, default=None), unread))
    stages: list[Standing] = []
    for started in list(machine.stages.values()):
        channel, operation = started.channel, started.operation
        waiting = 0
        if channel is not None and not channel.abandoned:
            waiting = len(channel.items) if channel.drops else max(0, channel.bound - channel.room())
        entry = "" if operation is None else str(operation.attributes.get("entry") or operation.name)
        stages.append(
            Standing(
                *(started.run.number, started.number, started.name, entry, tier),
                *(started.items, waiting, started.held),
            )
        )
    return Look(now, tuple(runs), tuple(stages))
