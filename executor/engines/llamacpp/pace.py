"""How many threads take a step. The library's threads wait for each other by spinning, many times a step: where another
program has one of the cores, all cores are twenty times slower than one, which no caller should have to know.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter

_TRIED = 3
_ALONE = 256  # steps


class Pace:
    """Chooses between `most` threads and one, by what steps took. `use` sets the number for the steps that follow."""

    def __init__(self, most: int, use: Callable[[int], None]) -> None:
        self._most = most
        self._use = use
        self._alone = 0
        self._best: dict[int, float] = {}
        use(most)

    @property
    def threads(self) -> int:
        return 1 if self._alone else self._most

    def try_out(self, step: Callable[[], None]) -> None:
        """Take some equal steps with one thread and with all, and begin with what was faster."""
        if self._most == 1:
            return
        took: dict[int, float] = {}
        for threads in (1, self._most):
            self._use(threads)
            step()
            took[threads] = median(_timed(step) for _ in range(_TRIED))
        if took[1] < took[self._most]:
            self._leave()

    def after(self, tokens: int, seconds: float) -> None:
        """A step of so many tokens took so long."""
        if self._most == 1:
            return
        if self._alone:
            self._alone -= 1
            if not self._alone:
                self._use(self._most)
            return
        size = tokens.bit_length()
        best = self._best[size] = min(seconds, self._best.get(size, seconds))
        if seconds > 2 * self._most * best:
            self._leave()

    def _leave(self) -> None:
        self._alone = _ALONE
        self._use(1)


def _timed(step: Callable[[], None]) -> float:
    began = perf_counter()
    step()
    return perf_counter() - began
