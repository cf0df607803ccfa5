"""A problem as a linear program: its variables are the options, the replicas, and which way each value goes.

Flags: each stage takes one option. A pool that few stages can use has a flag for each content and number of replicas,
so that its load, its waits and its devices are constants. A pool that many share has a flag for each number of replicas
and step of load, of which one is 1 where it is in use; the load must be below that step, and the wait is at least the
flag's factor times the service. What an edge takes is a variable that is at least what each place of its ends makes it.

Everything that is limited or minimised grows with its parts, so a maximum is a variable that is at least each part, and
nothing has to be exact from both sides.
"""

from __future__ import annotations

from typing import Any

from ...space.problem import Choice
from .limits import Limits


class Model(Limits):
    """See the module."""

    def point(self, choice: Choice) -> dict[int, float]:
        """The value of every variable for a choice."""
        reading = self.reading
        at: dict[int, float] = {}
        for stage, flags in enumerate(self.flags):
            for place, flag in flags.items():
                at[flag] = float(choice.options[stage] == place)
        fixed = reading.fixed(choice.options)
        steps = {load.pool: load for load in fixed.loads} if fixed else {}
        for pool, flags in self.sized.items():
            load, replicas = steps.get(pool), choice.replicas[pool]
            step = reading.step(load, replicas) if load is not None else 0
            inside = {one for one in self.members[pool] if choice.options[one[0]] == one[1]}
            done = load is None
            for flag, count, of in flags:
                fits = not done and count == replicas and (of >= step if isinstance(of, int) else set(of) == inside)
                at[flag] = float(fits)
                done = done or fits
        for number, variable in enumerate(self.program.variables):
            if number not in at:
                at[number] = variable.hint(at) if variable.hint else 0.0
        return at

    def choice(self, at: Any) -> Choice:
        """The choice that a point means; `at` gives the value of a variable."""
        options = tuple(next(place for place, flag in flags.items() if at(flag)) for flags in self.flags)
        pools = {self.reading.pool_of(stage, place) for stage, place in enumerate(options)}
        replicas = [0] * len(self.problem.pools)
        for pool in pools:
            replicas[pool] = next(count for flag, count, _ in self.sized[pool] if at(flag))
        return Choice(options, tuple(replicas))
