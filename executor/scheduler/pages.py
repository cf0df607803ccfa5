"""Pages of KV cache: which are free. What lies in the others, the prefix tree and the sequences know.

A page number is an index into the arrays that an engine holds for the whole of its run.
"""

from __future__ import annotations


class Pages:
    """The free ones among `count` pages."""

    def __init__(self, count: int) -> None:
        self.count = count
        # The last one given back is taken first: it may still be in the processor's cache.
        self._free = list(reversed(range(count)))
        self._is_free = bytearray(b"\1" * count)

    @property
    def free(self) -> int:
        return len(self._free)

    def take(self) -> int:
        """Raises IndexError if none is free."""
        page = self._free.pop()
        self._is_free[page] = 0
        return page

    def give(self, page: int) -> None:
        if self._is_free[page]:
            raise ValueError(f"page {page} is free already")
        self._is_free[page] = 1
        self._free.append(page)
