"""Quantities with dimensions: `GiB / (GiB/s)` is a duration, seconds plus dollars is an error.

A quantity is a float in base units (seconds, bytes, dollars, tokens, joules, operations, items) with an exponent for
each base dimension. `runs` and `items` are counts, a dimension of their own so that `4 per s` of runs is a rate.
"""

from __future__ import annotations

from enum import Enum

from .frozen import frozen


@frozen
class Dimension:
    """Exponents of the base dimensions."""

    time: int = 0
    size: int = 0
    money: int = 0
    tokens: int = 0
    energy: int = 0
    count: int = 0

    def __mul__(self, other: Dimension) -> Dimension:
        return Dimension(*(a + b for a, b in zip(self.exponents, other.exponents, strict=True)))

    def __truediv__(self, other: Dimension) -> Dimension:
        return Dimension(*(a - b for a, b in zip(self.exponents, other.exponents, strict=True)))

    @property
    def exponents(self) -> tuple[int, int, int, int, int, int]:
        return (self.time, self.size, self.money, self.tokens, self.energy, self.count)

    def __str__(self) -> str:
        return NAMED.get(self) or " ".join(
            f"{name}^{power}"
            for name, power in zip(("time", "size", "money", "tokens", "energy", "count"), self.exponents, strict=True)
            if power
        )


NUMBER = Dimension()
DURATION = Dimension(time=1)
BYTESIZE = Dimension(size=1)
BANDWIDTH = Dimension(size=1, time=-1)
MONEY = Dimension(money=1)
TOKENS = Dimension(tokens=1)
ENERGY = Dimension(energy=1)
POWER = Dimension(energy=1, time=-1)
COUNT = Dimension(count=1)
RATE = Dimension(time=-1)
MONEY_RATE = Dimension(money=1, time=-1)
MONEY_PER_COUNT = Dimension(money=1, count=-1)
MONEY_PER_TOKEN = Dimension(money=1, tokens=-1)
ENERGY_PER_COUNT = Dimension(energy=1, count=-1)

NAMED: dict[Dimension, str] = {
    NUMBER: "number",
    DURATION: "Duration",
    BYTESIZE: "Bytesize",
    BANDWIDTH: "Bandwidth",
    MONEY: "Money",
    TOKENS: "Tokens",
    ENERGY: "Energy",
    POWER: "Power",
    COUNT: "count",
    RATE: "Rate",
    MONEY_RATE: "Money per time",
    MONEY_PER_COUNT: "Money per run",
    MONEY_PER_TOKEN: "Money per token",
    ENERGY_PER_COUNT: "Energy per run",
}


class Notation(Enum):
    """How a unit is written: behind the number, or before it (money)."""

    BEHIND = "behind"
    BEFORE = "before"


@frozen
class Unit:
    """A unit's factor to base units and its dimension."""

    factor: float
    dimension: Dimension
    notation: Notation = Notation.BEHIND


_TIMES = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_DECIMAL = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}

UNITS: dict[str, Unit] = {
    **{name: Unit(factor, DURATION) for name, factor in _TIMES.items()},
    **{f"{prefix}B": Unit(factor, BYTESIZE) for prefix, factor in (_DECIMAL | _BINARY).items()},
    **{f"{prefix}B/s": Unit(factor, BANDWIDTH) for prefix, factor in (_DECIMAL | _BINARY).items()},
    **{f"{prefix}bit/s": Unit(factor / 8, BANDWIDTH) for prefix, factor in _DECIMAL.items()},
    **{name: Unit(1.0, TOKENS) for name in ("token", "tokens")},
    **{name: Unit(1.0, COUNT) for name in ("run", "runs", "item", "items")},
    "$": Unit(1.0, MONEY, Notation.BEFORE),
    "J": Unit(1.0, ENERGY),
    "kJ": Unit(1e3, ENERGY),
    "Wh": Unit(3600.0, ENERGY),
    "kWh": Unit(3.6e6, ENERGY),
    "W": Unit(1.0, POWER),
    "kW": Unit(1e3, POWER),
    "%": Unit(0.01, NUMBER),
}


class DimensionError(Exception):
    """Two quantities whose dimensions do not fit the operator."""


@frozen
class Quantity:
    """A number of base units with a dimension."""

    value: float
    dimension: Dimension

    def __add__(self, other: Quantity) -> Quantity:
        self._same(other, "+")
        return Quantity(self.value + other.value, self.dimension)

    def __sub__(self, other: Quantity) -> Quantity:
        self._same(other, "-")
        return Quantity(self.value - other.value, self.dimension)

    def __mul__(self, other: Quantity) -> Quantity:
        return Quantity(self.value * other.value, self.dimension * other.dimension)

    def __truediv__(self, other: Quantity) -> Quantity:
        return Quantity(self.value / other.value, self.dimension / other.dimension)

    def _same(self, other: Quantity, operator: str) -> None:
        if self.dimension != other.dimension:
            raise DimensionError(f"{self.dimension} {operator} {other.dimension}")

    def __str__(self) -> str:
        return show(self)


def quantity(value: float, unit: str) -> Quantity:
    """`quantity(250, "ms")` is 0.25 s. Raises KeyError for an unknown unit."""
    known = UNITS[unit]
    return Quantity(value * known.factor, known.dimension)


_SCALES: dict[Dimension, tuple[tuple[float, str], ...]] = {
    DURATION: ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")),
    BYTESIZE: ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B")),
    BANDWIDTH: ((1e12, "TB/s"), (1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s"), (1.0, "B/s")),
    ENERGY: ((3.6e6, "kWh"), (3600.0, "Wh"), (1.0, "J")),
    POWER: ((1e3, "kW"), (1.0, "W")),
    TOKENS: ((1.0, "tokens"),),
    COUNT: ((1.0, "items"),),
    RATE: ((1.0, "per s"),),
}


# What is so much for each of something, as programs write it: of so many, and the words for that.
_EACH: dict[Dimension, tuple[Dimension, float, str]] = {
    MONEY_RATE: (MONEY, 3600.0, "per h"),
    MONEY_PER_COUNT: (MONEY, 1000.0, "per 1000 runs"),
    MONEY_PER_TOKEN: (MONEY, 1e6, "per 1_000_000 tokens"),
    ENERGY_PER_COUNT: (ENERGY, 1.0, "per run"),
}


def show(value: Quantity) -> str:
    """For people: four significant digits (whole numbers have all) in the largest unit that keeps the number at or
    above one. Money has its cents."""
    if value.dimension in _EACH:
        own, many, words = _EACH[value.dimension]
        return f"{show(Quantity(value.value * many, own))} {words}"
    if value.dimension == MONEY:
        amount, sign = abs(value.value), "-" if value.value < 0 else ""
        return f"{sign}${amount:.2f}" if amount >= 0.01 or amount == 0 else f"{sign}${amount:.3g}"
    scales = _SCALES.get(value.dimension)
    if scales is None:
        return _digits(value.value) if value.dimension == NUMBER else f"{_digits(value.value)} {value.dimension}"
    plain = next(scale for scale in scales if scale[0] == 1.0)
    # Nothing is nothing of the unit itself.
    near = plain if value.value == 0 else scales[-1]
    factor, name = next(((f, n) for f, n in scales if abs(value.value) >= f), near)
    return f"{_digits(value.value / factor)} {name}"


def _digits(number: float) -> str:
    return f"{number:.4g}" if not 1e4 <= abs(number) < 1e15 else f"{number:.0f}"
