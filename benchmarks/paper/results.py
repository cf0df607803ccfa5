"""All pairs of the six devices for all that the paper asks of them, and which of its orderings hold where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

from agentlang.planner.rates import conventions, hourly

from .pairs import BASELINE, CONVENTIONS, Pair, dollars, pair
from .sides import DEVICES, LENGTHS, MODELS, PRECISIONS, TIMES, TITLES, Request, as_printed, decode_side, prefill_side

ORDERED = (("b200", "gaudi3"), ("h100", "gaudi3"), ("b200", "b200"))
"""The pairs that the paper orders, beside its baseline."""
LEFT_OUT = (("gaudi3", "gaudi3"), ("mi300x", "mi300x"), ("gaudi3", "mi300x"))
"""Pairs that it does not show, of which more is to be said."""
ABOUT = 0.10
"""Two values are about equal that differ by no more."""
EQUAL = 0.02
"""Two values are as good as one: whole groups cost about as much."""


@dataclass(frozen=True, slots=True)
class Cell:
    """All pairs for one request, by one model of times and one convention. Their worth is tokens a dollar, of that of
    `base` (None, where no pair keeps the promise)."""

    request: Request
    times: str
    convention: str
    base: tuple[str, str] | None
    pairs: Mapping[tuple[str, str], Pair]

    def worth(self, one: tuple[str, str]) -> float | None:
        if self.base is None or one not in self.pairs:
            return None
        return self.pairs[one].worth / self.pairs[self.base].worth

    @property
    def best(self) -> tuple[str, str] | None:
        return max(self.pairs, key=lambda one: self.pairs[one].worth, default=None)


@dataclass(frozen=True, slots=True)
class Claims:
    """Which of the paper's orderings hold in a cell. `best_of_four`: none of its pairs is worth over 2 % more
    than B200::Gaudi3. `alike`: H100::Gaudi3 and B200::B200 differ by at most a tenth. `above`: both are worth more than
    H100::H100. `best_of_all`: as the first, of all 36 pairs of the six devices."""

    best_of_four: bool
    alike: bool
    above: bool
    best_of_all: bool


def requests(promised: bool) -> tuple[Request, ...]:
    return tuple(
        Request(model, precision, prompt, reply, promised)
        for model, precision, (prompt, reply) in product(MODELS, PRECISIONS, LENGTHS)
    )


@cache
def cell(request: Request, times_of: str, convention: str) -> Cell:
    prices = {device: dollars(device, convention, as_printed(device, times_of)) for device in DEVICES}
    return compared(request, times_of, convention, prices, (BASELINE, ("b200", "b200")))


def compared(
    request: Request,
    times_of: str,
    convention: str,
    prices: Mapping[str, float],
    bases: Sequence[tuple[str, str]],
) -> Cell:
    """All pairs of the devices that have a price, beside the first of `bases` that serves at all."""
    made = {(a, b): pair(request, a, b, times_of, prices) for a, b in product(prices, repeat=2)}
    found = {key: value for key, value in made.items() if value is not None}
    return Cell(request, times_of, convention, next((base for base in bases if base in found), None), found)


def claims(of: Cell) -> Claims | None:
    """None where one of the four pairs does not serve at all."""
    worths = [of.worth(one) for one in (*ORDERED, BASELINE)]
    if of.base != BASELINE or any(worth is None for worth in worths):
        return None
    ours, mixed, same, base = (worth or 0.0 for worth in worths)
    return Claims(
        best_of_four=ours * (1 + EQUAL) >= max(mixed, same, base),
        alike=abs(mixed - same) <= ABOUT * max(mixed, same),
        above=min(mixed, same) > base,
        best_of_all=of.best is not None and ours * (1 + EQUAL) >= (of.worth(of.best) or 0.0),
    )


@cache
def cells(promised: bool) -> tuple[Cell, ...]:
    """Of one mode, in the order of its table."""
    return tuple(
        cell(request, times_of, convention)
        for request, convention, times_of in product(requests(promised), CONVENTIONS, TIMES)
    )


def one_device(request: Request, device: str, times_of: str) -> tuple[float | None, float | None]:
    """What one device prefills, and decodes, of what one H100 does: no price is in it. None where either does not
    serve at all."""
    found: list[float | None] = []
    for side in (prefill_side, decode_side):
        ours, base = side(request, device, times_of), side(request, "h100", times_of)
        if ours is None or base is None:
            found.append(None)
        else:
            found.append(ours.rate / ours.tensor / (base.rate / base.tensor))
    return found[0], found[1]


def let() -> dict[str, float]:
    """Accelerators of the catalogue that have a rent, dollars an hour, the paper's once."""
    from agentlang.planner.catalogue import catalogue

    return {
        name: hourly(of, "rent").value
        for name, of in catalogue().items()
        if "rent" in conventions(of) and of.kind != "cpu" and not name.endswith("_paper")
    }


def title(one: tuple[str, ...]) -> str:
    return "::".join(TITLES.get(device, device) for device in one)
