"""What the scheduler is told. `at` is the time in seconds on the engine's clock: the scheduler has no other.

Sequences are numbers that the engine gives out, each used once. An event about a sequence that is gone is ignored,
because a cancellation and an end may cross on their way.
"""

from __future__ import annotations

from collections.abc import Hashable

from ..messages import message


@message
class Arrived:
    """A new sequence, and the tokens of its prompt, which are to be computed.

    `most` is how many tokens may be appended to it; where that is not known yet, 0. `deadline` is the time by which
    it should be over. A `strict` one is refused once that cannot be, instead of being served late. `tenant` is who is
    treated fairly against whom: a user, a session. Sequences of different `scope` never share a page, whatever their
    tokens. `prefix` is a sequence of the same scope that may begin alike: beginnings are found without it, except for
    the page that the other one is filling, which is copied.

    What is computed for a `private` one is never put on the disk.

    In place of `tokens` there may be only their number, `length`, and `keys`, one for each full page: equal keys
    behind equal keys are equal tokens. That is what recorded traces hold.
    """

    at: float
    sequence: int
    tokens: tuple[int, ...] = ()
    most: int = 0
    deadline: float | None = None
    strict: bool = False
    tenant: str = ""
    scope: str = ""
    prefix: int | None = None
    length: int | None = None
    keys: tuple[Hashable, ...] = ()
    private: bool = False


@message
class Extended:
    """More tokens of a sequence, which are to be computed: one to decode, several where text is given, as a tool's
    result or what a schema leaves no choice about. `count` counts them where the tokens themselves are not told."""

    at: float
    sequence: int
    tokens: tuple[int, ...] = ()
    count: int | None = None


@message
class StepWanted:
    """The device is free. The answer ends with a `Step` if there is anything to compute, and there is none only then.

    Asked for, because an engine may have more events to tell before it looks for work: requests that come together
    shall run together.
    """

    at: float


@message
class StepDone:
    """The step of that number has run. `extended` appends the tokens that it made, as `Extended` would."""

    at: float
    step: int
    extended: tuple[tuple[int, tuple[int, ...]], ...] = ()


@message
class StepFailed:
    """The step of that number has not run to its end. Nobody knows what is in its pages: its sequences are gone."""

    at: float
    step: int


@message
class Released:
    """Nobody needs the sequence any more. What it computed may serve later ones, unless it is not to be kept."""

    at: float
    sequence: int
    keep: bool = True


@message
class Cancelled:
    """As `Released`, for a sequence whose work is no longer wanted. A step that runs with it ends first."""

    at: float
    sequence: int


@message
class Priced:
    """What was measured, in seconds: of a token of a prompt, and of a page that is put away (`save`), brought back from
    memory (`load`), read from the disk (`read`)."""

    at: float
    prefill: float
    save: float = 0.0
    load: float = 0.0
    read: float = 0.0


@message
class Kept:
    """What is on the disk since another time, that used longest ago first."""

    at: float
    names: tuple[str, ...]


@message
class Fetched:
    """A page that was to be read is in memory, or is not to be had."""

    at: float
    name: str
    found: bool


@message
class Spoilt:
    """A page could not be written to the disk."""

    at: float
    name: str


Event = (
    Arrived | Extended | StepWanted | StepDone | StepFailed | Released | Cancelled | Priced | Kept | Fetched | Spoilt
)
