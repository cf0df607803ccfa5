"""What one instance of a tier can do, whatever it is: this machine as measured, or a device of the catalogue."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from . import prices
from .catalogue import Device
from .figures import Basis, Figure
from .hardware import EngineRates, Machine

# Conventions that follow from the catalogue's purchase price and power; `rent` follows from its rent.
STATED = ("annuity", "capex", "paper")
PRICE_VARIABLE = "AGENTLANG_PRICE_PER_HOUR"


@dataclass(frozen=True, slots=True)
class Rates:
    """Figures of one instance. `compute` in operations a second, `bandwidth` and `disk` in bytes a second, `launch` in
    seconds, `power` in watts, `price` in dollars an hour under `convention`. `key` names it in calibrations."""

    key: str
    device: str
    title: str
    here: bool
    cores: int
    memory: Figure
    bandwidth: Figure
    compute: Figure
    launch: Figure
    disk: Figure | None
    power: Figure
    price: Figure
    convention: str
    engines: tuple[EngineRates, ...] = ()

    def with_engine(self, name: str) -> Rates:
        """The same with the rates that the engine itself reaches, where they were measured."""
        for rates in self.engines:
            if rates.engine == name:
                return replace(self, compute=rates.compute, bandwidth=rates.bandwidth, launch=rates.launch)
        return self

    def figures(self) -> tuple[tuple[str, Figure], ...]:
        """The rates by name, for the plan."""
        named = [("compute", self.compute), ("bandwidth", self.bandwidth), ("launch", self.launch)]
        if self.disk is not None:
            named.append(("disk", self.disk))
        for engine in self.engines:
            named += [(f"{engine.engine}.compute", engine.compute), (f"{engine.engine}.bandwidth", engine.bandwidth)]
            named.append((f"{engine.engine}.launch", engine.launch))
        return (*named, ("power", self.power))


def of_machine(machine: Machine, laptop: Device, price: Figure | None = None, convention: str = "annuity") -> Rates:
    """This machine. Its price and power are those of the catalogue's laptop, unless a price (an hour) is given."""
    given = price or environment_price()
    return Rates(
        key=machine.key,
        device=laptop.name,
        title=f"{machine.processor}, {machine.cores} core{'s' if machine.cores > 1 else ''}",
        here=True,
        cores=machine.cores,
        memory=machine.memory,
        bandwidth=machine.bandwidth,
        compute=machine.compute,
        launch=machine.launch,
        disk=machine.disk,
        power=laptop.power,
        price=given or hourly(laptop, convention),
        convention="given" if given else convention,
        engines=machine.engines,
    )


def of_device(device: Device, price: Figure | None = None, convention: str = "annuity") -> Rates:
    """A device of the catalogue at its stated rates."""
    return Rates(
        key=f"catalog.{device.name}",
        device=device.name,
        title=device.title,
        here=False,
        cores=device.cores,
        memory=device.memory,
        bandwidth=device.bandwidth,
        compute=device.rate,
        launch=device.launch,
        disk=device.disk,
        power=device.power,
        price=price or hourly(device, convention),
        convention="given" if price else convention,
    )


def conventions(device: Device) -> tuple[str, ...]:
    """The conventions under which the catalogue knows what an hour of the device costs."""
    return (*(STATED if device.price else ()), *(("rent",) if device.rent else ()))


def hourly(device: Device, convention: str) -> Figure:
    """Dollars an hour of a device under a convention. ValueError for one that is not of `conventions`."""
    if convention not in conventions(device):
        raise ValueError(f"{convention!r} needs a price of {device.name}")
    if device.rent is not None and convention == "rent":
        where = f", in {device.region}" if device.region else ""
        return replace(device.rent, source=device.rent.source + where)
    assert device.price is not None  # by `conventions`
    price, watts = device.price.value, device.power.value
    match convention:
        case "annuity":
            value = prices.annuity(price, watts)
        case "capex":
            value = prices.capex(price)
        case _:
            value = prices.paper(price, watts)
    # The purchase alone does not depend on the power.
    counted = (device.price,) if convention == "capex" else (device.price, device.power)
    basis = Basis.ASSUMED if any(figure.basis is Basis.ASSUMED for figure in counted) else device.price.basis
    return Figure(value, "$/h", basis, prices.explain(convention, price, watts), device.price.date)


def environment_price() -> Figure | None:
    """The price that the environment states for an hour of this machine, or None. A text that is no price is ignored
    here; `place` reports it."""
    text = os.environ.get(PRICE_VARIABLE, "").strip().lstrip("$")
    try:
        value = float(text) if text else -1.0
    except ValueError:
        return None
    return Figure(value, "$/h", Basis.GIVEN, PRICE_VARIABLE) if 0.0 <= value < 1e9 else None
