"""Watching runs: progress, traces, journals and dashboards are observers, and the executor knows none of them.

An observer is a class with the methods that it wants; the rest do nothing. Methods are called in the event loop and
must not wait. One that raises is dropped and logged, for a display must not end a run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Literal

from .machine.orders import Outcome, Timings
from .messages import message

if TYPE_CHECKING:
    from .looking import Look

_LOG = logging.getLogger(__name__)


@message
class RunStarted:
    run: int
    pipeline: str
    at: float


@message
class HandleOpening:
    name: str
    at: float


@message
class HandleReady:
    """`failed`: it could not be opened."""

    name: str
    at: float
    failed: bool


@message
class StageStarted:
    """`number` tells executions apart; `index` says which turns of the enclosing loops this one belongs to."""

    run: int
    number: int
    stage: str
    index: tuple[int, ...]
    entry: str
    at: float


@message
class FirstItem:
    run: int
    number: int
    stage: str
    at: float


@message
class StageOver:
    """`items` that it made, where its result is a stream; `usage` as it counted."""

    run: int
    number: int
    stage: str
    how: Literal["ended", "failed", "stopped"]
    items: int
    usage: Mapping[str, float]
    at: float


@message
class RunOver:
    run: int
    outcome: Outcome
    usage: Mapping[str, float]
    timings: Timings
    at: float


class Observer:
    """Empty methods over small events; times are on the shell's clock, in seconds."""

    def opened(self, look: Callable[[], Look], /) -> None:
        """A shell is open; `look` says what it is doing, whenever and wherever it is called until that is closed."""

    def run_started(self, event: RunStarted, /) -> None: ...

    def handle_opening(self, event: HandleOpening, /) -> None: ...

    def handle_ready(self, event: HandleReady, /) -> None: ...

    def stage_started(self, event: StageStarted, /) -> None: ...

    def first_item(self, event: FirstItem, /) -> None: ...

    def stage_over(self, event: StageOver, /) -> None: ...

    def run_over(self, event: RunOver, /) -> None: ...


class Watchers:
    """The observers of one shell."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        self._observers = list(observers)

    def __bool__(self) -> bool:
        return bool(self._observers)

    def tell(self, call: Callable[[Observer], None]) -> None:
        for observer in tuple(self._observers):
            try:
                call(observer)
            except Exception:
                self._observers.remove(observer)
                _LOG.exception("an observer failed and hears no more: %r", observer)
