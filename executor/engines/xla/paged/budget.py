"""How many pages of KV cache a model may have, and how they are had: by and by.

Zeroing memory costs half a second for a gigabyte on a CPU, and a short program needs little of it. So the pool of pages
begins small and grows eightfold when a page behind its end is written, up to the budget. Its sizes are the same in
every process, because each is compiled for.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

FIRST_TIER = 16
"""Pages to begin with."""
_GROWTH = 8
_SHARE = 0.25
"""Of the memory that is available when a model is loaded."""


@dataclass(frozen=True, slots=True)
class Budget:
    """`pages` of `page` positions, at most."""

    page: int
    pages: int

    def tier(self, pages: int) -> int:
        """How many pages the pool has that holds the first `pages`."""
        tier = min(FIRST_TIER, self.pages)
        while tier < pages:
            tier = min(_GROWTH * tier, self.pages)
        return tier


def page_size(context: int) -> int:
    """Positions in a page. Attention takes page by page: 128 cost 5 % more than a cache in one piece, smaller ones
    more. A short context has smaller ones, so that prompts can share their beginnings."""
    size = 16
    while size < 128 and size * 16 < context:
        size *= 2
    return size


def budget(context: int, rows: int, position_bytes: int, limit: float) -> Budget:
    """Pages for `rows` sequences of the whole `context`, as far as `limit` bytes hold them; at least for a quarter of
    one. A power of two, so that machines with about the same memory have pools of the same sizes."""
    page = page_size(context)
    one = -(-context // page)
    wanted = rows * one
    fits = max(int(limit / (position_bytes * page)), -(-one // 4), 2)
    pages = 1
    while 2 * pages <= min(wanted, fits):
        pages *= 2
    return Budget(page, pages)


def memory_limit(stats: dict[str, int] | None) -> float:
    """Bytes that pages may take: a quarter of what is available now on the device (`stats` as JAX tells them), or in
    this machine's memory."""
    if stats and "bytes_limit" in stats:
        return _SHARE * 2 * (stats["bytes_limit"] - stats.get("bytes_in_use", 0))
    return _SHARE * _available()


def _available() -> float:
    """Bytes that this machine has left."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024.0 * int(line.split()[1])
    with suppress(AttributeError, OSError, ValueError):
        return 0.5 * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 4.0 * 2**30
