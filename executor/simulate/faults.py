"""What goes wrong in a simulation, and when: instances that are killed, stages and tiers that are slow, tiers that do
not reach each other. How each is written on a command line, too.

    gpu#1@30s:5s            instance 1 of tier gpu is killed at 30 s, and away for 5 s
    answer.decode@10s..1min:x3   this stage takes three times as long
    edge-gpu@20s..25s       nothing passes between the two
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ...base import units
from ...base.suggest import suggest
from .system import System


@dataclass(frozen=True, slots=True)
class Kill:
    """Of all instances of a tier, or one, counted from 0 through its pools. It serves again after `down` seconds; where
    that is None, as soon as a supervisor has started it again and its models are opened."""

    tier: str
    at: float
    instance: int | None = None
    down: float | None = None


@dataclass(frozen=True, slots=True)
class Slow:
    """A stage, or all that a tier does, takes `factor` times as long between two times."""

    what: str
    start: float
    end: float
    factor: float


@dataclass(frozen=True, slots=True)
class Cut:
    """Nothing passes between two tiers from `start` to `end`."""

    left: str
    right: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Faults:
    """All that goes wrong. `opening` is how long an instance that was started takes until it serves."""

    kills: tuple[Kill, ...] = ()
    slows: tuple[Slow, ...] = ()
    cuts: tuple[Cut, ...] = ()
    opening: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.kills or self.slows or self.cuts)


# --- as they are written ----------------------------------------------------------------------------------------------

_T = r"[0-9]+(?:\.[0-9]+)?\s*(?:ms|min|s|h)"
_KILL = re.compile(rf"(?P<tier>\w+)(?:#(?P<instance>[0-9]+))?@(?P<at>{_T})(?::(?P<down>{_T}))?")
_SLOW = re.compile(rf"(?P<what>[\w.]+)@(?P<start>{_T})\.\.(?P<end>{_T}):x(?P<factor>[0-9]+(?:\.[0-9]+)?)")
_CUT = re.compile(rf"(?P<left>\w+)-(?P<right>\w+)@(?P<start>{_T})\.\.(?P<end>{_T})")

KILL_FORM = "TIER[#INSTANCE]@TIME[:DOWN], as in gpu#1@30s:5s"
SLOW_FORM = "STAGE-OR-TIER@TIME..TIME:xFACTOR, as in gpu@10s..1min:x3"
CUT_FORM = "TIER-TIER@TIME..TIME, as in edge-gpu@20s..25s"


def kill(text: str) -> Kill:
    """ValueError, with what is wrong, where it is none."""
    found = _KILL.fullmatch(text.strip())
    if found is None:
        raise ValueError("it is not written as a fault")
    down = _seconds(found["down"]) if found["down"] else None
    return Kill(found["tier"], _seconds(found["at"]), int(found["instance"]) if found["instance"] else None, down)


def slow(text: str) -> Slow:
    """ValueError, with what is wrong, where it is none."""
    found = _SLOW.fullmatch(text.strip())
    if found is None:
        raise ValueError("it is not written as a fault")
    factor = float(found["factor"])
    if not factor > 0.0:
        raise ValueError("its factor is not above 0")
    return Slow(found["what"], *_window(found), factor)


def cut(text: str) -> Cut:
    """ValueError, with what is wrong, where it is none."""
    found = _CUT.fullmatch(text.strip())
    if found is None:
        raise ValueError("it is not written as a fault")
    return Cut(found["left"], found["right"], *_window(found))


def _window(found: re.Match[str]) -> tuple[float, float]:
    start, end = _seconds(found["start"]), _seconds(found["end"])
    if not end > start:
        raise ValueError("it ends before it begins")
    return start, end


def _seconds(text: str) -> float:
    number = re.match(r"[0-9.]+", text)
    assert number is not None
    return units.quantity(float(number[0]), text[number.end() :].strip()).value


# --- what they are of -------------------------------------------------------------------------------------------------


def instances(system: System, tier: str) -> tuple[tuple[str, int], ...]:
    """The instances of a tier, by number: a pool, and which of its replicas. Those of its devices, pool after pool;
    what runs on the machines that these stand in ends with the last of them, and comes behind."""
    mine = sorted(
        (pool.host, place, name) for place, (name, pool) in enumerate(system.pools.items()) if pool.tier == tier
    )
    return tuple((name, number) for _, _, name in mine for number in range(max(1, system.replicas[name])))


def counted(system: System, tier: str) -> int:
    """How many instances of a tier can be named: without those of its machines, where it has devices."""
    pools = {name: pool for name, pool in system.pools.items() if pool.tier == tier}
    devices = [name for name, pool in pools.items() if not pool.host] or list(pools)
    return sum(max(1, system.replicas[name]) for name in devices)


def unknown(system: System, fault: Kill | Slow | Cut) -> str | None:
    """What a fault names that the plan does not have, with what it might mean."""
    tiers = tuple(dict.fromkeys(pool.tier for pool in system.pools.values()))
    match fault:
        case Kill(tier, _, instance):
            found = _among(tier, tiers, "tier")
            count = counted(system, tier)
            if found is None and instance is not None and instance >= count:
                return f"{tier} has {count} instance{'s' if count > 1 else ''}, counted from 0"
            return found
        case Slow(what):
            return _among(what, (*tiers, *system.taken), "tier or stage")
        case Cut(left, right):
            found = _among(left, tiers, "tier") or _among(right, tiers, "tier")
            if found is None and system.problem.link(left, right) is None:
                return f"no link joins {left} and {right}"
            return found


def _among(name: str, known: Iterable[str], what: str) -> str | None:
    names = tuple(known)
    if name in names:
        return None
    meant = suggest(name, names)
    return f"the plan uses no {what} {name}; " + (f"did you mean {meant}?" if meant else f"it uses {', '.join(names)}")
