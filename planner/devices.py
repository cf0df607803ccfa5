"""Machines and devices as text and plain data, every figure with its basis: for `agentlang hardware`."""

from __future__ import annotations

from collections.abc import Mapping

from . import prices
from .catalogue import Device, Link, links, regions
from .catalogue.entries import BOUNDS, FORMATS, LINK_BOUNDS
from .figures import Figure, show_value
from .hardware import Machine
from .rates import conventions, hourly
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
    """A catalogue entry: its figures, what it lacks, how it is reached, and an hour of it under each convention."""
    lines = [f"{device.name}: {device.title}"]
    if device.about:
        lines.append(device.about)
    lines += table(_rows(device_figures(device)))
    if device.lacks:
        lines.append(f"not native: {', '.join(device.lacks)}")
    if unstated := [form for form in FORMATS if form not in device.compute and form not in device.lacks]:
        lines.append(f"not stated: {', '.join(unstated)}")
    if device.links:
        known = links()
        rows = [(f"  {name}", known[name].title, *_link(known[name])) for name in device.links if name in known]
        lines += ["links, one way (`agentlang hardware show LINK` says where their figures come from):", *table(rows)]
    lines += [f"{show_value(price.value, '$/h')} by {name}: {price.source}" for name, price in hours(device).items()]
    if unknown := [name for name in prices.CONVENTIONS if name != "given" and name not in hours(device)]:
        lines.append(f"no price by {', '.join(unknown)}")
    if device.region in regions():
        region = regions()[device.region]
        lines.append(f"region {region.name}: {_sourced(region.carbon)}")
    return "\n".join(lines)


def hours(device: Device) -> Mapping[str, Figure]:
    """Dollars an hour by every convention under which the catalogue knows it; the source is the arithmetic."""
    return {convention: hourly(device, convention) for convention in conventions(device)}


def device_figures(device: Device) -> Mapping[str, Figure]:
    """The figures of a device by name, its rates as `compute.bf16`."""
    own = {name: getattr(device, name) for name in BOUNDS}
    rates = {f"compute.{form}": figure for form, figure in device.compute.items()}
    return {name: figure for name, figure in (own | rates).items() if figure is not None}


def link_text(link: Link, devices: Mapping[str, Device]) -> str:
    """A link's figures, one a line, and the devices that have it."""
    ends = ", ".join(name for name, device in devices.items() if link.name in device.links)
    return "\n".join([f"{link.name}: {link.title}, one way", *table(_rows(link_figures(link))), f"of {ends or 'none'}"])


def links_text(known: Mapping[str, Link]) -> str:
    """All links, a line for each of their figures."""
    rows = [("link", "title", "figure", "one way", "", "where it comes from")]
    for link in known.values():
        for number, (figure, value, error, source) in enumerate(_rows(link_figures(link))):
            name, title = ("", "") if number else (link.name, link.title)
            rows.append((name, title, figure.strip(), value, error, source))
    return "\n".join(table(rows))


def link_figures(link: Link) -> Mapping[str, Figure]:
    """The figures of a link by name."""
    own = {name: getattr(link, name) for name in LINK_BOUNDS}
    return {name: figure for name, figure in own.items() if figure is not None}


def catalogue_text(devices: Mapping[str, Device]) -> str:
    """All devices, one a line."""
    rows = [("device", "title", "memory", "bandwidth", "compute", "power", "purchase", "by annuity", "by rent")]
    for device in devices.values():
        cost = hours(device)
        rows.append(
            (
                device.name,
                device.title,
                show_value(device.memory.value, "B"),
                show_value(device.bandwidth.value, "B/s"),
                show_value(device.rate.value, "FLOP/s"),
                show_value(device.power.value, "W"),
                f"${device.price.value:,.0f}" if device.price else "",
                _hour(cost.get("annuity")),
                _hour(cost.get("rent")),
            )
        )
    return "\n".join(table(rows))


def _hour(price: Figure | None) -> str:
    return show_value(price.value, "$/h") if price else ""


def _link(link: Link) -> tuple[str, str]:
    """What it does, and why that is believed."""
    figures = link_figures(link)
    price = f", {show_value(link.price.value, '$')} a GB" if link.price else ""
    return (
        f"{show_value(link.bandwidth.value, 'B/s')} and {show_value(link.latency.value, 's')}{price}",
        ", ".join(f"{name} {figure.basis.value}" for name, figure in figures.items()),
    )


def _sourced(figure: Figure) -> str:
    return f"{show_value(figure.value, figure.unit)}, {figure.basis.value}: {figure.source}, {figure.date}"


def _rows(figures: Mapping[str, Figure]) -> list[tuple[str, str, str, str]]:
    rows: list[tuple[str, str, str, str]] = []
    for name, figure in figures.items():
        error = f"±{figure.error:.0%}" if figure.error else ""
        value = show_value(figure.value, figure.unit)
        rows.append((f"  {name}", value, error, f"{figure.basis.value}: {figure.source}, {figure.date}"))
    return rows
