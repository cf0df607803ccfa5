"""The tiers of a fleet with what is known of each: rates, a price, a calibration, how many there may be.

A tier of the laptop is this machine, as measured; other devices are as the catalogue states them; an endpoint has a
price for each token and no devices. Without a fleet there is one tier, this machine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite

from ...base.problems import Problem, Problems
from ...base.source import Span
from ...base.units import show
from ...lang.program import Endpoint, Fleet
from ...lang.program import Tier as Declared
from .. import problems
from ..calibrate import Calibration
from ..catalogue import Device, regions, whole
from ..catalogue import device as known_device
from ..figures import Basis, Figure, show_value
from ..hardware import Machine
from ..options import Options
from ..rates import PRICE_VARIABLE, Rates, conventions, hourly, of_device, of_machine
from .problem import MANY, Requirement, Tier

LAPTOP = "laptop"
ONLY = "cpu"
"""What the one tier is called where there is no fleet."""

JOULES_PER_KWH = 3.6e6
FREE = Figure(0.0, "$/s", Basis.GIVEN, "paid by the token")


@dataclass(frozen=True, slots=True)
class Site:
    """A tier of the problem with what it is made of. `rates` and `device` are None for an endpoint, `endpoint` is None
    for all others. `calibration` is of its devices; empty where nothing was measured."""

    tier: Tier
    rates: Rates | None
    device: Device | None
    endpoint: Endpoint | None
    calibration: Calibration
    span: Span | None

    @property
    def name(self) -> str:
        return self.tier.name

    @property
    def accelerated(self) -> bool:
        """Whether its devices are accelerators, which gain from serving many requests at once and stand in hosts."""
        return self.device is not None and not self.tier.here and self.device.kind != "cpu"


def sites(
    fleet: Fleet | None, machine: Machine, calibration: Calibration, options: Options
) -> tuple[tuple[Site, ...], tuple[Requirement, ...], Problems]:
    """The tiers of a fleet, what bounds their devices and memory, and what is wrong with them. No tiers where anything
    is."""
    if fleet is None:
        declared: tuple[Declared | None, ...] = (None,)
    else:
        declared = fleet.tiers
        if not any(tier.endpoint or tier.count[1] > 0 for tier in declared):
            return (), (), (problems.no_devices(fleet.name, fleet.span),)
    found: list[Problem] = []
    made: list[Site] = []
    only = sum(1 for tier in declared if tier is None or tier.endpoint is None) == 1
    for tier in declared:
        site, wrong = _site(tier, machine, calibration, options, only)
        found += wrong
        if site is not None:
            made.append(site)
    if found:
        return (), (), tuple(dict.fromkeys(found))
    return tuple(made), tuple(each for site in made for each in _required(site, fleet is None)), ()


def _required(site: Site, unsaid: bool) -> tuple[Requirement, ...]:
    tier = site.tier
    if tier.endpoint:
        return ()
    place = str(site.span) if site.span else ""
    counted = "this machine, of which there is one" if unsaid else f"tier {tier.name} has {_count(tier.low, tier.high)}"
    return (
        Requirement(tier.counted, "count", counted, place),
        Requirement(tier.held, "memory", f"tier {tier.name} has {show_value(tier.memory, 'B')} a device", place),
    )


def _count(low: int, high: int) -> str:
    return f"count {high}" if low == high else f"count {low}..{high}"


def _site(
    tier: Declared | None, machine: Machine, calibration: Calibration, options: Options, only: bool
) -> tuple[Site | None, Problems]:
    if tier is not None and tier.endpoint is not None:
        return _endpoint(tier, tier.endpoint, calibration)
    device = known_device(tier.device if tier else LAPTOP)
    if device is None:
        assert tier is not None
        # A package may have meant to bring it: then what is wrong with that is the reason.
        known = whole()
        return None, (*known.problems, problems.unknown_device(tier.device, tuple(known.devices), tier.span))
    price, found = _price(tier, device, options, only)
    if found:
        return None, found
    here = device.name == LAPTOP
    paid = price or hourly(device, options.convention)
    rates = of_machine(machine, device, paid) if here else of_device(device, paid)
    rates = replace(rates, convention="given" if price else options.convention)
    name, count = (tier.name, tier.count) if tier else (ONLY, (1, 1))
    span = tier.span if tier else None
    region = regions().get(device.region) if device.region else None
    cost = rates.price
    made = Tier(
        name=name,
        device=rates.device,
        low=count[0],
        high=min(count[1], MANY),
        memory=rates.memory.value,
        dollars=Figure(cost.value / 3600.0, "$/s", cost.basis, cost.source, cost.date, cost.error),
        watts=rates.power.value,
        convention=rates.convention,
        region=device.region,
        carbon=region.carbon.value / JOULES_PER_KWH if region else None,
        here=here,
        counted=f"count of {name}",
        held=f"memory of {name}",
        title=rates.title,
        rates=(("memory", rates.memory), *rates.figures(), ("price", cost)),
    )
    known = calibration if calibration.machine == rates.key else Calibration(rates.key)
    return Site(made, rates, device, None, known, span), ()


def _endpoint(tier: Declared, endpoint: Endpoint, calibration: Calibration) -> tuple[Site | None, Problems]:
    stated = {"price": endpoint.price, "first_token": endpoint.first_token, "rate": endpoint.rate}
    for name, amount in stated.items():
        least = 0.0 if name == "price" else 1e-30
        if amount is not None and not (isfinite(amount.value) and amount.value >= least):
            return None, (problems.bad_figure(f"`{name}` of tier {tier.name!r}", str(amount.value), tier.span),)
    figures = {name: Figure(q.value, "", Basis.GIVEN, f"tier {tier.name}") for name, q in stated.items() if q}
    made = Tier(
        name=tier.name,
        device="",
        low=0,
        high=MANY,
        memory=0.0,
        dollars=FREE,
        watts=0.0,
        convention="given",
        endpoint=True,
        title=f"endpoint that serves {', '.join(endpoint.serves)}",
        rates=tuple(figures.items()),
    )
    return Site(made, None, None, endpoint, calibration, tier.span), ()


def unsound(fleet: Fleet | None, machine: Machine) -> Problems:
    """A kept measurement of this machine that no machine has, where a plan would use it: no catalogue checked it."""
    tier = next((tier for tier in fleet.tiers if tier.device == LAPTOP), None) if fleet else None
    if fleet is not None and tier is None:
        return ()
    name, span = (tier.name, tier.span) if tier else (ONLY, None)
    figures = {each: getattr(machine, each) for each in ("memory", "bandwidth", "compute", "launch", "disk")}
    for engine in machine.engines:
        own = {each: getattr(engine, each) for each in ("bandwidth", "compute", "launch")}
        figures |= {f"{each} of {engine.engine}": figure for each, figure in own.items()}
    for what, figure in figures.items():
        least = 0.0 if what.startswith("launch") else 1e-30
        if not (isfinite(figure.value) and figure.value >= least):
            return (problems.bad_figure(f"{what} of tier {name!r}", f"{figure.value:g} {figure.unit}", span),)
    return ()


def _price(tier: Declared | None, device: Device, options: Options, only: bool) -> tuple[Figure | None, Problems]:
    """What somebody states that an hour of it costs: the caller or the environment (of the only tier, or of this
    machine), the fleet. None where nobody does; then the catalogue's figures count, if they are there."""
    asked = only or device.name == LAPTOP
    if options.price is not None and asked:
        if not (isfinite(options.price) and options.price >= 0.0):
            return None, (problems.bad_figure("the price that the caller states", f"${options.price:g} per h", None),)
        return Figure(options.price, "$/h", Basis.GIVEN, "the caller"), ()
    stated = tier.settings.get("price") if tier else None
    if tier and stated is not None:
        if not (isfinite(stated.value) and stated.value >= 0.0):
            return None, (problems.bad_figure(f"`price` of tier {tier.name!r}", show(stated), tier.span),)
        return Figure(stated.value * 3600.0, "$/h", Basis.GIVEN, f"tier {tier.name} of the fleet"), ()
    if options.environment is not None and asked:
        if not (isfinite(options.environment) and options.environment >= 0.0):
            return None, (problems.bad_price(PRICE_VARIABLE, f"{options.environment:g}"),)
        return Figure(options.environment, "$/h", Basis.GIVEN, PRICE_VARIABLE), ()
    if options.convention not in conventions(device):
        span = tier.span if tier else None
        return None, (problems.needs_price(options.convention, device.name, conventions(device), span),)
    return None, ()
