"""What a scheduler has to work with, and what it is to care about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Settings:
    """Sizes are in tokens where nothing else is said."""

    pages: int
    """Pages of KV cache there are."""
    page: int = 16
    """Positions in a page."""
    rows: int = 16
    """The most sequences that one step advances."""
    tokens: int = 512
    """The most tokens that one step computes, over all sequences."""
    chunk: int = 512
    """The most of one sequence that one step computes: longer prompts are cut, so that others decode between."""
    queue: int | None = None
    """How many requests may wait for their first step; a further one is refused. None is no bound."""
    patience: float = 60.0
    """Seconds after its arrival that a request without a deadline is treated as due."""
    fairness: float = 0.001
    """Seconds by which each token that a tenant had beyond the least served one moves its requests back. 0 is order
    by deadline alone."""
    host: int = 0
    """Pages that ordinary memory holds of those that made way for others. 0 puts none away."""
    disk: int = 0
    """Pages that the disk holds of those. They go there, and come back, by way of the memory."""
    weights: Mapping[str, float] = field(default_factory=dict[str, float])
    """The share of a tenant, 1 where nothing is said: with 2 it is owed twice the tokens."""

    def __post_init__(self) -> None:
        if min(self.pages, self.page, self.rows, self.chunk) < 1:
            raise ValueError("pages, page, rows and chunk must be at least 1")
        if self.tokens < self.rows:
            raise ValueError("a step needs room for a token of each row")
        if self.queue is not None and self.queue < 0:
            raise ValueError("a queue cannot be shorter than none")
        if self.host < 0 or self.disk < 0 or (self.disk and not self.host):
            raise ValueError("pages reach the disk by way of the memory, and neither holds less than none")
        if not (self.patience >= 0 and self.fairness >= 0):
            raise ValueError("patience and fairness cannot be negative")
        if any(not weight > 0 for weight in self.weights.values()):
            raise ValueError("a tenant's weight must be above 0")

    @property
    def capacity(self) -> int:
        """The longest sequence that fits when it has all pages."""
        return self.pages * self.page

    def pages_for(self, tokens: int) -> int:
        return -(-tokens // self.page)
