"""Stages on the processor: between two moments at which a stage waits for something, nobody else runs. What it makes
and takes in between is told to the machine in one go when it waits, and not item by item.

An item lies here for as long as its stage goes on without waiting: at most `MOST` items or `LONGEST` seconds, and then
the stage lets others run. One that waits for each of its items (a model, a tool, a socket) has each told at once.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any

MOST = 64
"""Items that a stage makes in a row."""
LONGEST = 200e-6
"""Seconds after which it lets others run before it makes another, on the clock of the shell."""


class Turn:
    """What one stage has made and taken since it went on. `tell` is given both when it waits."""

    __slots__ = ("_began", "_now", "_tell", "going", "made", "taken", "waited")

    def __init__(self, now: Callable[[], float], tell: Callable[[list[object], dict[int, int]], None]) -> None:
        self._now = now
        self._tell = tell
        self._began = 0.0
        self.going = False
        self.waited = True  # for something else than an item to read or room for one: it may be time to stop
        self.made: list[object] = []
        self.taken: dict[int, int] = {}

    def in_a_row(self) -> bool:
        """Whether it may make another item before others run. Tasks that a stage has started make theirs one by one."""
        return (
            self.going
            and not self.waited
            and len(self.made) < MOST
            and (not self.made or self._now() - self._began < LONGEST)
        )

    def take(self, reader: int) -> bool:
        """It took an item. False where that is to be told by itself."""
        if self.going:
            self.taken[reader] = self.taken.get(reader, 0) + 1
        return self.going

    def begin(self) -> None:
        self.going = self.waited = True
        self._began = self._now()

    def end(self) -> None:
        self.going = False
        if self.made or self.taken:
            made, taken = self.made, self.taken
            self.made, self.taken = [], {}
            self._tell(made, taken)


class InTurns:
    """`await InTurns(coroutine, turn)` awaits the coroutine, and tells the turn when it goes on and when it waits."""

    __slots__ = ("_coroutine", "_turn")

    def __init__(self, coroutine: Coroutine[Any, Any, object], turn: Turn) -> None:
        self._coroutine = coroutine
        self._turn = turn

    def __await__(self) -> Generator[Any, Any, object]:
        coroutine, turn = self._coroutine, self._turn
        resume: Callable[[Any], Any] = coroutine.send
        given: Any = None
        while True:
            turn.begin()
            try:
                waits_for = resume(given)
            except StopIteration as over:
                return over.value
            finally:
                turn.end()
            try:
                given = yield waits_for
                resume = coroutine.send
            except BaseException as error:
                given, resume = error, coroutine.throw
