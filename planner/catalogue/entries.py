"""What the catalogue says of one device. A device checks itself when made, so that a wrong digit is an error when the
catalogue is read, not a plan that is quietly wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..figures import Basis, Figure

KINDS = ("cpu", "gpu", "accelerator")
FORMATS = ("f32", "f16", "bf16", "fp8", "int8", "fp4")

# Figures of a data file may have these; the others are of a machine's own or of a program.
_BASES = (Basis.DATASHEET, Basis.MEASURED, Basis.PUBLISHED, Basis.ASSUMED)
# A device beyond these bounds is a slip of a unit (GB for GiB is not found here, GB for bytes is).
_BOUNDS: dict[str, tuple[str, float, float]] = {
    "price": ("$", 20.0, 1e6),
    "power": ("W", 1.0, 1e4),
    "memory": ("B", 2.0**28, 2.0**42),
    "bandwidth": ("B/s", 1e9, 1e14),
    "disk": ("B/s", 1e7, 1e11),
    "launch": ("s", 1e-7, 1e-2),
}
_RATE = ("FLOP/s", 1e9, 1e17)


class CatalogueError(Exception):
    """An entry of the catalogue that contradicts itself. A bug of whoever wrote the entry."""


@dataclass(frozen=True, slots=True)
class Reported:
    """What a publication printed: operations a second, dollars an hour. Never used in a plan."""

    compute: float
    operating: float
    source: str


@dataclass(frozen=True, slots=True)
class Device:
    """One device: `price` in dollars of purchase, `power` in watts at full load, `memory` in bytes, `bandwidth` and
    `disk` in bytes a second, `compute` in dense operations a second by number format, `launch` in seconds."""

    name: str
    kind: str
    title: str
    price: Figure
    power: Figure
    memory: Figure
    bandwidth: Figure
    launch: Figure
    compute: Mapping[str, Figure]
    disk: Figure | None = None
    cores: int = 1
    about: str = ""
    reported: Reported | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise CatalogueError(f"kind {self.kind!r} is not one of {', '.join(KINDS)}")
        for name, bounds in _BOUNDS.items():
            figure = getattr(self, name)
            if figure is not None:
                _check(name, figure, *bounds)
        if not self.compute:
            raise CatalogueError("compute has no number format")
        for name, figure in self.compute.items():
            if name not in FORMATS:
                raise CatalogueError(f"number format {name!r} is not one of {', '.join(FORMATS)}")
            _check(f"compute.{name}", figure, *_RATE)
        rates = [self.compute[name].value for name in ("f32", "f16", "fp8", "fp4") if name in self.compute]
        if rates != sorted(rates):
            raise CatalogueError("a wider number format is faster than a narrower one")
        # Fewer than one operation for a byte would make every product free beside its reading; more than 2000 is a rate
        # with a prefix too many. All devices of the last fifteen years lie between.
        for name, figure in self.compute.items():
            balance = figure.value / self.bandwidth.value
            if not 1.0 <= balance <= 2000.0:
                raise CatalogueError(f"{balance:.3g} operations of {name} for each byte of bandwidth cannot be right")
        if self.cores < 1:
            raise CatalogueError("cores must be at least 1")

    @property
    def rate(self) -> Figure:
        """The rate at which models run unless their number format says else: bf16 where native, else float32."""
        return self.compute.get("bf16") or self.compute.get("f32") or next(iter(self.compute.values()))


def _check(name: str, figure: Figure, unit: str, low: float, high: float) -> None:
    if figure.unit != unit:
        raise CatalogueError(f"{name} is in {figure.unit}, not in {unit}")
    if not low <= figure.value <= high:
        raise CatalogueError(f"{name} of {figure} lies outside {low:g} to {high:g}")
    if figure.basis not in _BASES:
        raise CatalogueError(f"{name} has the basis {figure.basis.value}")
    if not figure.source or not re.fullmatch(r"\d{4}-\d{2}", figure.date):
        raise CatalogueError(f"{name} needs a source and a date (year-month)")
