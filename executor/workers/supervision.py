"""What a supervisor is told and what it orders; see `supervising`."""

from __future__ import annotations

from collections.abc import Mapping

from ..messages import message

# --- events ---


@message
class Wanted:
    """So many instances of a tier are to be there."""

    at: float
    tier: str
    count: int


@message
class Joined:
    at: float
    name: str


@message
class Gone:
    """A worker ended, fell silent, or could not be started. `forever`: another would do the same."""

    at: float
    name: str
    forever: bool = False


@message
class Begun:
    """A run is to begin, or to begin again. `replayable`: what it was given can be given again."""

    at: float
    run: int
    tiers: tuple[str, ...]
    replayable: bool = True


@message
class Given:
    """Something of the run has left to its caller."""

    at: float
    run: int


@message
class Acted:
    """A call of the run may have acted on the world."""

    at: float
    run: int


@message
class RunOver:
    at: float
    run: int


@message
class Drain:
    """This instance is to go when its runs are through; no other comes for it."""

    at: float
    tier: str
    instance: int


@message
class Replace:
    """Another worker takes the place of this instance, without losing a run."""

    at: float
    tier: str
    instance: int


@message
class Fired:
    """The time of `SetTimer` has come."""

    at: float


Event = Wanted | Joined | Gone | Begun | Given | Acted | RunOver | Drain | Replace | Fired


# --- orders ---


@message
class Launch:
    name: str
    tier: str
    instance: int


@message
class Stop:
    """It has no runs: let it end."""

    name: str


@message
class StartRun:
    """`workers` are those that have the parts of its tiers. A tier that is in `without` has none and will have none."""

    run: int
    workers: Mapping[str, str]
    without: tuple[str, ...] = ()


@message
class Redo:
    """Stop what there is of the run, and begin it again (`Begun`) when that is over."""

    run: int


@message
class Lose:
    """The part of the run on this tier is lost."""

    run: int
    tier: str


@message
class GivenUp:
    """No worker of this instance gets ready."""

    tier: str
    instance: int


@message
class Went:
    """A worker that was to go was told to. `replaced` by another, or drained."""

    tier: str
    instance: int
    replaced: bool


@message
class SetTimer:
    """Send `Fired` at this time; an earlier order still holds."""

    at: float


Order = Launch | Stop | StartRun | Redo | Lose | GivenUp | Went | SetTimer
