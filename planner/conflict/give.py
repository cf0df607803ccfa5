"""How far one requirement must give so that all others hold: the nearest limit, count, memory, link or tier.

What a choice comes to snaps every search by halves: a choice that is found at some limit may hold at a nearer one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor, inf, log, log10, sqrt

from ..search.pruning import refused
from ..space.evaluate import Outcome, evaluate
from ..space.problem import Choice, Problem
from .asked import Asked, looked
from .change import aimed, allowed, counting, with_bandwidth, with_links, with_memory
from .core import kind_of

_HALVINGS = 10
_CLOSE = 1.01
"""Limits that are as near to each other as this are one."""

_RATES = (0.99, 0.95, 0.9, 0.75, 0.5, 0.1, 0.01, 0.001)
"""Rates to begin with, of the most that is not refused at once: a lower one makes a run dearer, so that it may be too
low too."""

_LINKS = ((0.125e9, 1e-3), (1.25e9, 1e-4), (12.5e9, 1e-5), (50e9, 5e-6))
"""Links to offer where there is none: bytes a second and latency."""

_PROBES = (0.0, 0.004, 0.03)
"""Where to look first, from the bound of a quick refusal to what is known to hold."""

_FAR = 2.0
"""How far it is to another tier or link: beyond most limits."""


@dataclass(frozen=True, slots=True)
class Give:
    """Of a requirement: its limit `before` and `after`, the problem that has it, and a choice that holds then.
    `reached` is what the choice comes to, not rounded; `places` are tiers that are allowed, or pairs that are linked
    (`a <-> b`); `proven` says that nothing nearer does, to a part in a hundred where it is no whole number."""

    requirement: str
    kind: str
    before: float
    after: float
    reached: float
    problem: Problem
    choice: Choice
    proven: bool
    places: tuple[str, ...] = ()

    @property
    def distance(self) -> float:
        """How far it is, as a logarithm of the change."""
        match self.kind:
            case "keep" | "links" | "dropped":
                return _FAR + 0.1 * len(self.places)
            case "count":
                return log((self.after + 1) / (self.before + 1))
            case _ if self.before > 0.0 and self.after > 0.0:
                return abs(log(self.after / self.before))
            case _:
                return inf


def give(asked: Asked, problem: Problem, name: str, without: frozenset[str] = frozenset()) -> Give | None:
    """The least that a requirement must give so that all but `without` hold; None where that does not help, or was not
    found."""
    match kind_of(problem, name):
        case "rate":
            return _rate(asked, problem, name, without)
        case "count":
            return _count(asked, problem, name, without)
        case "memory":
            return _memory(asked, problem, name, without)
        case "link":
            return _link(asked, problem, name, without)
        case "links":
            return _links(asked, problem, name, without)
        case "keep":
            return _keep(asked, problem, name, without)
        case _:
            return _limit(asked, problem, name, without)


def _limit(asked: Asked, problem: Problem, name: str, without: frozenset[str]) -> Give | None:
    promise = next(each for each in problem.promises if each.name == name)
    open_to = without | {name}
    choice, sure = asked.best(aimed(problem, name), open_to)
    choice = choice or asked.holding(problem, open_to)
    if choice is None:
        return None
    value = evaluate(problem, choice, open_to).reached[name]

    def measure(outcome: Outcome) -> float:
        return outcome.reached[name]

    if not sure:
        value, choice, sure = _halved(
            asked, promise.limit, value, choice, lambda limit: problem.with_limit(name, limit), measure, without
        )
    after = rounded_up(value, promise.limit)
    return _checked(
        name, promise.kind, promise.limit, after, value, problem.with_limit(name, after), choice, sure, without
    )


def _rate(asked: Asked, problem: Problem, name: str, without: frozenset[str]) -> Give | None:
    assert problem.rate is not None
    asks = problem.rate
    most = _most(problem, name, without)
    high, low, choice = asks, 0.0, None
    # A lower rate holds wherever a higher one does, unless a run may cost only so much.
    proven = not any(each.kind == "cost" and each.name not in without for each in problem.promises)
    for factor in _RATES:
        choice, sure = asked.ask(problem.with_limit(name, most * factor), without)
        if choice is not None:
            low = most * factor
            break
        high, proven = most * factor, proven and sure
    if choice is None:
        return None
    for _ in range(_HALVINGS):
        low = _fullest(problem, name, choice, low, high, without)
        if high / low < _CLOSE:
            break
        middle = sqrt(low * high)
        found, sure = asked.ask(problem.with_limit(name, middle), without)
        low, high, choice = (middle, high, found) if found else (low, middle, choice)
        proven = proven and (sure or found is not None)
    for digits in (2, 3, 4, 6):
        after = rounded(low, floor, digits)
        if after > 0.0 and low - after <= 0.1 * (asks - low):
            break
    relaxed = problem.with_limit(name, after)
    near = high / low < _CLOSE * _CLOSE
    return _checked(name, "rate", asks, after, low, relaxed, choice, proven and near, without)


def _most(problem: Problem, name: str, without: frozenset[str]) -> float:
    """The greatest rate, up to the one that is asked, that is not refused at once."""
    assert problem.rate is not None
    low, high = 0.0, problem.rate
    if not refused(problem, without):
        return high
    for _ in range(_HALVINGS + 4):
        middle = (low + high) / 2
        low, high = (low, middle) if refused(problem.with_limit(name, middle), without) else (middle, high)
    return low or problem.rate


def _fullest(problem: Problem, name: str, choice: Choice, low: float, high: float, without: frozenset[str]) -> float:
    """The greatest rate below `high` at which a choice that holds at `low` is found to hold still."""
    for _ in range(_HALVINGS):
        middle = sqrt(low * high)
        fine = looked(problem.with_limit(name, middle), choice, without) is not None
        low, high = (middle, high) if fine else (low, middle)
    return low


def _count(asked: Asked, problem: Problem, name: str, without: frozenset[str]) -> Give | None:
    tier = next(tier for tier in problem.tiers if tier.counted == name)
    choice = asked.holding(problem, without | {name})
    if choice is None:
        return None

    def used(outcome: Outcome) -> float:
        return float(outcome.devices[tier.name])

    most = used(evaluate(problem, choice, without | {name}))
    fewest = counting(problem, tier.name)
    if fewest is not None and not refused(problem.with_count(tier.name, floor(most) - 1), without):
        # Any choice will do where few are needed; of many, the search knows how to take few.
        better, least = asked.best(fewest, without | {name})
        reached = used(evaluate(problem, better, without | {name})) if better is not None else most
        if better is not None and reached <= most:
            choice, most = better, reached
            if least:
                relaxed = problem.with_count(tier.name, round(most))
                return _checked(name, "count", tier.high, most, most, relaxed, choice, True, without)
    value, choice, sure = _halved(
        asked, tier.high, most, choice, lambda most: problem.with_count(tier.name, floor(most)), used, without, step=1.0
    )
    relaxed = problem.with_count(tier.name, round(value))
    return _checked(name, "count", tier.high, value, value, relaxed, choice, sure, without)


def _memory(asked: Asked, problem: Problem, name: str, without: frozenset[str]) -> Give | None:
    tier = next(tier for tier in problem.tiers if tier.held == name)
    choice = asked.holding(problem, without | {name})
    if choice is None:
        return None
    pools = {pool.name: pool for pool in problem.pools if pool.tier == tier.name}

    def held(outcome: Outcome) -> float:
        return max((value / pools[key].devices for key, value in outcome.memory.items() if key in pools), default=0.0)

    most = held(evaluate(problem, choice, without | {name}))
    value, choice, sure = _halved(
        asked, tier.memory, most, choice, lambda size: with_memory(problem, tier.name, size), held, without
    )
    after = rounded_up(value, tier.memory)
    relaxed = with_memory(problem, tier.name, after)
    return _checked(name, "memory", tier.memory, after, value, relaxed, choice, sure, without, (tier.name,))


def _link(asked: Asked, problem: Problem, name: str, without: frozenset[str]) -> Give | None:
    # One line of a program may link many pairs of tiers.
    links = [link for link in problem.links if link.carries == name]
    pairs = {frozenset((link.left, link.right)) for link in links}
    before = min(link.bandwidth for link in links)
    choice = asked.holding(problem, without | {name})
    if choice is None:
        return None

    def each(outcome: Outcome) -> dict[tuple[str, str], float]:
        """Bytes a second of one pair of devices, by the tiers."""
        found: dict[tuple[str, str], float] = {}
        for ends, moved in outcome.traffic.items():
            devices = [outcome.devices[end] for end in ends if not problem.tier(end).endpoint]
            if frozenset(ends) in pairs:
                found[ends] = moved * (problem.rate or 0.0) / min(devices, default=1)
        return found

    def moved(outcome: Outcome) -> float:
        return max(each(outcome).values(), default=0.0)

    most = moved(evaluate(problem, choice, without | {name}))
    value, choice, sure = _halved(
        asked, before, most, choice, lambda speed: with_bandwidth(problem, name, speed), moved, without
    )
    after = rounded_up(value, before)
    relaxed = with_bandwidth(problem, name, after)
    busy = each(evaluate(relaxed, choice, without | {name}))
    places = (" <-> ".join(max(busy, key=lambda ends: busy[ends])),) if busy else ()
    return _checked(name, "link", before, after, value, relaxed, choice, sure, without, places)


def _links(asked: Asked, problem: Problem, name: str, without: frozenset[str]) -> Give | None:
    choice = asked.holding(problem, without | {name})
    if choice is None:
        return None
    traffic = evaluate(problem, choice, without | {name}).traffic
    used = tuple(dict.fromkeys(ends for ends in traffic if problem.link(*ends) is None))
    names = [tier.name for tier in problem.tiers]
    whole = tuple((a, b) for at, a in enumerate(names) for b in names[at + 1 :] if problem.link(a, b) is None)
    for pairs in (used, whole):
        distinct = tuple({frozenset(pair): pair for pair in pairs}.values())
        for bandwidth, latency in _LINKS if distinct else ():
            relaxed = with_links(problem, distinct, bandwidth, latency)
            found = asked.holding(relaxed, without)
            if found is not None:
                places = tuple(f"{left} <-> {right}" for left, right in distinct)
                return Give(name, "links", 0.0, bandwidth, bandwidth, relaxed, found, False, places)
    return None


def _keep(asked: Asked, problem: Problem, name: str, without: frozenset[str]) -> Give | None:
    choice = asked.holding(problem, without | {name})
    if choice is None:
        return None
    taken = [stage.options[place] for stage, place in zip(problem.stages, choice.options, strict=True)]
    tiers = tuple(dict.fromkeys(problem.pool(option.pool).tier for option in taken if name in option.barred))
    relaxed = allowed(problem, name, tiers)
    return _checked(name, "keep", 0.0, 0.0, 0.0, relaxed, choice, False, without, tiers)


def _halved(
    asked: Asked,
    low: float,
    high: float,
    choice: Choice,
    ask_for: Callable[[float], Problem],
    measure: Callable[[Outcome], float],
    without: frozenset[str],
    *,
    step: float = 0.0,
) -> tuple[float, Choice, bool]:
    """The least limit above `low`, where nothing holds, of those at which something does: `high` is what `choice` comes
    to. Whole numbers where `step` is one. Whether every limit that was refused was refused by proof comes with it."""
    low = _below(low, high, lambda limit: refused(ask_for(limit), without), step)
    proven = True
    near = [low + max(step, (high - low) * part) for part in _PROBES]
    for number in range(_HALVINGS * (2 if step else 1)):
        if high - low <= step or (not step and high <= low * _CLOSE):
            break
        # What is just above the bound often holds, and what holds bounds the rest.
        middle = near[number] if number < len(near) and low < near[number] < high else (low + high) / 2
        middle = floor(middle) if step else middle
        found, sure = asked.ask(ask_for(middle), without)
        if found is None:
            low, proven = middle, proven and sure
        else:
            choice = found
            high = max(low, min(middle, measure(evaluate(ask_for(middle), found, without))))
    return high, choice, proven


def _below(low: float, high: float, refused: Callable[[float], bool], step: float) -> float:
    """The greatest limit between the two that is refused at once, in equal ratios where they may be far apart."""
    for _ in range(_HALVINGS + 4):
        middle = sqrt(low * high) if low > 0.0 else (low + high) / 2
        middle = floor(middle) if step else middle
        if not low < middle < high:
            break
        low, high = (middle, high) if refused(middle) else (low, middle)
    return low


def _checked(
    name: str,
    kind: str,
    before: float,
    after: float,
    reached: float,
    problem: Problem,
    choice: Choice,
    proven: bool,
    without: frozenset[str],
    places: tuple[str, ...] = (),
) -> Give | None:
    """What was found, if the choice holds with it."""
    if looked(problem, choice, without) is None:
        return None
    return Give(name, kind, before, after, reached, problem, choice, proven, places)


def rounded_up(value: float, limit: float) -> float:
    """As few digits as show a change from `limit` without making it much greater, never less than `value`."""
    for digits in (2, 3, 4, 6):
        up = rounded(value, ceil, digits)
        if up - value <= 0.2 * abs(value - limit):
            return up
    return value


def rounded(value: float, rounding: Callable[[float], int], digits: int) -> float:
    if value <= 0.0:
        return 0.0
    exponent = floor(log10(value)) - digits + 1
    # A power of ten below one is not exact: dividing by its inverse keeps the digits clean.
    scale = 10.0 ** abs(exponent)
    # What is exact but for the last bit of a sum stays what it is.
    near = value / scale if exponent >= 0 else value * scale
    whole = round(near) if abs(near - round(near)) < 1e-10 * near else rounding(near)
    return whole * scale if exponent >= 0 else whole / scale
