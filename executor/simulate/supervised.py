"""When a worker that ended is started again: at once, and later and later where it ends soon again."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """`first` seconds after it ended, twice that the next time, at most `most`; one that lived for `calm` seconds is
    forgiven."""

    first: float = 0.2
    most: float = 30.0
    calm: float = 60.0
    _pause: float = field(default=0.0, repr=False)
    _last: float = field(default=0.0, repr=False)

    def ended(self, now: float) -> float:
        """Seconds until it is started again."""
        if not self._pause or now - self._last >= self.calm:
            self._pause = self.first
        else:
            self._pause = min(self.most, self._pause * 2.0)
        self._last = now
        return self._pause
