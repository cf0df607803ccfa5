"""Machines and devices as text and plain data, every figure with its basis: for `agentlang hardware`."""

from __future__ import annotations

from collections.abc import Mapping

from . import prices
from .catalogue import Device
from .figures import Figure, show_value
from .hardware import Machine
from .rates import STATED, hourly
from .tables import table


def machine_text(machine: Machine) -> str:
    """This machine's figures, one a line."""
    head = f"{machine.processor}, {machine.cores} core{'s' if machine.cores > 1 else ''}"
    return "\n".join([head, *table(_rows(machine_figures(machine)))])


def machine_figures(machine: Machine) -> Mapping[str, Figure]:
    """The figures of a machine by name, those of its engines as `xla.compute`."""
    own = {name: getattr(machine, name) for name in ("memory", "bandwidth", "compute", "launch", "disk")}
    for engine in machine.engines:
        own |= {f"{engine.engine}.{name}": getattr(engine, name) for name in ("compute", "bandwidth", "launch")}
    return own


def device_text(device: Device) -> str:
    """A catalogue entry: its figures, and an hour of it under each convention."""
    lines = [f"{device.name}: {device.title}"]
    if device.about:
        lines.append(device.about)
    lines += table(_rows(device_figures(device)))
    for convention in STATED:
        price = hourly(device, convention)
        words = prices.explain(convention, device.price.value, device.power.value)
        lines.append(f"{show_value(price.value, '$/h')} by {convention}: {words}")
    return "\n".join(lines)


def device_figures(device: Device) -> Mapping[str, Figure]:
    """The figures of a device by name, its rates as `compute.bf16`."""
    own = {name: getattr(device, name) for name in ("price", "power", "memory", "bandwidth", "disk", "launch")}
    rates = {f"compute.{form}": figure for form, figure in device.compute.items()}
    return {name: figure for name, figure in (own | rates).items() if figure is not None}


def catalogue_text(devices: Mapping[str, Device]) -> str:
    """All devices, one a line."""
    rows = [("name", "device", "memory", "bandwidth", "compute", "purchase", "annuity")]
    for device in devices.values():
        rows.append(
            (
                device.name,
                device.title,
                show_value(device.memory.value, "B"),
                show_value(device.bandwidth.value, "B/s"),
                show_value(device.rate.value, "FLOP/s"),
                f"${device.price.value:,.0f}",
                show_value(hourly(device, "annuity").value, "$/h"),
            )
        )
    return "\n".join(table(rows))


def _rows(figures: Mapping[str, Figure]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, figure in figures.items():
        error = f"±{figure.error:.0%}" if figure.error else ""
        value = show_value(figure.value, figure.unit)
        rows.append((f"  {name}", value, error, f"{figure.basis.value}: {figure.source}, {figure.date}"))
    return rows
