"""What a session tells whoever runs it: what the other side did, and what became of the connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from .problems import WireProblem


@dataclass(frozen=True, slots=True)
class Connected:
    """Both sides have said hello on this connection, and all that was under way goes on. `name` and `about` are what
    the other side says of itself; `resumed` tells a connection after the first."""

    name: str
    about: bytes
    resumed: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """The other side will write on a channel. `deadline` is the time left, in seconds."""

    channel: int
    name: str
    deadline: float | None
    trace: bytes | None
    about: bytes


@dataclass(slots=True)
class Came:
    """An item. Whoever has used it says `consumed`, which gives the writer credit."""

    channel: int
    form: int
    head: bytes
    body: bytes | memoryview
    deadline: float | None
    trace: bytes | None
    descriptors: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Dropped:
    """An item of an older epoch, or that nobody reads: what it holds is to be let go of."""

    item: Came


@dataclass(frozen=True, slots=True)
class Ended:
    """The last item came before this. `reason` is None for a good end."""

    channel: int
    reason: str | None = None
    about: bytes = b""


@dataclass(frozen=True, slots=True)
class Writable:
    """There is credit for a channel of ours that had none."""

    channel: int


@dataclass(frozen=True, slots=True)
class Roomy:
    """The other side has acknowledged: there is room again for frames that it has not."""


@dataclass(frozen=True, slots=True)
class WasReset:
    """The other end of a channel has dropped what is older than `epoch`, and so is this end to do."""

    channel: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Left:
    """Nobody reads a channel of ours any more; it is closed. `reason` is empty where all was read."""

    channel: int
    reason: str


@dataclass(frozen=True, slots=True)
class Freed:
    """Shared memory that the other side has done with."""

    segments: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Draining:
    """The other side opens no channels any more, and wants none."""


@dataclass(frozen=True, slots=True)
class Broken:
    """This connection is of no use any more; another one may go on."""

    problem: WireProblem


@dataclass(frozen=True, slots=True)
class Over:
    """The session is over; `problem` is None after a goodbye."""

    problem: WireProblem | None


Event: TypeAlias = (
    Connected | Opened | Came | Dropped | Ended | Writable | Roomy | WasReset | Left | Freed | Draining | Broken | Over
)
