"""What the catalogue says of one device, one link, one region. An entry checks itself when made, so that a wrong digit
is a problem when the catalogue is read, not a plan that is quietly wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from ..figures import Basis, Figure

KINDS = ("cpu", "gpu", "accelerator")
FORMATS = ("f32", "f16", "bf16", "fp8", "int8", "fp4")

# Figures of a data file may have these; the others are of a machine's own or of a program.
BASES = (Basis.DATASHEET, Basis.MEASURED, Basis.PUBLISHED, Basis.ASSUMED)
# The unit of each figure, and its bounds: what lies beyond is a slip of a unit (GB for bytes is found, GB for GiB not).
BOUNDS: dict[str, tuple[str, float, float]] = {
    "price": ("$", 20.0, 1e6),
    "rent": ("$/h", 1e-3, 1e3),
    "power": ("W", 1.0, 1e4),
    "memory": ("B", 2.0**28, 2.0**42),
    "bandwidth": ("B/s", 1e9, 1e14),
    "disk": ("B/s", 1e7, 1e11),
    "launch": ("s", 1e-7, 1e-2),
    "host_cores": ("cores", 1.0, 1e4),
    "host_memory": ("B", 2.0**28, 2.0**46),
    "carbon": ("kg", 1.0, 1e5),
}
RATE = ("FLOP/s", 1e9, 1e17)
LINK_BOUNDS: dict[str, tuple[str, float, float]] = {
    "bandwidth": ("B/s", 1e3, 1e13),
    "latency": ("s", 1e-8, 10.0),
    "price": ("$/GB", 0.0, 1e3),
}
REGION_BOUNDS: dict[str, tuple[str, float, float]] = {"carbon": ("g/kWh", 0.0, 2000.0)}


class CatalogueError(Exception):
    """An entry that contradicts itself. `key` is the path of what is wrong inside the entry, `()` for the whole."""

    def __init__(self, text: str, *key: str) -> None:
        super().__init__(text)
        self.key = key


@dataclass(frozen=True, slots=True)
class Reported:
    """What a publication printed: operations a second, dollars an hour. Never used in a plan."""

    compute: float
    operating: float
    source: str


@dataclass(frozen=True, slots=True)
class Device:
    """One device: `price` in dollars of purchase, `rent` in dollars an hour (in `region`), `power` in watts at full
    load, `memory` in bytes, `bandwidth` and `disk` in bytes a second, `compute` in dense operations a second by number
    format, `launch` in seconds, `carbon` in kilograms of making it.

    `lacks` are formats that it does not multiply natively; of a format in neither nothing is stated. `host_cores` and
    `host_memory` are its share of the machine that it is in. `links` are names of links.
    """

    name: str
    kind: str
    title: str
    power: Figure
    memory: Figure
    bandwidth: Figure
    launch: Figure
    compute: Mapping[str, Figure]
    price: Figure | None = None
    rent: Figure | None = None
    disk: Figure | None = None
    host_cores: Figure | None = None
    host_memory: Figure | None = None
    carbon: Figure | None = None
    cores: int = 1
    region: str = ""
    links: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    about: str = ""
    reported: Reported | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise CatalogueError(f"kind {self.kind!r} is not one of {', '.join(KINDS)}", "kind")
        for name, bounds in BOUNDS.items():
            figure = getattr(self, name)
            if figure is not None:
                check_figure(name, figure, bounds, name)
        if not self.compute:
            raise CatalogueError("compute has no number format", "compute")
        for name, figure in self.compute.items():
            check_format(name, "compute", name)
            check_figure(f"compute.{name}", figure, RATE, "compute", name)
        for name in self.lacks:
            check_format(name, "lacks")
            if name in self.compute:
                raise CatalogueError(f"number format {name!r} is lacking, and has a rate", "lacks")
        rates = [self.compute[name].value for name in ("f32", "f16", "fp8", "fp4") if name in self.compute]
        if rates != sorted(rates):
            raise CatalogueError("a wider number format is faster than a narrower one", "compute")
        # Fewer than one operation for a byte would make every product free beside its reading; more than 2000 is a rate
        # with a prefix too many. All devices of the last fifteen years lie between.
        for name, figure in self.compute.items():
            balance = figure.value / self.bandwidth.value
            if not 1.0 <= balance <= 2000.0:
                text = f"{balance:.3g} operations of {name} for each byte of bandwidth cannot be right"
                raise CatalogueError(text, "compute", name)
        if isinstance(self.cores, bool) or self.cores < 1:
            raise CatalogueError("cores must be at least 1", "cores")

    @property
    def rate(self) -> Figure:
        """The rate at which models run unless their number format says else: bf16 where native, else float32."""
        return self.compute.get("bf16") or self.compute.get("f32") or next(iter(self.compute.values()))


@dataclass(frozen=True, slots=True)
class Link:
    """One kind of link: `bandwidth` in bytes a second one way, `latency` in seconds, `price` in dollars a gigabyte."""

    name: str
    title: str
    bandwidth: Figure
    latency: Figure
    price: Figure | None = None

    def __post_init__(self) -> None:
        for name, bounds in LINK_BOUNDS.items():
            figure = getattr(self, name)
            if figure is not None:
                check_figure(name, figure, bounds, name)


@dataclass(frozen=True, slots=True)
class Region:
    """A place where devices are let: `carbon` in grams of carbon dioxide equivalent a kilowatt-hour."""

    name: str
    title: str
    carbon: Figure

    def __post_init__(self) -> None:
        check_figure("carbon", self.carbon, REGION_BOUNDS["carbon"], "carbon")


def check_format(name: str, *key: str) -> None:
    if name not in FORMATS:
        raise CatalogueError(f"number format {name!r} is not one of {', '.join(FORMATS)}", *key)


def check_figure(name: str, figure: Figure, bounds: tuple[str, float, float], *key: str) -> None:
    """Raise `CatalogueError` unless the figure has the unit, lies in the bounds, and says where it comes from."""
    unit, low, high = bounds
    if figure.unit != unit:
        raise CatalogueError(f"{name} is in {figure.unit}, not in {unit}", *key)
    if not isfinite(figure.value):
        raise CatalogueError(f"{name} of {figure.value} is no number that can be counted with", *key)
    if not low <= figure.value <= high:
        raise CatalogueError(f"{name} of {figure} lies outside {low:g} to {high:g}", *key)
    if not 0.0 <= figure.error <= 10.0:
        raise CatalogueError(f"{name} has the relative error {figure.error:g}, not one from 0 to 10", *key)
    if figure.basis not in BASES:
        raise CatalogueError(f"{name} has the basis {figure.basis.value}", *key)
    if not figure.source or not re.fullmatch(r"\d{4}-\d{2}", figure.date):
        raise CatalogueError(f"{name} needs a source and a date (year-month)", *key)
