"""Who goes first.

Each sequence is *due* at a time that never changes: its deadline, or some patience after it came. Fairness moves that
back by what its tenant had: each tenant has a counter of the tokens computed for it (after the virtual token counter
of Sheng et al., "Fairness in Serving Large Language Models", 2024), and `fairness` seconds are added for each token
that it is ahead of the tenant that was served least. So tenants that had the same are served in order of their
deadlines, and one that had more waits for the others, but not for ever: whoever comes late enough is due behind it.

A tenant that comes, or comes back, starts no lower than the least of those that are there: nobody saves up a right to
the whole device by being idle.
"""

from __future__ import annotations

import heapq
from collections.abc import Generator, Mapping

from .sequences import Sequence

DECODE_COST = 2.0
"""What a decoded token counts, in tokens of a prompt: its step reads all weights for few tokens (as in the paper)."""


class _Tenant:
    __slots__ = ("counter", "open", "queue", "weight")

    def __init__(self, weight: float) -> None:
        self.weight = weight
        self.counter = 0.0
        self.open = 0
        """Sequences that are here."""
        self.queue: list[tuple[float, int, Sequence]] = []
        """A heap of those that wait: due, place, sequence. Some wait no longer."""


class Policy:
    """The order of sequences: those that wait, in queues by tenant, and those that run, by their `key`."""

    def __init__(self, fairness: float, weights: Mapping[str, float]) -> None:
        self._fairness = fairness
        self._weights = weights
        self._tenants: dict[str, _Tenant] = {}
        self._floor = 0.0
        """The least counter of those that were here when somebody was last."""
        self._places = 0
        self.waiting = 0
        """How many wait."""

    def joins(self, sequence: Sequence) -> None:
        """A sequence is here until it `leaves`."""
        self._lower()
        tenant = self._tenants.get(sequence.tenant)
        if tenant is None:
            tenant = self._tenants[sequence.tenant] = _Tenant(self._weights.get(sequence.tenant, 1.0))
        if not tenant.open:
            tenant.counter = max(tenant.counter, self._floor)
        tenant.open += 1

    def leaves(self, sequence: Sequence) -> None:
        self._lower()
        tenant = self._tenants[sequence.tenant]
        tenant.open -= 1
        if not tenant.open:
            tenant.queue.clear()
            # One that had no more than others is forgotten; it will be put there again if it comes back.
            for name in [name for name, t in self._tenants.items() if not t.open and t.counter <= self._floor]:
                del self._tenants[name]

    def served(self, sequence: Sequence, prefill: int, decode: int) -> None:
        """Tokens that are computed for it now."""
        tenant = self._tenants[sequence.tenant]
        tenant.counter += (prefill + DECODE_COST * decode) / tenant.weight

    def keys(self) -> dict[str, float]:
        """By tenant, the seconds that its sequences are moved back by."""
        self._lower()
        return {name: (t.counter - self._floor) * self._fairness for name, t in self._tenants.items() if t.open}

    def wait(self, sequence: Sequence) -> None:
        self._places += 1
        sequence.waiting = self._places
        heapq.heappush(self._tenants[sequence.tenant].queue, (sequence.due, sequence.number, sequence))
        self.waiting += 1

    def unwait(self, sequence: Sequence) -> None:
        """It waits no longer. Its entry goes when it is met."""
        sequence.waiting = None
        self.waiting -= 1

    def in_order(self, behind: Mapping[str, float]) -> Generator[tuple[float, Sequence], None, None]:
        """Those that wait, the first first, with their keys. What is passed over stays where it was."""
        heads: list[tuple[float, int, str]] = []
        passed: list[tuple[str, tuple[float, int, Sequence]]] = []
        for name, tenant in self._tenants.items():
            self._show(name, tenant, behind, heads)
        try:
            while heads:
                key, _, name = heapq.heappop(heads)
                tenant = self._tenants[name]
                entry = heapq.heappop(tenant.queue)
                passed.append((name, entry))
                yield key, entry[2]
                self._show(name, tenant, behind, heads)
        finally:
            for name, entry in passed:
                if entry[2].waiting is not None:
                    heapq.heappush(self._tenants[name].queue, entry)

    def _show(
        self, name: str, tenant: _Tenant, behind: Mapping[str, float], heads: list[tuple[float, int, str]]
    ) -> None:
        """Put the head of a tenant's queue among the heads."""
        while tenant.queue:
            due, number, sequence = tenant.queue[0]
            if sequence.waiting is not None:
                heapq.heappush(heads, (due + behind.get(name, 0.0), number, name))
                return
            heapq.heappop(tenant.queue)

    def _lower(self) -> None:
        here = [tenant.counter for tenant in self._tenants.values() if tenant.open]
        if here:
            self._floor = max(self._floor, min(here))
