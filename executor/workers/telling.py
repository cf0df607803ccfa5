"""What happens on a worker, told to its coordinator: to the observers of who watches the run, and which calls are
through."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from .. import observers as watch
from ..observers import Observer

_PAUSE = 0.02  # seconds for which events are gathered
_MOST = 256

Events = tuple[tuple[Any, ...], ...]


class Telling(Observer):
    """The observer of a worker's shell. `send` gets what is to be told, `whole` knows the run that one of the shell's
    runs is a part of."""

    def __init__(self, send: Callable[[Events], None], whole: Callable[[int], int | None]) -> None:
        self._send = send
        self._whole = whole
        self._events: list[tuple[Any, ...]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._observed: set[int] = set()
        self._alone: dict[int, frozenset[str]] = {}

    def observe(self, run: int, observed: bool, alone: frozenset[str]) -> None:
        """Tell of this run: everything where it is observed, and of the calls in `alone` when they are through."""
        if observed:
            self._observed.add(run)
        if alone:
            self._alone[run] = alone

    def forget(self, run: int) -> None:
        self._observed.discard(run)
        self._alone.pop(run, None)

    def flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._events:
            now = asyncio.get_running_loop().time()
            events, self._events = self._events, []
            self._send(tuple((kind, now - at, *fields) for kind, at, *fields in events))

    def _add(self, kind: str, at: float, *fields: Any) -> None:
        self._events.append((kind, at, *fields))
        if len(self._events) >= _MOST:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PAUSE, self.flush)

    # --- what the shell tells ---

    def handle_opening(self, event: watch.HandleOpening) -> None:
        self._add("opening", event.at, event.name)

    def handle_ready(self, event: watch.HandleReady) -> None:
        self._add("ready", event.at, event.name, event.failed)

    def stage_started(self, event: watch.StageStarted) -> None:
        run = self._whole(event.run)
        if run is not None and run in self._observed:
            self._add("started", event.at, run, event.number, event.stage, event.index, event.entry)

    def first_item(self, event: watch.FirstItem) -> None:
        run = self._whole(event.run)
        if run is not None and run in self._observed:
            self._add("first", event.at, run, event.number, event.stage)

    def stage_over(self, event: watch.StageOver) -> None:
        run = self._whole(event.run)
        if run is None:
            return
        observed = run in self._observed
        if observed or (event.how == "ended" and event.stage in self._alone.get(run, ())):
            self._add(
                "over", event.at, run, event.number, event.stage, event.how, event.items, dict(event.usage), observed
            )


class Retelling:
    """The other end: tells a coordinator's observers what its workers saw, with the numbers of home's runs."""

    def __init__(
        self,
        observers: Iterable[Observer],
        home: Callable[[int], int | None],
        through: Callable[[int, str], None],
        now: Callable[[], float],
    ) -> None:
        self._watchers = watch.Watchers(observers)
        self._home = home
        self._through = through
        self._now = now

    def __bool__(self) -> bool:
        return bool(self._watchers)

    def tell(self, index: int, events: Events) -> None:
        """`index` tells workers apart. ValueError, TypeError for what no worker sends."""
        now = self._now()
        for kind, ago, *fields in events:
            self._one(index, str(kind), now - float(ago), fields)

    def _one(self, index: int, kind: str, at: float, fields: list[Any]) -> None:
        tell = self._watchers.tell
        if kind == "opening":
            (name,) = fields
            opening = watch.HandleOpening(str(name), at)
            tell(lambda o: o.handle_opening(opening))
            return
        if kind == "ready":
            name, failed = fields
            ready = watch.HandleReady(str(name), at, bool(failed))
            tell(lambda o: o.handle_ready(ready))
            return
        whole, number, stage, *rest = fields
        if kind == "over" and rest[0] == "ended":
            self._through(int(whole), str(stage))
        run = self._home(int(whole))
        if run is None:
            return
        # Above the numbers of home's own executions.
        number = ((index + 1) << 32) + int(number)
        if kind == "started":
            turn, entry = rest
            started = watch.StageStarted(run, number, str(stage), tuple(turn), str(entry), at)
            tell(lambda o: o.stage_started(started))
        elif kind == "first":
            first = watch.FirstItem(run, number, str(stage), at)
            tell(lambda o: o.first_item(first))
        elif kind == "over":
            how, items, usage, observed = rest
            if observed:
                over = watch.StageOver(run, number, str(stage), how, int(items), usage, at)
                tell(lambda o: o.stage_over(over))
        else:
            raise ValueError(kind)
