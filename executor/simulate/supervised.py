"""When a worker that ended is started again, as the supervisor of real workers does it (`workers.supervising`)."""

from __future__ import annotations

from ..workers.supervising import PAUSES, STEADY


class Restarts:
    """Of one instance."""

    def __init__(self) -> None:
        self._failures = 0
        self._ready = 0.0

    def ended(self, now: float) -> float:
        """Seconds until it is launched again."""
        if now - self._ready >= STEADY:
            self._failures = 0
        self._failures += 1
        return PAUSES[min(self._failures, len(PAUSES)) - 1]

    def ready(self, now: float) -> None:
        """It serves again."""
        self._ready = now
