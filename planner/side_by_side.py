"""Devices side by side: every figure, what an hour costs by each convention, what a dollar buys, each beside its ratio
to the first device's. For `agentlang hardware compare`.

What a dollar buys is compared at one number format, or the ratio would compare formats: the first of bf16, f16 and f32
that all devices multiply natively.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from .catalogue import Device
from .catalogue.entries import BOUNDS, FORMATS
from .devices import hours
from .figures import Basis, Figure, show_value
from .prices import CONVENTIONS
from .tables import table

NOT_NATIVE, NOT_STATED, NOT_PRICED = "not native", "not stated", "no price"
_COMMON = ("bf16", "f16", "f32")


@dataclass(frozen=True, slots=True)
class Cell:
    """One device's value in a row, or None and why. `ratio` is to the first device's; `source` the arithmetic, where
    the value is worked out."""

    value: float | None
    ratio: float | None = None
    basis: Basis | None = None
    source: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    unit: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Names in the order of the columns; `format` is that of the rates in the rows of what a dollar buys, if any."""

    devices: tuple[str, ...]
    format: str | None
    rows: tuple[Row, ...]


def side_by_side(devices: Sequence[Device]) -> Comparison:
    """Compare at least two devices, ratios to the first."""
    common = next((form for form in _COMMON if all(form in device.compute for device in devices)), None)
    rows: list[Row] = []
    for name, (unit, _, _) in BOUNDS.items():
        if name != "rent" and any(getattr(device, name) for device in devices):
            rows.append(_row(name, unit, (_figure(getattr(device, name)) for device in devices)))
        if name == "bandwidth":
            rows += _rates(devices)
    costs = [hours(device) for device in devices]
    for convention in CONVENTIONS:
        if any(convention in cost for cost in costs):
            cells = (_figure(cost.get(convention), NOT_PRICED) for cost in costs)
            rows.append(_row(f"by {convention}", "$/h", cells))
    purchases = [device.price for device in devices]
    if any(purchases):
        rows += _bought(devices, purchases, common, "of purchase", "$")
    for convention in CONVENTIONS:
        if convention != "capex" and any(convention in cost for cost in costs):
            paid = [cost.get(convention) for cost in costs]
            rows += _bought(devices, paid, common, f"by {convention}", "$/h")
    return Comparison(tuple(device.name for device in devices), common, tuple(rows))


def _rates(devices: Sequence[Device]) -> list[Row]:
    rows: list[Row] = []
    for form in FORMATS:
        if any(form in device.compute for device in devices):
            cells = [
                _figure(device.compute.get(form), NOT_NATIVE if form in device.lacks else NOT_STATED)
                for device in devices
            ]
            rows.append(_row(f"compute {form}", "FLOP/s", cells))
    return rows


def _bought(
    devices: Sequence[Device], prices: Sequence[Figure | None], common: str | None, word: str, per: str
) -> list[Row]:
    """What a dollar buys of memory, bandwidth and operations a second."""
    wanted: list[tuple[str, str, Callable[[Device], Figure]]] = [("bandwidth", "B/s", lambda device: device.bandwidth)]
    if common is not None:
        wanted.insert(0, (common, "FLOP/s", lambda device: device.compute[common]))
    if per == "$":
        wanted.append(("memory", "B", lambda device: device.memory))
    rows: list[Row] = []
    for name, unit, figure_of in wanted:
        cells = [_quotient(figure_of(device), price) for device, price in zip(devices, prices, strict=True)]
        rows.append(_row(f"{name} a dollar {word}", f"{unit} per {per}", cells))
    return rows


def _quotient(figure: Figure, price: Figure | None) -> Cell:
    if price is None:
        return Cell(None, why=NOT_PRICED)
    basis = Basis.ASSUMED if Basis.ASSUMED in (figure.basis, price.basis) else Basis.DERIVED
    arithmetic = f"{show_value(figure.value, figure.unit)} / {show_value(price.value, price.unit)}"
    return Cell(figure.value / price.value, basis=basis, source=arithmetic)


def _figure(figure: Figure | None, why: str = NOT_STATED) -> Cell:
    return Cell(figure.value, basis=figure.basis, source=figure.source) if figure else Cell(None, why=why)


def _row(name: str, unit: str, cells: Iterable[Cell]) -> Row:
    made = tuple(cells)
    first = made[0].value
    return Row(name, unit, tuple(_ratio(cell, first) for cell in made))


def _ratio(cell: Cell, first: float | None) -> Cell:
    if cell.value is None or not first:
        return cell
    return Cell(cell.value, cell.value / first, cell.basis, cell.source, cell.why)


def comparison_text(comparison: Comparison) -> str:
    """The table, a star behind what rests on an assumption, and the arithmetic of every hour."""
    rows = [("", *comparison.devices)]
    for row in comparison.rows:
        first, *others = row.cells
        rows.append((row.name, _shown(row, first), *(_shown(row, cell, beside=True) for cell in others)))
    lines = table(rows)
    if any(cell.basis is Basis.ASSUMED for row in comparison.rows for cell in row.cells):
        lines.append("* rests on an assumption: `agentlang hardware show DEVICE` has the sources")
    for row in comparison.rows:
        if row.unit == "$/h":
            for device, cell in zip(comparison.devices, row.cells, strict=True):
                if cell.value is not None:
                    lines.append(f"{device} {row.name}: {show_value(cell.value, '$/h')} = {cell.source}")
    return "\n".join(lines)


def _shown(row: Row, cell: Cell, *, beside: bool = False) -> str:
    if cell.value is None:
        return cell.why
    unit, _, per = row.unit.partition(" per ")
    value = show_value(cell.value, unit) + (f" per {per}" if per else "")
    star = "*" if cell.basis is Basis.ASSUMED else ""
    return value + star + (f" (x {cell.ratio:.2f})" if beside and cell.ratio is not None else "")


def by_name(devices: Mapping[str, Device], names: Iterable[str]) -> tuple[Device, ...]:
    """The devices of those names, each once. KeyError for a name that the catalogue does not have."""
    return tuple(devices[name] for name in dict.fromkeys(names))
