"""What is written down while runs go by: when each reached its moments, and what its time went into."""

from __future__ import annotations

from dataclasses import dataclass, field

Parts = dict[str, list[float]]
"""By stage, the seconds in service, in line and in transfer."""

SERVICE, LINE, TRANSFER = 0, 1, 2


def add(parts: Parts, stage: str, which: int, seconds: float) -> None:
    known = parts.get(stage)
    if known is None:
        known = parts[stage] = [0.0, 0.0, 0.0]
    known[which] += seconds


@dataclass(slots=True)
class RunRecord:
    """Of one run. `moments` are seconds from its arrival, by kind; `gaps` the seconds between items that left,
    by kind; `parts` what a moment's seconds consist of, by kind. `status` is how it ended, with the `reason` where it
    failed. It was done again `redone` times, for which `lost` seconds by what
    went wrong were for nothing, and faults ended `hit` of its stages."""

    number: int
    at: float
    moments: dict[str, float] = field(default_factory=dict[str, float])
    gaps: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    parts: dict[str, Parts] = field(default_factory=dict[str, Parts])
    status: str = ""
    reason: str = ""
    over: float = 0.0
    dollars: float = 0.0
    redone: int = 0
    lost: dict[str, float] = field(default_factory=dict[str, float])
    hit: int = 0


@dataclass(slots=True)
class PoolRecord:
    """Of one pool: slot-seconds that were used, how many executions it served, and the longest line. Of one that serves
    a model: its steps with the sequences in them (`rows`), and the tokens of its prompts with those that were cached;
    `busy_seconds` are then those of its steps."""

    busy_seconds: float = 0.0
    served: int = 0
    longest: int = 0
    steps: int = 0
    rows: int = 0
    prompts: int = 0
    cached: int = 0
