"""Stages of a simulated run while they last: where they wait, what they take, when their items come."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from ...ir.graph import Operation
from ...planner.space.problem import Option
from .arrivals import Arrival
from .lines import Ticket
from .records import RunRecord
from .replicas import Request

Sizes = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Pieces:
    """Items that come together: the time of each."""

    times: list[float]


@dataclass(slots=True, eq=False)
class Cache:
    """What a prefill gives: the request whose tokens are computed, in its pool; None where it is no request, since the
    pool computes one prompt after another."""

    request: Request | None
    pool: str
    run: int


@dataclass(slots=True)
class SimulatedRun:
    """One run in the machine, where it has `number`, begun at `begun`. `again` names the fault for which it is done
    again as soon as it has stopped."""

    record: RunRecord
    sizes: Sizes
    keys: tuple[Hashable, ...]
    tenant: str
    stages: list[Execution] = field(default_factory=list["Execution"])
    caches: list[Cache] = field(default_factory=list[Cache])
    items: list[float] = field(default_factory=list[float])
    number: int = 0
    begun: float = 0.0
    arrival: Arrival | None = None
    again: str = ""


@dataclass(slots=True, eq=False)
class Execution:
    """One execution of a stage. It came at `came`, was in its pool's line from `asked`, served from `began`; its first
    item was there at `first`, it is over at `ended`. Of one that reads a stream, `came` is when its first item did and
    `last` when its last did. `bounded`: no `timeout` is written for it, so that a run gives it the deadline of every
    call. `instance` is where it is, of its pool, where it is in no slot."""

    number: int
    run: SimulatedRun
    operation: Operation
    option: Option | None
    factor: float
    came: float
    credits: int
    asked: float = 0.0
    began: float | None = None
    first: float | None = None
    ended: float | None = None
    last: float | None = None
    over: bool = False
    ticket: Ticket | None = None
    request: Request | None = None
    value: object = None
    backlog: deque[object] = field(default_factory=deque[object])
    closing: bool = False
    readers: set[int] = field(default_factory=set[int])
    main: int = 0
    queue: deque[tuple[int, Pieces]] = field(default_factory=deque[tuple[int, Pieces]])
    working: bool = False
    each: float = 0.0
    streams: bool = False
    bounded: bool = False
    instance: int | None = None

    @property
    def name(self) -> str:
        return self.operation.id
