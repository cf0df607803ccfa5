"""A run's own time: it begins at 0, and stands still while nobody runs the run."""

from __future__ import annotations

from ..clock import Clock


class RunClock:
    """Goes on from `start` seconds as `inner` goes, from when it is first asked; one that is `held`, from `go` on."""

    def __init__(self, inner: Clock, start: float = 0.0, held: bool = False) -> None:
        self._inner = inner
        self._start = start
        self._held = held
        self._shift: float | None = None

    def go(self) -> None:
        self._held = False

    def now(self) -> float:
        if self._shift is None:
            if self._held:
                return self._start
            self._shift = self._start - self._inner.now()
        return self._inner.now() + self._shift

    def outer(self, at: float) -> float:
        """A time of this clock on the clock that everything else goes by."""
        return at - self.shift

    @property
    def shift(self) -> float:
        """How far this clock is ahead of that."""
        self.now()
        assert self._shift is not None
        return self._shift

    async def sleep_until(self, at: float) -> None:
        await self._inner.sleep_until(self.outer(at))
