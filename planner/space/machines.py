"""Stages on whole machines: one device, or the host of one, does one thing after the other.

A stage that compute or bandwidth limits takes the device; any other takes one core, and so keeps it busy for as many
seconds as it lasts, shared by the cores. On accelerators what takes one core runs in their hosts.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from ..cost import StageTime
from ..endpoints import ENDPOINT
from ..figures import Basis, Prediction, Term
from .asked import CHAT, DECODE, PREFILL, Asked
from .problem import Held, Option, Pool
from .tiers import Site


def whole_pool(site: Site) -> Pool:
    """One device that takes whatever it is given."""
    return Pool(site.name, site.name, 1, 1)


def host_pool(site: Site) -> Pool:
    """The hosts of accelerators: as many executions at once as the share of a device has cores."""
    assert site.device is not None
    cores = site.device.host_cores
    return Pool(f"{site.name} host", site.name, 1, max(1, int(cores.value if cores else site.device.cores)), host=True)


def on_machine(asked: Asked, site: Site, stage: str) -> Option:
    """A stage on a device that does one thing after the other. Where that does the whole program, the walk lets stages
    take turns, and their times need not say so."""
    time = asked.run.times[stage]
    if time.engine == ENDPOINT and time.model in asked.elsewhere:
        # From this machine it is asked for where an endpoint of the file serves it.
        return Option(
            site.name,
            time.time,
            time.first,
            0.0,
            dollars=_dollars(asked, stage),
            noise=time.factor.noise,
            engine=ENDPOINT,
        )
    time = asked.time_on(stage, site)
    assert site.rates is not None
    busy = time.seconds if time.heavy else time.seconds / site.rates.cores
    slots = 1.0 if time.heavy else float(site.rates.cores)
    return replace(
        _option(asked, stage, time, 1.0 if asked.alone else turns(asked, stage, slots)),
        pool=site.name,
        busy=busy,
        joules=site.tier.watts * busy,
        held=(*(() if _words(asked, stage) else asked.loaded(time.model)), *asked.running(stage, time)),
    )


def on_host(asked: Asked, site: Site, stage: str) -> Option:
    """A stage in the host of an accelerator. It holds no model: those that need cores alone hold words or tables, for
    which the smaller memory of the device stands in."""
    pool, time = host_pool(site), asked.time_on(stage, site)
    held: tuple[Held, ...] = ()
    if not _words(asked, stage):
        held = (*asked.loaded(time.model), *asked.running(stage, time))
    return replace(
        _option(asked, stage, time, turns(asked, stage, pool.slots)),
        pool=pool.name,
        busy=time.seconds,
        joules=site.tier.watts * time.seconds / pool.slots,
        held=held,
    )


def _words(asked: Asked, stage: str) -> bool:
    """Whether a stage of a model's call needs its words alone, not its weights."""
    name = asked.operation(stage).name
    return name in CHAT and name not in (PREFILL, DECODE)


def turns(asked: Asked, stage: str, slots: float) -> float:
    """How many times after each other a replica of so many slots does what may be open at once."""
    return max(1.0, float(ceil(asked.at_once(stage) / slots - 1e-9))) if slots else 1.0


def in_turns(time: Prediction, times: float, stage: str) -> Prediction:
    """The time of the last of those that take turns."""
    if times <= 1.0:
        return time
    term = Term("in turns", time.value * (times - 1.0), "s", Basis.DERIVED, f"{times:g} one after the other", stage)
    return Prediction(
        time.name, time.value * times, time.unit, time.low * times, time.high * times, (*time.terms, term)
    )


def _option(asked: Asked, stage: str, time: StageTime, times: float) -> Option:
    return Option(
        pool="",
        time=in_turns(time.time, times, stage),
        first=time.first,
        busy=time.seconds,
        noise=time.factor.noise,
        engine=time.engine,
        dtype=asked.dtype(time.model),
    )


def _dollars(asked: Asked, stage: str) -> float:
    """What an endpoint of the file is paid for a stage."""
    model = asked.model(stage)
    for fleet in asked.graph.fleets.values():
        tiers = fleet["tiers"]
        assert isinstance(tiers, tuple)
        for tier in tiers:
            assert not isinstance(tier, str | int | float | bool | tuple | None)
            given = tier.get("endpoint")
            if tier["name"] == asked.elsewhere.get(model) and given is not None:
                assert not isinstance(given, str | int | float | bool | tuple)
                price = given.get("price")
                return float(price) * tokens(asked, stage) if isinstance(price, int | float) else 0.0
    return 0.0


def tokens(asked: Asked, stage: str) -> float:
    """What an endpoint counts of a stage: the tokens of a prompt, or of a reply."""
    demand = asked.demand(stage)
    match asked.operation(stage).name:
        case "agent.prefill":
            return max(0.0, demand.tokens_in.value(asked.sizes))
        case "agent.decode":
            return max(0.0, demand.tokens_out.value(asked.sizes))
        case name if name in CHAT:
            return 0.0
        case _:
            return max(0.0, demand.tokens_in.value(asked.sizes))
