"""How many instances of a pool are wanted now: what its load needs, within the counts of its fleet.

What is needed is worked out as the plan does (`planner.space.evaluate`): the fewest instances with which the pool's
waiting bound, at the load that is seen, stays within the wait that the promises leave. So there is no utilisation to
tune: it follows from the promise, and is higher where more slots share one line. The load that is seen is a slow
average of arrivals, or a quick one where that is above it by more than chance, raised by one standard deviation of what
random arrivals differ by, and carried on along its slope for as long as a new instance takes to open.

Up at once, down late: fewer only when nothing within the last `calm` seconds needed more, and not within `calm` of
growing. Those that go are drained: they take nothing new, and finish what they have. Pure: times are the caller's.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import ceil, exp, inf, sqrt

from ..planner.space.evaluate import step_of, waiting

QUICK, SLOW = 10.0, 60.0
"""Seconds over which the two averages forget."""
BURST = 3.0
"""Deviations from the slow average beyond which the quick one is no accident."""
MARGIN = 1.1
"""An instance goes only where one is not needed at so much more load either."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Of one pool. Between `low` and `high` instances, each of `slots`; `service` is how long a run keeps a slot in
    all, in seconds (its mean), and `wait` the seconds at `percentile` that the promises leave for its line. A new
    instance takes `opening` seconds until it serves; none is let go of before `calm` seconds."""

    pool: str
    low: int
    high: int
    slots: int
    service: float
    wait: float
    percentile: float = 95.0
    opening: float = 0.0
    calm: float = 120.0

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high or self.high < 1 or self.slots < 1:
            raise ValueError("a pool has from `low` to `high` instances, at least one of them, and slots")
        if not (self.service > 0.0 and self.wait >= 0.0 and self.opening >= 0.0 and self.calm >= 0.0):
            raise ValueError("a service takes time, and nothing else takes less than none")


@dataclass(frozen=True, slots=True)
class Seen:
    """Of a pool at one time: runs that came to it since it was looked at last, those in its line, slots that are in
    use, and instances that serve or are being opened."""

    at: float
    came: int
    waiting: int
    busy: int
    instances: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """So many instances, and why. `load` is what was reckoned with, in slots."""

    pool: str
    instances: int
    load: float
    why: str


def needed(rule: Rule, load: float) -> int:
    """The fewest instances that serve `load` slots with the wait that is left; `high` where none do."""
    if load <= 0.0:
        return rule.low
    for instances in range(max(1, rule.low, ceil(load / rule.slots)), rule.high + 1):
        servers = instances * rule.slots
        if rule.service * waiting(servers, step_of(load / servers), rule.percentile) <= rule.wait:
            return instances
    return rule.high


class Scaling:
    """What is known of one pool."""

    def __init__(self, rule: Rule, rate: float = 0.0) -> None:
        """`rate` is what comes a second as far as anybody knows before anything came."""
        self.rule = rule
        self._quick = self._slow = rate
        self._at: float | None = None
        self._recent: deque[tuple[float, int]] = deque()
        self._held = -inf
        """Since when nothing has grown; what came before anybody looked is not known."""

    def see(self, seen: Seen) -> Wanted:
        """What is wanted from now on. ValueError where time goes back."""
        rule, now = self.rule, seen.at
        passed = 0.0 if self._at is None else now - self._at
        if passed < 0.0:
            raise ValueError("time does not go back")
        if self._at is None:
            self._held = now
        self._at = now
        before = self._slow
        if passed > 0.0:
            rate = seen.came / passed
            self._quick += (rate - self._quick) * (1.0 - exp(-passed / QUICK))
            self._slow += (rate - self._slow) * (1.0 - exp(-passed / SLOW))
        slope = max(0.0, self._slow - before) / passed if passed > 0.0 else 0.0
        # An average over T seconds of arrivals at random has the deviation sqrt(rate / 2 T).
        rate = self._slow
        if self._quick - rate > BURST * sqrt(rate / (2.0 * QUICK)):
            rate = self._quick
        rate += sqrt(rate / (2.0 * SLOW)) + slope * min(rule.opening, SLOW)
        load = rate * rule.service
        want = needed(rule, load)
        why = f"{load:.2f} slots in use at {rate:.3g} a second"
        # What stands in line already is to be through within what a run may wait, or while an instance opens.
        late = seen.waiting * rule.service / max(rule.wait, rule.opening, rule.service)
        if late > 0.0 and (more := min(rule.high, ceil((seen.busy + late) / rule.slots))) > want:
            want, why = more, f"{seen.waiting} in line behind {seen.busy} slots in use"
        self._recent.append((now, max(want, needed(rule, load * MARGIN))))
        while self._recent[0][0] < now - rule.calm:
            self._recent.popleft()
        if want > seen.instances:
            self._held = now
            return Wanted(rule.pool, want, load, why)
        most = max(count for _, count in self._recent)
        if most < seen.instances and now - self._held >= rule.calm:
            return Wanted(rule.pool, max(rule.low, most), load, f"no more were needed for {rule.calm:g} s; {why}")
        return Wanted(rule.pool, max(rule.low, min(rule.high, seen.instances)), load, "as it is")
