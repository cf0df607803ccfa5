"""Pairs of devices: one kind prefills, one decodes, in integer groups that keep pace with each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor

from agentlang.planner.rates import hourly

from .sides import Request, Side, decode_side, entry, prefill_side

MOST = 32
"""Groups of a side: what a ratio of two rates is rounded with."""
CONVENTIONS = ("annuity", "capex", "rent", "paper", "column")
BASELINE = ("h100", "h100")


@dataclass(frozen=True, slots=True)
class Pair:
    """`groups` that prefill and that decode; `dollars` an hour of all their devices; `tokens` of replies a second."""

    prefill: Side
    decode: Side
    groups: tuple[int, int]
    dollars: float
    tokens: float

    @property
    def worth(self) -> float:
        """Tokens of replies a dollar."""
        return self.tokens * 3600.0 / self.dollars

    @property
    def devices(self) -> tuple[int, int]:
        return self.groups[0] * self.prefill.tensor, self.groups[1] * self.decode.tensor


def dollars(device: str, convention: str, printed: bool) -> float:
    """Of an hour. `column` is the operating cost as the paper's table has it, which is `paper` but for the H100."""
    of = entry(device, printed)
    if convention == "column":
        assert of.reported is not None  # the six have it
        return of.reported.operating
    return hourly(of, convention).value


def pair(request: Request, prefill: str, decode: str, times_of: str, prices: Mapping[str, float]) -> Pair | None:
    """The cheapest match of the best groups of both; None where a side has none."""
    first, second = prefill_side(request, prefill, times_of), decode_side(request, decode, times_of)
    if first is None or second is None:
        return None
    cost = first.tensor * prices[prefill], second.tensor * prices[decode]
    best: Pair | None = None
    for many in range(1, MOST + 1):
        exact = many * first.rate / second.rate
        for other in {min(MOST, max(1, floor(exact))), min(MOST, max(1, ceil(exact)))}:
            rate = min(many * first.rate, other * second.rate)
            made = Pair(first, second, (many, other), many * cost[0] + other * cost[1], rate * request.reply)
            # A larger deployment has to be worth it.
            if best is None or made.worth > 1.001 * best.worth:
                best = made
    return best
