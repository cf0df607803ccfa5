"""Where somebody speaks: a stream of likelihoods becomes turns, with a little before and behind each.

A turn begins where the likelihood is high enough for long enough, so that a click is none, and ends when it has been
low for `pause` seconds: people take breath within a sentence. It is given out at that moment and not at the end of the
stream. What is given begins `before` seconds earlier, for the first sound of a word is quiet, and ends `behind` seconds
after the last speech. Who speaks without a pause is cut at `longest`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Turns:
    """When it is a turn. Times in seconds, likelihoods from 0 to 1."""

    begins: float = 0.5
    ends: float = 0.35
    """Below `begins`, so that a likelihood between them changes nothing."""
    least: float = 0.2
    """What is shorter is no speech."""
    pause: float = 0.6
    before: float = 0.3
    behind: float = 0.2
    longest: float = 28.0
    """Within what a recogniser hears in one window."""


class Cutter:
    """Takes sound in steps of one length, in bytes, and says which bytes are a turn.

    `likely` says of a step how likely it is that somebody speaks in it; `seconds` is how long one lasts.
    """

    def __init__(self, likely: Callable[[bytes], float], seconds: float, turns: Turns | None = None) -> None:
        self._likely = likely
        turns = turns or Turns()
        self._turns = turns
        self._least = max(1, round(turns.least / seconds))
        self._pause = max(1, round(turns.pause / seconds))
        self._behind = min(round(turns.behind / seconds), self._pause)
        self._longest = max(self._least + 1, round(turns.longest / seconds))
        self._before: deque[bytes] = deque(maxlen=round(turns.before / seconds))
        self._held: list[bytes] = []
        self._spoken = 0
        self._quiet = 0

    @property
    def speaking(self) -> bool:
        """Whether somebody speaks, for long enough to be a turn."""
        return self._spoken >= self._least

    @property
    def spoken(self) -> bytes:
        """What there is of the turn that is being spoken."""
        return b"".join(self._held)

    def feed(self, step: bytes) -> bytes | None:
        """The turn that has just ended, or None."""
        likelihood = self._likely(step)
        if not self._held:
            if likelihood < self._turns.begins:
                self._before.append(step)
                return None
            self._held = [*self._before, step]
            self._before.clear()
            self._spoken, self._quiet = 1, 0
            return None
        self._held.append(step)
        if likelihood >= self._turns.ends:
            self._spoken += 1
            self._quiet = 0
            return self._given() if len(self._held) >= self._longest else None
        self._quiet += 1
        return self._given() if self._quiet >= self._pause else None

    def end(self) -> bytes | None:
        """The stream ended: the turn that was begun, or None."""
        return self._given() if self._held else None

    def _given(self) -> bytes | None:
        """End the turn. What came too short goes back to what may lie before the next one."""
        held, cut = self._held, max(0, self._quiet - self._behind)
        kept = held[: len(held) - cut]
        whole = self.speaking
        self._before.extend(held[len(kept) :] if whole else held)
        self._held, self._spoken, self._quiet = [], 0, 0
        return b"".join(kept) if whole else None
