"""What stands behind `with`: the policies as written, and what breakers, rates and caches remember from run to run.

All pure: time comes in as a number. One `Kept` per guard of a program lives as long as the machine.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from ...ir.graph import Operation
from .orders import HandleValue

if TYPE_CHECKING:
    from .guards import Alarm, Guard

_CACHED = 1024  # answers that one cache keeps; the one used longest ago goes first
_LONGEST_STREAM = 65_536  # items of a stream that is still cached


@dataclass(frozen=True, slots=True)
class Policies:
    """Times in seconds; see `lang.program.Policies`. `latest` is a buffer of 1 that drops."""

    timeout: float | None = None
    idle: float | None = None
    retries: int = 0
    backoff: float = 0.0
    hedge: float | None = None
    breaker: int | None = None
    breaker_pause: float = 0.0
    rate: float | None = None
    cache: float | None = None
    buffer: int | None = None
    drops: bool = False
    approve: bool = False


def policies_of(operation: Operation) -> Policies:
    given = operation.attributes

    def number(name: str) -> float | None:
        value = cast("float | None", given.get(name))
        return None if value is None else float(value)

    breaker, buffer = given.get("breaker"), given.get("buffer")
    return Policies(
        number("timeout"),
        number("idle"),
        cast(int, given.get("retries") or 0),
        number("backoff") or 0.0,
        number("hedge"),
        None if breaker is None else int(cast(int, breaker)),
        number("breaker_pause") or 0.0,
        number("rate"),
        number("cache"),
        None if buffer is None else int(cast(int, buffer)),
        given.get("drop") == "oldest",
        bool(given.get("approve")),
    )


def called(operation: Operation) -> str:
    """What the program calls under these policies, as it is written there: `find` where the guard holds `answer.find`,
    or the stages of a pipeline `answer.find.search`. Policies are no scopes, so these ids begin as the guard's does."""
    (region,) = operation.regions
    *inner, last = region.operations
    given = {value.id for value in last.operands}
    makers = [each for each in inner if any(value.id in given for value in each.results)] or inner[-1:]
    scope = operation.id.rpartition(".")[0] + "."
    for maker in makers:
        if maker.id.startswith(scope):
            return maker.id.removeprefix(scope).partition(".")[0]
    return operation.id


class Breaker:
    """Closed, until so many attempts in a row have failed; then open for the pause; then one attempt is let through,
    and what becomes of it decides."""

    __slots__ = ("_failures", "_most", "_opened", "_pause", "_trying")

    def __init__(self, most: int, pause: float) -> None:
        self._most = most
        self._pause = pause
        self._failures = 0
        self._opened: float | None = None
        self._trying = False

    def start(self, now: float) -> bool | None:
        """None if no attempt may start now; else whether it is the one that decides. The caller reports `ended`."""
        if self._opened is None:
            return False
        if self._trying or now < self._opened + self._pause:
            return None
        self._trying = True
        return True

    def ended(self, now: float, failed: bool | None, decides: bool) -> None:
        """An attempt is over; `failed` is None where it was stopped before it could tell."""
        if decides:
            self._trying = False
        elif self._opened is not None:
            return  # it started before the breaker opened
        if failed:
            self._failures += 1
            if decides or self._failures >= self._most:
                self._opened = now
        elif failed is not None:
            self._failures = 0
            self._opened = None


class Kept:
    """What one guard remembers: its breaker, when the next attempt may start and who waits for it, its answers, and for
    each call that is being made who waits for the answer of an equal one, in order."""

    __slots__ = ("_answers", "_next", "alarm", "breaker", "flights", "waiting")

    def __init__(self, policies: Policies) -> None:
        self.breaker = None if policies.breaker is None else Breaker(policies.breaker, policies.breaker_pause)
        self.waiting: list[Guard] = []
        self.flights: dict[object, dict[Guard, None]] = {}
        self.alarm: Alarm | None = None
        self._next = 0.0
        self._answers: OrderedDict[object, tuple[float, object]] = OrderedDict()

    def take(self, now: float, rate: float) -> float | None:
        """Takes the token of the next attempt. None if there is one, else the time when there will be."""
        if now < self._next:
            return self._next
        self._next = now + 1 / rate
        return None

    def answer(self, key: object, now: float) -> tuple[object] | None:
        found = self._answers.get(key)
        if found is None:
            return None
        if found[0] <= now:
            del self._answers[key]
            return None
        self._answers.move_to_end(key)
        return (found[1],)

    def keep(self, key: object, until: float, answer: object) -> None:
        if isinstance(answer, tuple) and len(cast("tuple[object, ...]", answer)) > _LONGEST_STREAM:
            return
        self._answers[key] = (until, answer)
        self._answers.move_to_end(key)
        if len(self._answers) > _CACHED:
            self._answers.popitem(last=False)


class Opaque(Exception):
    """A value that cannot be compared with that of another run, such as a KV cache."""


def canonical(value: object) -> object:
    """The value as something hashable that is equal for equal values only: 1, 1.0 and true differ. Raises `Opaque`."""
    if value is None or isinstance(value, str | bytes | HandleValue):
        return value
    if isinstance(value, bool | int | float):
        return (type(value).__name__, value)
    if isinstance(value, tuple | list):
        return ("list", *map(canonical, cast("tuple[object, ...]", value)))
    if isinstance(value, Mapping):
        entries = cast("Mapping[str, object]", value)
        return ("map", *((key, canonical(entries[key])) for key in sorted(entries)))
    raise Opaque
